"""Hospitals in memory: desks of the local engine, for simulations of many sites.

Each has a key and an array file and lets out only what fits the plan's layout
and the closed vocabulary of facts, under its signature; so the round loop above
cannot tell it from a node. There are no agreements, budgets or evidence: who
simulates holds all the data already.
"""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

import numpy as np

from consilium.federation.contract import Cases, Needs
from consilium.federation.ports import EVALUATE
from consilium.gate.facts import CountRule, check_facts
from consilium.gate.orders import Invitation, Order, peek_study
from consilium.gate.replies import TRAIN, Answer, pack_reply
from consilium.gate.updates import check_layout, largest_update, plan_layout, read_update
from consilium.kernel.canonical import Digest, Json
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import AgreementId, DatasetId, LeaseId, ParticipantId
from consilium.ledger.keys import SigningKey
from consilium.models.weights import pack_arrays

MIN_CASES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLease:
    """An array file in memory, open for one task."""

    id: LeaseId
    file: BinaryIO
    facts: Mapping[str, Json]
    kept: bytes = b""


@dataclass(kw_only=True)
class LocalDesk:
    """One simulated hospital's counter.

    `arrays` is an array file's bytes, see `write_sides`.
    """

    participant: ParticipantId
    key: SigningKey
    arrays: bytes
    needs: Needs
    lacks: tuple[str, ...] = ()
    _open: dict[LeaseId, tuple[str, int, Digest, Order]] = field(default_factory=dict)
    _kept: dict[int, bytes] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def invitation(self) -> Invitation:
        """The hospital's place in a plan."""
        return Invitation(
            participant=self.participant,
            agreement=AgreementId(f"urn:local:agreement:{self.participant}"),
            dataset=DatasetId(f"urn:local:dataset:{self.participant}"),
            key=self.key.public.text,
            lacks=self.lacks,
        )

    def admit(self, order: bytes) -> None:
        """Take every order that can be read."""
        peek_study(_read_order(order).signed_study)

    def report_refusal(self, code: str, reason: str, *, what: str = "admission") -> None:
        """Keep nothing: there is no evidence here."""

    def lease(self, order: bytes, *, kind: str, round: int, model: Digest) -> LocalLease:  # noqa: A002
        """Open the array file for one task.

        Discloses
        ---------
        The arrays, to this process.
        """
        with self._lock:
            lease = LeaseId(f"{self.participant}-{next(self._numbers)}")
            self._open[lease] = (kind, round, model, _read_order(order))
            last = [done for done in self._kept if done < round or kind == EVALUATE]
            kept = self._kept[max(last)] if last else b""
        columns: list[Json] = [
            {"name": need.name, "kind": need.kind, "categories": list(need.categories)}
            for need in self.needs.features
        ]
        facts: dict[str, Json] = {
            "participant": self.participant,
            "columns": columns,
            "public": False,
            "min_cases": MIN_CASES,
        }
        return LocalLease(id=lease, file=io.BytesIO(self.arrays), facts=facts, kept=kept)

    def release(
        self, lease: LeaseId, *, update: bytes, facts: Mapping[str, Json], kept: bytes = b""
    ) -> bytes:
        """Judge a result and sign it.

        Raises
        ------
        DeniedError
            As the output gate's checks say; `gate.no_lease`.

        Discloses
        ---------
        The update's arrays and the judged facts.
        """
        with self._lock:
            taken = self._open.pop(lease, None)
            if taken is None:
                raise DeniedError("gate.no_lease")
            kind, number, model, order = taken
            if kept:
                self._kept = {number: kept} | {
                    done: data for done, data in self._kept.items() if number - 2 <= done < number
                }
        study = peek_study(order.signed_study)
        layout = plan_layout(study) if kind == TRAIN else {}
        arrays = read_update(update, largest=largest_update(layout))
        check_layout(arrays, layout or {})
        checked = check_facts(facts, rule=CountRule(smallest=MIN_CASES, largest=2**53 - 1))
        n, work_s = checked.pop("n"), checked.pop("work_s")
        answer = Answer(
            study=study.study,
            segment=order.segment,
            round=number,
            kind=kind,
            participant=self.participant,
            n=int(n),  # type: ignore[arg-type]
            model_in=model,
            facts=checked,
            work_s=float(work_s),  # type: ignore[arg-type]
        )
        return pack_reply(self.key, answer, update=pack_arrays(arrays))


@lru_cache(maxsize=4)
def _read_order(order: bytes) -> Order:
    """Read an order once for all the hospitals of this process."""
    return Order.from_json(order)


def write_sides(sides: tuple[Cases, Cases], needs: Needs) -> bytes:
    """Write a training part and a held-out part as an array file's bytes.

    Discloses
    ---------
    Nothing: the bytes stay in this process.
    """
    train, held_out = sides
    fields = {need.name for need in needs.features}
    tensors = {
        (f"field.{name}" if name in fields else name): np.concatenate(
            [train.tensors[name], held_out.tensors[name]]
        )
        for name in train.tensors
    }
    stream = io.BytesIO()
    np.savez(
        stream,
        x=np.concatenate([train.x, held_out.x]),
        y=np.concatenate([train.y, held_out.y]),
        group=np.concatenate([train.group, held_out.group]),
        part=np.repeat(np.array([0, 1], dtype=np.int8), [train.n, held_out.n]),
        **tensors,  # type: ignore[arg-type]
    )
    return stream.getvalue()


def local_desks(
    space: str,
    sides: Sequence[tuple[Cases, Cases]],
    needs: Needs,
) -> dict[ParticipantId, LocalDesk]:
    """Make a simulated hospital for each pair of parts, with a fresh key each.

    Discloses
    ---------
    Nothing: it makes them in this process.
    """
    desks = {}
    for number, pair in enumerate(sides, start=1):
        participant = ParticipantId(f"did:web:{space}:site-{number:04d}")
        desks[participant] = LocalDesk(
            participant=participant,
            key=SigningKey.generate(),
            arrays=write_sides(pair, needs),
            needs=needs,
        )
    return desks
