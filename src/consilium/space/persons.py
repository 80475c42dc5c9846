"""The Python client's part about persons: accounts, what waits for them, what they release.

Whatever changes something takes a `speaker`: the name and password of whoever
does it. They travel over the node's own socket and are kept nowhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from consilium.space.wire import Progress, Speaker, Wire, name_of

Record = dict[str, Any]


class Persons:
    """The accounts of a node."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> list[Record]:
        """List the accounts with their roles."""
        return [dict(one) for one in self._wire.get("/persons")]

    def get(self, who: str) -> Record:
        """Return one account by name or number."""
        return dict(self._wire.get(f"/persons/{quote(who, safe='')}"))

    def add_first(self, name: str, *, password: str) -> Record:
        """Make the first account of all, an administrator's."""
        return dict(
            self._wire.post("/persons", {"name": name, "password": password, "first": True})
        )

    def add(self, name: str, *, password: str, speaker: Speaker) -> Record:
        """Make an account without any role."""
        body = {"name": name, "password": password}
        return dict(self._wire.post("/persons", body, speaker=speaker))

    def set_password(self, who: str, *, password: str, speaker: Speaker) -> Record:
        """Set one's own password, or as administrator somebody else's."""
        return self._change(who, "password", {"password": password}, speaker)

    def disable(self, who: str, *, reason: str, speaker: Speaker) -> Record:
        """Close an account."""
        return self._change(who, "disable", {"reason": reason}, speaker)

    def enable(self, who: str, *, reason: str, speaker: Speaker) -> Record:
        """Open a closed account again."""
        return self._change(who, "enable", {"reason": reason}, speaker)

    def change_role(
        self,
        who: str,
        role: str,
        *,
        speaker: Speaker,
        study: str = "",
        organisation: str = "",
        withdraw: bool = False,
    ) -> Record:
        """Give a role, or withdraw it; empty scopes mean everywhere."""
        body = {"role": role, "study": study, "organisation": organisation, "withdraw": withdraw}
        return self._change(who, "roles", body, speaker)

    def _change(self, who: str, what: str, body: Record, speaker: Speaker) -> Record:
        return dict(
            self._wire.post(f"/persons/{quote(who, safe='')}/{what}", body, speaker=speaker)
        )


class Queue:
    """What waits for a person."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self, *, settled: bool = False) -> list[Record]:
        """List what waits, the most urgent first; with `settled` what was settled too."""
        return [dict(one) for one in self._wire.get("/queue", settled=str(settled).lower())]

    def get(self, item: str) -> Record:
        """Return one item."""
        return dict(self._wire.get(f"/queue/{item}"))

    def settle(self, item: str, ruling: str, *, reason: str, speaker: Speaker) -> Record:
        """Let an item `proceed`, or `refuse` it."""
        body = {"ruling": ruling, "reason": reason}
        return dict(self._wire.post(f"/queue/{item}/settle", body, speaker=speaker))

    def delegate(self, item: str, to: str, *, reason: str, speaker: Speaker) -> Record:
        """Hand an item to somebody; naming oneself takes it back."""
        body = {"to": to, "reason": reason}
        return dict(self._wire.post(f"/queue/{item}/delegate", body, speaker=speaker))


class Approvals:
    """Requests to let something leave, and their approvals."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> list[Record]:
        """List the requests, the newest first."""
        return [dict(one) for one in self._wire.get("/approvals")]

    def request(self, kind: str, digest: str, *, reason: str, speaker: Speaker) -> Record:
        """Ask that a `model` or an `evidence` export of this digest may leave."""
        body = {"kind": kind, "digest": digest, "reason": reason}
        return dict(self._wire.post("/approvals", body, speaker=speaker))

    def approve(self, release: str, *, speaker: Speaker) -> Record:
        """Give one person's yes."""
        return dict(self._wire.post(f"/approvals/{release}/approve", speaker=speaker))

    def withdraw(self, release: str, *, reason: str, speaker: Speaker) -> Record:
        """End a request or a release."""
        body = {"reason": reason}
        return dict(self._wire.post(f"/approvals/{release}/withdraw", body, speaker=speaker))

    def admit_export(self, kind: str, digest: str, *, speaker: Speaker) -> Record:
        """Ask to carry a released thing out; its evidence is written before this returns."""
        body = {"kind": kind, "digest": digest}
        return dict(self._wire.post("/exports", body, speaker=speaker))


class Models:
    """The models of the studies that this hospital led."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> list[Record]:
        """List the models."""
        return self._wire.list("/models")[::-1]

    def export(self, digest: str, *, to: str | Path, speaker: Speaker) -> Record:
        """Write a released model with its passport and card into a folder; `files` names them."""
        body = {"to": str(Path(to).absolute())}
        return dict(self._wire.post(f"/models/{digest}/export", body, speaker=speaker))

    def audit(
        self,
        digest: str,
        *,
        folder: str | Path | None = None,
        limit: float | None = None,
        references: int | None = None,
        progress: Progress | None = None,
    ) -> Record:
        """Attack a model with this hospital's own patients, inside its node.

        Parameters
        ----------
        digest : str
            Of the weights.
        folder : str or Path, optional
            Where passport and weights lie, for a model that another hospital led.
        limit : float, optional
            Greatest area of an attack that passes.
        references : int, optional
            Reference models; as many as the data are worth if not given.

        Returns
        -------
        dict
            The verdict; `statement` is its signed form, empty where `withheld`
            says why it must stay here; `marked` whether it lies beside the passport.
        """
        body: Record = {"folder": str(Path(folder).absolute()) if folder else ""}
        body |= {} if limit is None else {"limit": limit}
        body |= {} if references is None else {"references": references}
        task = self._wire.post(f"/models/{quote(digest, safe=':')}/audit", body)
        return dict(self._wire.wait_task(name_of(task), progress=progress))

    def mark(self, statement: str) -> Record:
        """Lay another hospital's signed verdict beside the passport that it is about."""
        return dict(self._wire.post("/verdicts", {"statement": statement}))
