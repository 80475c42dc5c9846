"""The Python client: what a notebook or a script does with a running node.

    space = consilium.connect(".consilium/demo/cleveland")
    space.catalog.search("heart")
    result = space.studies.run(title=..., purpose=..., recipe=..., invite=[...])
    space.evidence.verify()

It is thin over the node's HTTP API; answers are plain records, and a study's
result is the same `ResultRecord` that `--json` prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from consilium.kernel.errors import NotFoundError, StateError, texts
from consilium.ledger.verification import Verdict
from consilium.space.persons import Approvals, Models, Persons, Queue
from consilium.space.proof import verify_home
from consilium.space.record import ResultRecord
from consilium.space.schemas import read_schema_text
from consilium.space.steering import Negotiations, Transfers
from consilium.space.wire import POLL_S, Progress, Speaker, Wire

Record = dict[str, Any]
Seen = Callable[[Record], None]
"""Called with each event of a study."""

LIVE = frozenset({"RECRUITING", "SUBMITTED", "RUNNING"})
COMPLETED = "COMPLETED"
RESULT_S = 10.0


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
            for entry in _entries(_items(self._wire.get("/catalog"), "participants"))
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
            CSV or Parquet; it stays where it is.
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
        return dict(self._wire.wait_task(_name_of(task), progress=progress))

    def list(self) -> list[Record]:
        """List the datasets."""
        return _items(self._wire.get("/datasets"), "datasets")

    def get(self, name: str) -> Record:
        """Return one dataset by name."""
        return dict(self._wire.get(f"/datasets/{name}"))


class Agreements:
    """Agreements with other hospitals, in both roles."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> list[Record]:
        """List the agreements."""
        return _items(self._wire.get("/agreements"), "agreements")

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


class Studies:
    """Studies that this hospital leads."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def start(self, **plan: Any) -> str:
        """Start a study from its plan and return its identifier at once."""
        return _name_of(self._wire.post("/studies", plan))

    def run(self, *, seen: Seen | None = None, **plan: Any) -> ResultRecord:
        """Start a study and wait for its result.

        Parameters
        ----------
        seen : callable, optional
            Called with each event as it comes.
        **plan
            title, question, purpose, recipe, settings, rule, rule_settings,
            rounds, quorum, deadline_s, seed, and `invite`: a list of
            {participant, dataset}.

        Raises
        ------
        StateError
            `space.study_failed`.
        """
        return self.wait(self.start(**plan), seen=seen)

    def wait(self, study: str, *, seen: Seen | None = None) -> ResultRecord:
        """Wait for a study's end and return its result; raises as `run` does."""
        after, events = 0, []
        while True:
            record = self.get(study, after=after)
            for event in record.get("events", ()):
                after = max(after, int(event["id"]))
                events.append(event)
                if seen is not None:
                    seen(event)
            if record["state"] == COMPLETED:
                return self._await_result(study)
            if record["state"] not in LIVE:
                raise _failure(study, record, events)
            time.sleep(POLL_S)

    def _await_result(self, study: str) -> ResultRecord:
        """Fetch the result; it is kept a moment after the study is completed."""
        ends = time.monotonic() + RESULT_S
        while True:
            try:
                return self.result(study)
            except StateError:
                if time.monotonic() > ends:
                    raise
            time.sleep(POLL_S)

    def result(self, study: str) -> ResultRecord:
        """Return the result of a completed study."""
        return ResultRecord.from_json(self._wire.get(f"/studies/{study}/result"))

    def get(self, study: str, *, after: int = 0) -> Record:
        """Return a study with its events after `after`."""
        return dict(self._wire.get(f"/studies/{study}", after=after))

    def list(self) -> list[Record]:
        """List the studies."""
        return _items(self._wire.get("/studies"), "studies")

    def stop(self, study: str) -> Record:
        """Stop a study; what it has accepted is kept."""
        return dict(self._wire.post(f"/studies/{study}/stop"))


class Evidence:
    """The hospital's evidence log."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self, *, after: int = 0, limit: int = 100) -> list[Record]:
        """List entries after a number, oldest first."""
        return _items(self._wire.get("/evidence", after=after, limit=limit), "entries")

    def checkpoint(self) -> str:
        """Return the signed checkpoint over the whole log."""
        return str(self._wire.get("/evidence/checkpoint")["checkpoint"])

    def witnessed(self, participant: str) -> str | None:
        """Return the last checkpoint that a hub received of a member; None if it has none."""
        try:
            return str(self._wire.get(f"/witness/{participant}")["checkpoint"])
        except NotFoundError:
            return None

    def prove(self, seq: int) -> Record:
        """Return an entry with its inclusion proof under a cosigned checkpoint."""
        return dict(self._wire.get(f"/evidence/{seq}/proof"))

    def export(
        self,
        out: Path,
        *,
        first: int | None = None,
        last: int | None = None,
        subject: str = "",
        speaker: Speaker | None = None,
    ) -> Record:
        """Write one file by which an auditor proves entries offline; say what is in it.

        Where the node's settings ask for persons, it stays in the node until they have
        released it; the error then names its digest, under which `fetch` gets it.

        Parameters
        ----------
        out : Path
            Where to; an older file there is replaced.
        first, last : int or None
            Which entries, both ends included; None means the log's beginning or end.
        subject : str
            Instead of a range: all entries that name this study, agreement or other identifier.
        """
        wish = {"first": first, "last": last, "subject": subject}
        made = dict(self._wire.post("/evidence/exports", wish))
        self.fetch(str(made["digest"]), out, speaker=speaker)
        return made

    def fetch(self, digest: str, out: Path, *, speaker: Speaker | None = None) -> None:
        """Write an export that was made before; `speaker` is who carries it out."""
        self._wire.fetch(f"/evidence/exports/{digest}", out, speaker=speaker)

    def verify(self, *, checkpoint: str | None = None) -> Verdict:
        """Prove the log offline, from its files; the node need not run."""
        return verify_home(self._wire.home, checkpoint=checkpoint)


def _words_of(reason: str) -> Record:
    """Say in words what a code of the house means; another reason stands for itself."""
    entry = texts().get(reason)
    return {language: entry[language] if entry else reason for language in ("en", "zh")}


def _failure(study: str, record: Record, events: Sequence[Record]) -> StateError:
    """Say why a study ended, with what each hospital answered as detail."""
    last = [event["facts"] for event in events if event["kind"] == "failure"]
    said = last[-1] if last else _words_of(str(record.get("reason") or "—"))
    refusals = [event["facts"] for event in events if event["kind"] in {"declined", "refused"}]
    words = {
        language: "\n".join(
            f"{facts.get('participant')}: "
            f"{facts.get(language) or facts.get('code') or facts.get('reason')}"
            for facts in refusals
        )
        for language in ("en", "zh")
    }
    return StateError(
        "space.study_failed",
        detail=words["en"],
        detail_zh=words["zh"],
        study=study,
        now=record["state"],
        wanted=COMPLETED,
        reason=str(said["en"]).rstrip("."),
        reason_zh=str(said["zh"]).rstrip("。"),
    )


def _items(answer: Any, key: str) -> list[Record]:
    """Take a list that stands alone or under its name."""
    found: Sequence[Record] = answer.get(key, ()) if isinstance(answer, dict) else answer
    return [dict(item) for item in found]


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


def _name_of(answer: Any) -> str:
    """Take the identifier of a task or study from an answer."""
    record = dict(answer)
    return str(record.get("id") or record.get("task") or record.get("study"))
