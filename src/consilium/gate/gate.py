"""The gate: one way in and one way out, for every computation on a hospital's data.

It lives in the node's process and serves job processes through the desk. Each
verb is one decision: what speaks against it is checked, the decision and its
evidence are committed together, and only then does anything happen. Nothing is
opened for an order that was refused, and nothing leaves without an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from consilium.dataspace.vocabulary import METRICS, MODEL
from consilium.gate.admission import (
    Asked,
    House,
    Standing,
    check_newest,
    check_order,
    check_standing,
    check_terms,
    nowhere,
    planned_rounds,
    read_asked,
)
from consilium.gate.arrays import ArrayFiles
from consilium.gate.budgets import claim_study
from consilium.gate.kept import Kept
from consilium.gate.leases import (
    REFUSED,
    USED,
    Lease,
    Round,
    check_round,
    describe_data,
    end_lease,
    grant_lease,
    read_round,
)
from consilium.gate.outputs import check_output
from consilium.gate.release import (
    Leased,
    find_leased,
    judge_facts,
    judge_update,
    mask_answer,
    needs_masks,
    pin_layout,
    place_of,
    sign_answer,
)
from consilium.gate.replies import TRAIN
from consilium.gate.store import ORDERS, count_orders, find_newest_order
from consilium.gate.sums import MASKED, NoSums, Question, Sums
from consilium.gate.training import check_told, planned_loss, secret_of
from consilium.kernel.canonical import Digest, Json, digest_of
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
)
from consilium.kernel.identifiers import LeaseId, ParticipantId, StudyId
from consilium.ledger.database import Database, Transaction
from consilium.ledger.files import BlobStore
from consilium.ledger.keys import SigningKey
from consilium.models.weights import Arrays, pack_arrays

MIN_CASES = 10
"""The smallest count that may leave, unless the data are declared public."""

REPORTED = ("admission", "task", "command")
"""What the engine's side may refuse by itself."""
MOST_ATTEMPTS = 1_000
"""Orders that are admitted for one study; an honest hub needs some for each crash."""
MOST_ADMISSIONS = 64
"""How often one and the same order is admitted in the life of a process."""

REFUSALS = (DeniedError, InputError, IntegrityError, NotFoundError)


