"""The Python client: what a notebook or a script does with a running node.

    space = consilium.connect(".consilium/demo/cleveland")
    space.catalog.search("heart")
    result = space.studies.run(title=..., purpose=..., recipe=..., invite=[...])
    space.evidence.verify()

It is thin over the node's HTTP API; answers are plain records, and a study's
result is the same `ResultRecord` that `--json` prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from consilium.kernel.errors import NotFoundError
from consilium.space.evidence import Evidence
from consilium.space.persons import Approvals, Models, Persons, Queue
from consilium.space.schemas import read_schema_text
from consilium.space.steering import Negotiations, Transfers
from consilium.space.studies import Studies
from consilium.space.wire import Progress, Record, Wire, items_of, name_of


def connect(home: str | Path) -> Client:
    """Connect to the node (or hub) that is being served from a folder.

    Parameters
    ----------
    home : str or Path
        The folder given to `consilium node serve`.

    Raises
    ------
    PeerError
        `space.no_node` when nothing is served there.
    """
    client = Client(Wire(Path(home)))
    client.status()
    return client


class Client:
    """A connected node; closes with `with` or `close`."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.catalog = Catalog(wire)
        self.datasets = Datasets(wire)
        self.agreements = Agreements(wire)
        self.negotiations = Negotiations(wire)
        self.transfers = Transfers(wire)
        self.studies = Studies(wire)
        self.statistics = Statistics(wire)
        self.evidence = Evidence(wire)
        self.persons = Persons(wire)
        self.queue = Queue(wire)
        self.approvals = Approvals(wire)
        self.models = Models(wire)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the node goes on."""
        self.wire.close()

    def status(self) -> Record:
        """Ask how the node is."""
        return dict(self.wire.get("/status"))


class Catalog:
    """What the hospitals of the space offer."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def search(self, text: str = "") -> list[Record]:
        """List datasets whose title, name, hospital or columns contain every word of `text`.

        Returns
        -------
        list of dict
            Datasets with `participant` and `hospital` added.
        """
        words = text.casefold().split()
        return [
            entry
            for entry in _entries(items_of(self._wire.get("/catalog/members"), "participants"))
            if all(word in _spoken(entry) for word in words)
        ]


class Datasets:
    """The hospital's own datasets."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def add(
        self,
        path: str | Path,
        *,
        schema: str,
        name: str,
        terms: Mapping[str, Any],
        governance: Mapping[str, Any],
        budget: Mapping[str, float] | None = None,
        title: str = "",
        public: bool = False,
        progress: Progress | None = None,
    ) -> Record:
        """Connect a table: read it, check it against its schema, register it with an offer.

        Parameters
        ----------
        path : str or Path
            CSV, Parquet or NPZ; it stays where it is.
        schema : str
            Path of a TOML file, or the name of a built-in schema.
        name, title : str
            Short name within the hospital; display name.
        terms, governance : mapping
            What others may do with it; on which basis it is held.
        budget : mapping, optional
            `epsilon` and `delta` that all agreements on it may cost together;
            the node's usual ones where not given.
        public : bool
            Whether the data are open to anyone.

        Returns
        -------
        dict
            The dataset's record with its quality report.
        """
        body = {
            "path": str(Path(path).absolute()),
            "schema": read_schema_text(schema, dataset=name),
            "schema_name": schema,
            "name": name,
            "title": title or name,
            "governance": dict(governance),
            "terms": dict(terms),
            "budget": dict(budget or {}),
            "public": public,
        }
        task = self._wire.post("/datasets", body)
        return dict(self._wire.wait_task(name_of(task), progress=progress))

    def list(self) -> list[Record]:
        """List the datasets."""
        return self._wire.list("/datasets")

    def get(self, name: str) -> Record:
        """Return one dataset by name."""
        return dict(self._wire.get(f"/datasets/{name}"))


class Agreements:
    """Agreements with other hospitals, in both roles."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> list[Record]:
        """List the agreements."""
        return self._wire.list("/agreements")[::-1]

    def get(self, agreement: str) -> Record:
        """Return one agreement, whichever side of it this hospital is on."""
        try:
            return dict(self._wire.get(f"/agreements/{agreement}"))
        except NotFoundError:
            return dict(self._wire.get(f"/agreements/{agreement}", role="provider"))

    def budgets(self) -> Record:
        """Tell what is spent and left: `agreements` that this hospital gave, `datasets` it has."""
        return dict(self._wire.get("/budgets"))

    def request(self, participant: str, *, dataset: str, offer: str = "") -> Record:
        """Ask a hospital for an agreement on one of its offers."""
        body = {"participant": participant, "dataset": dataset, "offer": offer}
        return dict(self._wire.post("/agreements", body))

    def revoke(self, agreement: str, *, reason: str, person: str = "") -> Record:
        """End an agreement for good, from whichever side; its counterpart is told the reason."""
        body = {"reason": reason, "person": person}
        return dict(self._wire.post(f"/agreements/{agreement}/revocation", body))


class Statistics:
    """Questions to hospitals' data over agreements, answered in seconds."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def ask(
        self,
        statistic: str,
        *variables: str,
        purpose: str,
        where: Sequence[str] = (),
        agreements: Sequence[str] = (),
        **more: Any,
    ) -> Record:
        """Ask for a statistic of all hospitals' patients together.

        Parameters
        ----------
        statistic : str
            `count`, `mean` (with variance), `histogram`, `quantile`, `crosstab`,
            `missing`, `survival`, `correlation`, `linear` or `logistic`.
        *variables : str
            Columns; of a regression the outcome first, of survival the time and
            the event.
        purpose : str
            One that the agreements allow.
        where : sequence of str, optional
            The cohort: `age>=65`, `age<80`, `sex=1`, `cp=1|2`; all must hold.
        agreements : sequence of str, optional
            Over which; every agreement that allows the purpose if none is named.
        **more
            `bins`, `edges` (by column), `event`, `shares` (of a quantile),
            `epsilon` (noise).

        Returns
        -------
        dict
            `pooled`, and `sites` with each hospital's figures or its reason.
        """
        body = {
            "statistic": statistic,
            "variables": list(variables),
            "purpose": purpose,
            "where": list(where),
            "agreements": list(agreements),
            **more,
        }
        return dict(self._wire.post("/statistics", body))


def _entries(participants: Sequence[Record]) -> list[Record]:
    return [
        {**dataset, "participant": each["participant"], "hospital": each.get("title", "")}
        for each in participants
        for dataset in each.get("datasets", ())
    ]


def _spoken(value: Any) -> str:
    """Join all texts of a record, for searching."""
    if isinstance(value, dict):
        return " ".join(_spoken(each) for each in value.values())
    if isinstance(value, list | tuple):
        return " ".join(_spoken(each) for each in value)
    return str(value).casefold()
