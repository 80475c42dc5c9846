"""Negotiations and transfers in the Python client: list, show, start and steer them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consilium.space.wire import Wire

Record = dict[str, Any]


class Processes:
    """What negotiations and transfers have in common.

    Parameters
    ----------
    wire : Wire
        The way to the node.
    noun : str
        Their route.
    """

    def __init__(self, wire: Wire, noun: str) -> None:
        self._wire = wire
        self._noun = noun

    def list(self, **wanted: str) -> list[Record]:
        """List them, the newest first; `role`, `state` and `waits_for` narrow the list."""
        found = {key: value for key, value in wanted.items() if value}
        return [dict(each) for each in self._wire.get(f"/{self._noun}", **found)]

    def get(self, pid: str) -> Record:
        """Return one with its history and what it waits for."""
        return dict(self._wire.get(f"/{self._noun}/{pid}"))

    def step(self, pid: str, verb: str, body: Mapping[str, Any] | None = None) -> Record:
        """Take a step of our side."""
        return dict(self._wire.post(f"/{self._noun}/{pid}/{verb}", body))

    def terminate(self, pid: str, *, code: str = "local.decision", reason: str = "") -> Record:
        """End one, and tell the other hospital why."""
        return self.step(pid, "terminate", {"code": code, "reason": reason})

    def _open(self, verb: str, body: Mapping[str, Any]) -> Record:
        return dict(self._wire.post(f"/{self._noun}/{verb}", body))


class Negotiations(Processes):
    """Negotiations with other hospitals, in both roles."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire, "negotiations")

    def request(
        self,
        participant: str,
        *,
        dataset: str,
        offer: str = "",
        terms: Mapping[str, Any] | None = None,
    ) -> Record:
        """Ask a hospital for an agreement; `terms` holds what is to differ from its offer."""
        body = {"participant": participant, "dataset": dataset, "offer": offer}
        return self._open("request", body | {"terms": dict(terms or {})})

    def offer(
        self, participant: str, *, dataset: str, terms: Mapping[str, Any] | None = None
    ) -> Record:
        """Offer a hospital an agreement; `terms` holds what is to differ from what is published."""
        body = {"participant": participant, "dataset": dataset, "terms": dict(terms or {})}
        return self._open("offer", body)

    def counter(self, pid: str, *, terms: Mapping[str, Any]) -> Record:
        """Answer with other terms; `terms` holds what is to differ from those on the table."""
        return self.step(pid, "counter", {"terms": dict(terms)})

    def accept(self, pid: str) -> Record:
        """Accept the provider's offer."""
        return self.step(pid, "accept")

    def agree(self, pid: str) -> Record:
        """Agree, as provider."""
        return self.step(pid, "agree")

    def verify(self, pid: str) -> Record:
        """Verify the agreement, as consumer."""
        return self.step(pid, "verify")

    def finalize(self, pid: str) -> Record:
        """Finalise, as provider."""
        return self.step(pid, "finalize")


class Transfers(Processes):
    """Transfers, in both roles: each opens one study under one agreement."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire, "transfers")

    def request(self, agreement: str, *, study: str | Path, endpoint: str) -> Record:
        """Open a signed study under an agreement; `study` is the signed text or a file of it."""
        text = study.read_text(encoding="utf-8").strip() if isinstance(study, Path) else study
        return self._open("request", {"agreement": agreement, "study": text, "endpoint": endpoint})

    def start(self, pid: str) -> Record:
        """Start it, as provider."""
        return self.step(pid, "start")

    def suspend(self, pid: str, *, code: str = "local.decision", reason: str = "") -> Record:
        """Pause it; until it is resumed no data are opened."""
        return self.step(pid, "suspend", {"code": code, "reason": reason})

    def resume(self, pid: str) -> Record:
        """Let it go on."""
        return self.step(pid, "resume")

    def complete(self, pid: str) -> Record:
        """Complete it."""
        return self.step(pid, "complete")