class Gate:
    """Admits orders, grants leases and releases results.

    Parameters
    ----------
    database : Database
        The node's; budgets and evidence live in it.
    me : ParticipantId
        This hospital.
    key : SigningKey
        Signs replies; its public half is the one pinned in agreements.
    clock : Clock
        Judges expiry and deadlines.
    blobs : BlobStore
        Holds the array files of the registered datasets.
    installed : mapping of str to Digest
        Recipes that this release brings, by name.
    min_cases : int, optional
        Smallest count that may leave.
    location_of : callable, optional
        Gives a member's country or region, "" if unknown.
    sums : Sums, optional
        Masks updates of plans that say `secure`; without it they are refused.
    noisy : frozenset of str, optional
        Installed recipes that draw noise.
    """

    def __init__(
        self,
        database: Database,
        *,
        me: ParticipantId,
        key: SigningKey,
        clock: Clock,
        blobs: BlobStore,
        installed: Mapping[str, Digest],
        min_cases: int = MIN_CASES,
        location_of: Callable[[ParticipantId], str] = nowhere,
        sums: Sums | None = None,
        noisy: frozenset[str] = frozenset(),
    ) -> None:
        self._database = database
        self._sums = sums or NoSums()
        self._key = key
        self._house = House(
            me=me,
            key=key.public,
            clock=clock,
            installed=dict(installed),
            location_of=location_of,
            noisy=noisy,
        )
        self._arrays = ArrayFiles(blobs)
        self._kept = Kept(blobs)
        self._min_cases = min_cases
        self._again: dict[StudyId, tuple[Digest, int]] = {}

    def admit(self, order: bytes) -> None:
        """Let a segment begin here, or refuse it. Nothing is opened either way.

        Parameters
        ----------
        order : bytes
            As the hub sent it.

        Raises
        ------
        DeniedError
            With the rule that says no; it stands in the evidence log too.

        Discloses
        ---------
        That the segment is admitted, or by which rule it is not.
        """
        facts: dict[str, Json] = {"order": digest_of(order)}
        with self._refusals("admission.refused", facts):
            asked = read_asked(order, house=self._house)
            facts |= _names(asked)
            with self._database.write() as tx:
                standing = check_standing(tx.connection, asked, house=self._house)
                check_order(tx.connection, asked, standing, house=self._house)
                self._admit(tx, asked, standing)
                tx.record("admission.granted", asked.study.study, facts | _ground(standing))

    def report_refusal(self, code: str, reason: str, *, what: str = "admission") -> None:
        """Keep as evidence that the engine's side refused the hub before the gate was asked.

        Parameters
        ----------
        code, reason : str
            Of the refusal; cut at a length that no error of ours reaches.
        what : str, optional
            What was refused: an `admission`, a `task` or a `command`.

        Discloses
        ---------
        Nothing.
        """
        said: dict[str, Json] = {"code": code[:80], "rule": code[:80], "reason": reason[:400]}
        kind = f"{what if what in REPORTED else REPORTED[0]}.refused"
        self._database.refusals.keep(kind, self._house.me, said, rule=code[:80])

    def lease(self, order: bytes, *, kind: str, round: int, model: Digest) -> Lease:  # noqa: A002
        """Open the data for one task, or refuse; everything is asked anew.

        Parameters
        ----------
        order : bytes
            The admitted order, the same bytes' meaning.
        kind : str
            `train` or `evaluate`.
        round : int
            The round trained in; for an evaluation the study's last round.
        model : Digest
            Of the model's bytes as received.

        Returns
        -------
        Lease
            With the open array file; whoever takes it closes it.

        Raises
        ------
        DeniedError
            With the rule that says no.
        IntegrityError, NotFoundError
            When the array file is not the registered one, or gone.

        Discloses
        ---------
        The dataset's arrays to the job process on this machine, no further.
        """
        facts: dict[str, Json] = {"order": digest_of(order)}
        with self._refusals("lease.refused", facts):
            wanted = read_round(kind, round, model)
            asked = read_asked(order, house=self._house)
            facts |= _names(asked) | _task(wanted)
            with self._database.write() as tx:
                standing = check_standing(tx.connection, asked, house=self._house)
                lease, deadline = grant_lease(tx, asked, standing, wanted, house=self._house)
                tx.record(
                    "lease.granted", asked.study.study, facts | _ground(standing) | {"lease": lease}
                )
                kept = self._kept.find(tx.connection, asked, wanted)
            file = self._arrays.open(standing.dataset.arrays)
        described = describe_data(
            standing, house=self._house, min_cases=self._min_cases, deadline=deadline
        )
        # Also without noise: which patients a clipped step draws is nobody else's business.
        described["secret"] = secret_of(
            self._key, asked.study, kind=wanted.kind, number=wanted.round, model=wanted.model
        )
        return Lease(id=lease, file=file, facts=described, kept=kept)

    def release(
        self, lease: LeaseId, *, update: bytes, facts: Mapping[str, Json], kept: bytes = b""
    ) -> bytes:
        """Judge a result and return the signed bytes to send, or refuse it.

        A lease serves one release; a refused one does not get a second try.

        Parameters
        ----------
        lease : LeaseId
            From `lease`.
        update : bytes
            A safetensors file with the model's arrays; without any for an evaluation.
        facts : mapping
            `n`, `work_s`, and what the recipe reports, in the closed vocabulary.
        kept : bytes, optional
            What this site keeps for its next round: a safetensors file. It
            never leaves.

        Returns
        -------
        bytes
            A reply; see `consilium.gate.replies`.

        Raises
        ------
        DeniedError
            With the rule that says no; nothing leaves then.

        Discloses
        ---------
        The update's arrays and the judged facts, under this hospital's
        signature, to whoever gets the returned bytes.
        """
        said: dict[str, Json] = {"bytes": len(update)}
        with self._refusals("release.refused", said, lease=lease):
            with self._database.read() as connection:
                leased = find_leased(connection, lease, house=self._house)
                said |= _names(leased.asked) | _task(leased.round) | {"lease": leased.id}
                standing = check_standing(connection, leased.asked, house=self._house)
            arrays = judge_update(leased, update)
            study = leased.asked.study
            check_output(
                standing.agreement,
                MODEL if arrays else METRICS,
                has_noise=study.has_bound,
                is_summed=study.secure is not None,
            )
            checked = judge_facts(leased, facts, standing=standing, min_cases=self._min_cases)
            check_told(study, kind=leased.round.kind, facts=checked)
            reply, told = self._answer(leased, arrays, checked)
            said |= told | {"reply": digest_of(reply)}
            with self._database.write() as tx:
                standing = self._still_standing(tx, leased)
                pin_layout(tx, leased, standing, arrays)
                self._kept.keep(tx, leased.asked, leased.round, kept)
                tx.record("release.granted", leased.asked.study.study, said | _ground(standing))
        return reply

    def converse(self, order: bytes, question: Question) -> bytes:
        """Answer one step of a secure sum, or refuse it.

        Parameters
        ----------
        order : bytes
            The admitted order, the same bytes' meaning.
        question : Question
            As the hub sent it.

        Raises
        ------
        DeniedError, InputError, IntegrityError, StateError
            With the rule or the flaw; nothing leaves then.

        Discloses
        ---------
        What `Sums.answer` gives: keys, sealed shares, signatures, and shares of
        a sum that enough hospitals confirmed. Never an update.
        """
        facts: dict[str, Json] = {"order": digest_of(order), "step": question.step[:20]}
        with self._refusals("sum.refused", facts):
            wanted = read_round(TRAIN, question.round, question.model)
            asked = read_asked(order, house=self._house)
            facts |= _names(asked) | _task(wanted)
            if asked.study.secure is None:
                raise DeniedError("gate.not_a_secure_plan", study=asked.study.study)
            with self._database.read() as connection:
                check_standing(connection, asked, house=self._house)
                check_newest(connection, asked)
            check_round(asked, wanted)
            return self._sums.answer(place_of(asked, wanted), question)

    def find_refusal(self, order: bytes) -> DeniedError | None:
        """Say why work under an admitted order may not go on, or None while it may.

        Asked again and again while a job runs; it changes nothing and leaves no
        evidence, which is for whoever acts on it.

        Discloses
        ---------
        Nothing.
        """
        try:
            asked = read_asked(order, house=self._house)
            with self._database.read() as connection:
                check_standing(connection, asked, house=self._house)
        except DeniedError as refusal:
            return refusal
        return None

    def _answer(
        self, leased: Leased, arrays: Arrays, facts: dict[str, Any]
    ) -> tuple[bytes, dict[str, Json]]:
        """Sign what was judged, masked if the plan says so; return the evidence's facts too."""
        if not needs_masks(leased):
            reply = sign_answer(leased, arrays, facts, house=self._house, key=self._key)
            return reply, {"update": digest_of(pack_arrays(arrays))}
        masked, facts = mask_answer(leased, arrays, facts, sums=self._sums)
        body = {MASKED: masked.vector}
        reply = sign_answer(
            leased, body, facts, house=self._house, key=self._key, masked=masked.statement
        )
        return reply, {"masked": digest_of(pack_arrays(body)), **masked.facts}

    def _admit(self, tx: Transaction, asked: Asked, standing: Standing) -> None:
        """Claim the study's place, ask the terms, and remember the order."""
        study, order, now = asked.study, asked.order, write_time(self._house.clock.now())
        place = claim_study(
            tx, agreement=standing.agreement.id, study=study.study, digest=study.digest, now=now
        )
        rounds = planned_rounds(tx.connection, asked, standing)
        loss = planned_loss(tx.connection, study, standing.agreement)
        check_terms(asked, standing, house=self._house, place=place, rounds=rounds, loss=loss)
        if study.secure is not None:
            self._sums.check(study, cases=standing.dataset.n_train)
        newest = find_newest_order(
            tx.connection, agreement=standing.agreement.id, study=study.study
        )
        if newest is not None and newest["digest"] == order.digest:
            self._count_again(asked)
            return
        orders = count_orders(tx.connection, agreement=standing.agreement.id, study=study.study)
        if orders >= MOST_ATTEMPTS:
            raise DeniedError("gate.too_many_attempts", study=study.study, most=MOST_ATTEMPTS)
        row = {
            "agreement": standing.agreement.id,
            "study": study.study,
            "attempt": order.attempt,
            "segment": order.segment,
            "digest": order.digest,
            "body": order.as_json().decode(),
            "admitted": now,
        }
        tx.execute(sa.insert(ORDERS).values(**row))

    def _count_again(self, asked: Asked) -> None:
        """Let an order come again, but not for ever: each time is an entry and a process."""
        study, digest = asked.study.study, asked.order.digest
        known, times = self._again.get(study, (digest, 0))
        self._again[study] = (digest, times + 1 if known == digest else 1)
        if self._again[study][1] >= MOST_ADMISSIONS:
            raise DeniedError("gate.too_many_attempts", study=study, most=MOST_ADMISSIONS)

    def _still_standing(self, tx: Transaction, leased: Leased) -> Standing:
        """Ask once more, in the transaction that lets the result out; take the lease back."""
        standing = check_standing(tx.connection, leased.asked, house=self._house)
        check_newest(tx.connection, leased.asked)
        if not end_lease(tx, leased.id, state=USED):
            raise DeniedError("gate.lease_used", round=leased.round.round)
        return standing

    @contextmanager
    def _refusals(
        self, kind: str, facts: Mapping[str, Json], *, lease: LeaseId | None = None
    ) -> Iterator[None]:
        """Write every refusal into the evidence log before it is told."""
        try:
            yield
        except REFUSALS as refusal:
            with self._database.write() as tx:
                if lease is not None:
                    end_lease(tx, lease, state=REFUSED)
                told = _told(refusal, facts)
                subject = str(facts.get("study", self._house.me))
                self._database.refusals.record(tx, kind, subject, told, rule=str(told["rule"]))
            raise


def _told(refusal: ConsiliumError, facts: Mapping[str, Json]) -> dict[str, Json]:
    rule = refusal.rule if isinstance(refusal, DeniedError) else refusal.code
    return {**facts, "code": refusal.code, "rule": rule, "reason": refusal.public}


def _names(asked: Asked) -> dict[str, Json]:
    order, study = asked.order, asked.study
    return {
        "study": study.study,
        "plan": study.digest,
        "segment": order.segment,
        "attempt": order.attempt,
        "agreement": asked.place.agreement,
    }


def _ground(standing: Standing) -> dict[str, Json]:
    return {"dataset": standing.dataset.id, "public": standing.dataset.public}


def _task(wanted: Round) -> dict[str, Json]:
    return {"kind": wanted.kind, "round": wanted.round, "model": wanted.model}
