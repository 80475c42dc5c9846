"""The folder of one attempt at a segment: the truth about what has been learnt.

An engine may lose a job, report it wrongly or run it on after its successor
began. So each attempt has a folder of its own, each file in it is complete or
absent, and what a round was is told by these files alone::

    order.json            the order; written last when the folder is made
    start.safetensors     the model the attempt starts from
    start-rule.safetensors  the aggregation rule's memory at the start
    events.jsonl          one canonical JSON line for each event
    answers.jsonl         one line for each answer the moment it came; for people, and never synced
    round-00001.safetensors, rule-00001.safetensors, state-00001.json
    called-00001.json     who was asked to confirm a round's secure sum; written before the asking
    evaluation.json       the sites' signed evaluations of the last model
    final.safetensors     the last model; written last of all
    yield                 the coordinator's wish that the segment end after this round

`state-N.json` is written after the two files it names, so a state file on the
disk means that the round is closed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from consilium.federation.records import ClosedRound, StartingPoint
from consilium.gate.orders import Order
from consilium.kernel.canonical import Digest, Json, canonical_bytes, digest_of, read_json
from consilium.kernel.errors import IntegrityError, NotFoundError, StateError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.files import write_atomic


class SegmentFolder:
    """One attempt's folder; written by the round loop alone, read by anyone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, order: Order, point: StartingPoint) -> SegmentFolder:
        """Make the folder of a fresh attempt, with everything that the loop needs.

        Raises
        ------
        StateError
            `federation.folder_taken` when the attempt already has one.
        """
        folder = cls(path)
        try:
            path.mkdir(parents=True, mode=0o700)
        except FileExistsError as error:
            raise StateError("federation.folder_taken", folder=path.name) from error
        write_atomic(path / "start.safetensors", point.model)
        write_atomic(path / "start-rule.safetensors", point.rule_state)
        for number, sites in point.called.items():
            folder.write_called(number, sites)
        write_atomic(path / "order.json", order.as_json())
        return folder

    def order(self) -> Order:
        """Read the order that the attempt follows."""
        return Order.from_json(self._read("order.json"))

    def start(self) -> bytes:
        """Read the starting model, checked against the order."""
        data = self._read("start.safetensors")
        return _checked(data, self.order().start, what="start")

    def start_rule(self) -> bytes:
        """Read the aggregation rule's memory at the start; empty at round 1."""
        return self._read("start-rule.safetensors")

    def write_round(self, closed: ClosedRound, *, model: bytes, rule_state: bytes) -> None:
        """Make a round durable: model, rule memory, then the record that names them."""
        write_atomic(self.path / _name("round", closed.round, "safetensors"), model)
        write_atomic(self.path / _name("rule", closed.round, "safetensors"), rule_state)
        write_atomic(self.path / _name("state", closed.round, "json"), closed.as_json())

    def write_called(self, number: int, sites: Sequence[ParticipantId]) -> None:
        """Note who is about to be asked to confirm a round's secure sum."""
        write_atomic(self.path / _name("called", number, "json"), canonical_bytes(list(sites)))

    def called(self) -> dict[int, tuple[ParticipantId, ...]]:
        """Return by round who was asked to confirm its secure sum, here or in an attempt before."""
        files = {int(file.stem[7:]): file.name for file in self.path.glob("called-*.json")}
        return {
            number: tuple(ParticipantId(str(site)) for site in _list(self._read(files[number])))
            for number in sorted(files)
        }

    def rounds(self) -> list[int]:
        """List the closed rounds, ascending."""
        return sorted(int(file.stem[6:]) for file in self.path.glob("state-*.json"))

    def closed_round(self, number: int) -> ClosedRound:
        """Read one round's record."""
        return ClosedRound.from_json(self._read(_name("state", number, "json")))

    def model(self, number: int) -> bytes:
        """Read the model that a round ended with, checked against its record."""
        data = self._read(_name("round", number, "safetensors"))
        return _checked(data, self.closed_round(number).model, what="model")

    def rule_state(self, number: int) -> bytes:
        """Read the rule's memory after a round, checked against its record."""
        data = self._read(_name("rule", number, "safetensors"))
        return _checked(data, self.closed_round(number).rule_state, what="rule state")

    def countersigned(self, number: int) -> tuple[str, ...]:
        """Read the sites' statements over a round's model; they came with the next task."""
        if number + 1 in self.rounds():
            return self.closed_round(number + 1).countersigned
        if (self.path / "evaluation.json").is_file() and self.evaluation()["round"] == number:
            return tuple(self.evaluation()["countersigned"])
        return ()

    def write_end(self, evaluation: Json, *, model: bytes) -> None:
        """Make the end durable: the evaluation first, then the last model."""
        write_atomic(self.path / "evaluation.json", canonical_bytes(evaluation))
        write_atomic(self.path / "final.safetensors", model)

    def has_ended(self) -> bool:
        """Say whether the segment came to its end: the last model stands there."""
        return (self.path / "final.safetensors").is_file()

    def final(self) -> bytes:
        """Read the last model, checked against the evaluation's record."""
        return _checked(
            self._read("final.safetensors"), Digest(self.evaluation()["model"]), what="model"
        )

    def evaluation(self) -> dict[str, Any]:
        """Read `evaluation.json`: model, replies by site, countersignatures, missing sites."""
        return dict(read_json(self._read("evaluation.json")))  # type: ignore[arg-type]

    def ask_to_yield(self) -> None:
        """Ask the round loop to end the segment before its next round."""
        write_atomic(self.path / "yield", b"")

    def should_yield(self) -> bool:
        """Say whether the segment was asked to end early."""
        return (self.path / "yield").is_file()

    def is_complete(self) -> bool:
        """Say whether the folder was made to the end; a crash may leave half of one."""
        return (self.path / "order.json").is_file()

    def add_event(self, event: dict[str, Json]) -> None:
        """Append one event as a canonical JSON line and sync it."""
        with (self.path / "events.jsonl").open("ab") as file:
            file.write(canonical_bytes(event) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Read the events from line `after` on; a torn last line is not yet an event."""
        return list(self._lines())[after:]

    def note_answer(self, task: str, number: int, *, site: ParticipantId, size: int) -> None:
        """Note that a site has answered a task of a round, for whoever watches.

        Called by an engine's threads the moment an answer comes; whether it
        holds is judged later. Nothing rests on the note, so nothing waits for it.
        """
        note: dict[str, Json] = {"task": task, "round": number, "site": site, "bytes": size}
        with suppress(OSError), (self.path / "answers.jsonl").open("ab") as file:
            file.write(canonical_bytes(note) + b"\n")

    def answers(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Read the notes of answers behind a byte, and say where they end."""
        file = self.path / "answers.jsonl"
        if not file.is_file():
            return [], offset
        with file.open("rb") as stream:
            stream.seek(offset)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]
        found = [dict(read_json(line)) for line in whole.splitlines()]  # type: ignore[arg-type]
        return found, offset + len(whole)

    def _lines(self) -> Iterator[dict[str, Any]]:
        file = self.path / "events.jsonl"
        data = file.read_bytes() if file.is_file() else b""
        for line in data.splitlines(keepends=True):
            if line.endswith(b"\n"):
                yield dict(read_json(line))  # type: ignore[arg-type]

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError("federation.no_file", file=name, folder=self.path.name) from error


def _list(data: bytes) -> list[Json]:
    found = read_json(data)
    return found if isinstance(found, list) else []


def _name(kind: str, number: int, ending: str) -> str:
    return f"{kind}-{number:05d}.{ending}"


def _checked(data: bytes, digest: Digest, *, what: str) -> bytes:
    if digest_of(data) != digest:
        raise IntegrityError("federation.broken_round", what=what)
    return data
