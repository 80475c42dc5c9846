"""Secure plans at the gate: masked or nothing, one sum a round, and what the evidence says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from consilium.federation.secure import PassingMemory, SumAggregator, SumDesk, plan_of
from consilium.federation.secure.messages import Upload
from consilium.federation.secure.store import StoredMemory
from consilium.gate.gate import Gate
from consilium.gate.orders import Masking, Order
from consilium.gate.replies import SiteReply, verify_reply
from consilium.gate.sums import Question, SumPlace
from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.errors import ConsiliumError, DeniedError
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import pack_arrays

World = Any
MASKS = Masking(clip=2.0, max_cases=60)
GOOD = {"bias": np.array([0.25]), "weight": np.array([1.0, -1.0])}
FACTS: dict[str, Any] = {"n": 60, "work_s": 0.25, "loss_before": 0.7, "loss_after": 1 / 3}
NAMES = ("north", "south", "west")


class Others:
    """The two other hospitals and the hub of one sum, played by the test."""

    def __init__(self, world: World, order: bytes, *, round_: int = 1) -> None:
        self.world, self.order = world, order
        self.place = SumPlace(
            study=world.study,
            order=Order.from_json(order),
            round=round_,
            model=world.study.start,
        )
        self.plan = plan_of(
            self.place.study, self.place.order, round=round_, model=self.place.model
        )
        self.hub = SumAggregator(self.plan)
        self.desks = {
            site: SumDesk(site, key=world.keys[_short(site)], memory=PassingMemory())
            for site in self.plan.sites
            if _short(site) != "south"
        }

    def ask(self, step: str, word: bytes = b"") -> dict[ParticipantId, bytes]:
        """Put a question to the hospital's gate and to the others."""
        question = replace(self.question, step=step, message=word)
        found = {site: desk.answer(self.place, question) for site, desk in self.desks.items()}
        return found | {self.me: self.world.gate.converse(self.order, question)}

    @property
    def question(self) -> Question:
        return Question(step="", round=self.place.round, model=self.place.model)

    @property
    def me(self) -> ParticipantId:
        return next(site for site in self.plan.sites if _short(site) == "south")

    def agree(self) -> None:
        """Exchange keys and shares, and hand out the boxes."""
        for text in self.ask("announce").values():
            self.hub.take_announcement(text.decode())
        shown = canonical_bytes(self.hub.announcements().as_document())
        for text in self.ask("share", shown).values():
            self.hub.take_shares(text.decode())
        for site, one in self.hub.deliveries().items():
            word = replace(
                self.question, step="deliver", message=canonical_bytes(one.as_document())
            )
            if site == self.me:
                self.world.gate.converse(self.order, word)
            else:
                self.desks[site].answer(self.place, word)

    def upload(self, mine: SiteReply) -> None:
        """Take the hospital's masked update, and zeros of the others."""
        zeros = {name: np.zeros(array.shape) for name, array in GOOD.items()}
        for desk in self.desks.values():
            one = desk.mask(self.place, zeros, cases=30)
            self.hub.take_masked(Upload(statement=one.statement, body=one.vector.tobytes()))
        body = mine.arrays["masked"].tobytes()
        self.hub.take_masked(Upload(statement=mine.masked, body=body))


def _short(site: ParticipantId) -> str:
    return site.rpartition(":")[2]


def open_gate(world: World, *, sums: bool = True) -> None:
    """Serve as after a start: whatever lived in the process is gone."""
    me = world.gate._house.me
    desk = SumDesk(me, key=world.keys["south"], memory=StoredMemory(world.database))
    world.gate = Gate(
        world.database,
        me=me,
        key=world.keys["south"],
        clock=world.clock,
        blobs=world.blobs,
        installed=world.installed,
        sums=desk if sums else None,
    )


@pytest.fixture
def secure(world: World) -> World:
    """A hospital that is asked for a secure study, and sums."""
    world.study = replace(world.study, secure=MASKS, quorum=3)
    world.set_transfer(study_digest=world.study.digest)
    open_gate(world)
    return world


@pytest.fixture
def admitted(secure: World) -> World:
    secure.gate.admit(secure.order())
    return secure


def train(world: World, *, round_: int = 1, facts: dict[str, Any] = FACTS) -> SiteReply:
    lease = world.gate.lease(world.order(), kind="train", round=round_, model=world.study.start)
    lease.file.close()
    data = world.gate.release(lease.id, update=pack_arrays(GOOD), facts=facts)
    return verify_reply(
        data,
        key=world.keys["south"].public,
        study=world.study.study,
        kind="train",
        round=round_,
        model=world.study.start,
    )


def refused(act: Callable[[], object], code: str) -> None:
    with pytest.raises(ConsiliumError) as caught:
        act()
    assert caught.value.code == code


def test_an_update_leaves_under_masks_and_the_sum_is_read_by_all_together(admitted: World) -> None:
    others = Others(admitted, admitted.order())
    others.agree()
    reply = train(admitted)
    assert list(reply.arrays) == ["masked"]
    assert (reply.n, reply.facts) == (0, {})
    others.upload(reply)
    call = canonical_bytes(others.hub.survivor_call().as_document())
    for text in others.ask("confirm", call).values():
        others.hub.take_confirmation(text.decode())
    final = canonical_bytes(others.hub.reveal_call().as_document())
    for text in others.ask("reveal", final).values():
        others.hub.take_revealed(text.decode())
    found = others.hub.total()
    np.testing.assert_allclose(found.mean, np.array([0.25, 1.0, -1.0]) * 60 / 120, atol=1e-6)
    assert found.cases == 120
    [released] = admitted.evidence("release.granted")
    assert released.facts["sum"] == others.plan.digest
    assert (released.facts["members"], released.facts["threshold"]) == (3, 3)
    assert "update" not in released.facts
    [joined], [confirmed], [revealed] = (
        admitted.evidence(f"sum.{step}") for step in ("joined", "confirmed", "revealed")
    )
    assert {one.facts["sum"] for one in (joined, confirmed, revealed)} == {others.plan.digest}
    assert confirmed.facts["survivors"] == 3
    assert (revealed.facts["seeds"], revealed.facts["keys"]) == (3, 0)


def test_without_a_sum_under_way_nothing_leaves(admitted: World) -> None:
    refused(lambda: train(admitted), "secure.not_joined")
    assert admitted.evidence("release.granted") == []


def test_one_update_leaves_for_one_sum(admitted: World) -> None:
    others = Others(admitted, admitted.order())
    others.agree()
    train(admitted)
    refused(lambda: train(admitted), "secure.out_of_turn")
    assert len(admitted.evidence("release.granted")) == 1


def test_what_the_gate_would_not_let_out_is_not_masked_either(admitted: World) -> None:
    others = Others(admitted, admitted.order())
    others.agree()
    spoilt = {**GOOD, "weight": np.array([np.nan, 0.0])}
    lease = admitted.gate.lease(admitted.order(), kind="train", round=1, model=admitted.study.start)
    lease.file.close()
    refused(
        lambda: admitted.gate.release(lease.id, update=pack_arrays(spoilt), facts=FACTS),
        "gate.update_not_finite",
    )
    train(admitted)  # the sum itself still stands


def test_a_restart_in_the_middle_of_a_sum_opens_nothing_and_joins_nothing_again(
    admitted: World,
) -> None:
    others = Others(admitted, admitted.order())
    others.agree()
    others.upload(train(admitted))
    open_gate(admitted)
    call = canonical_bytes(others.hub.survivor_call().as_document())
    confirm = replace(others.question, step="confirm", message=call)
    refused(lambda: admitted.gate.converse(admitted.order(), confirm), "secure.not_joined")
    announce = replace(others.question, step="announce")
    refused(lambda: admitted.gate.converse(admitted.order(), announce), "secure.round_again")
    [entry] = admitted.evidence("sum.refused")
    assert (entry.facts["code"], entry.facts["step"]) == ("secure.round_again", "announce")


def test_after_a_signed_set_a_new_attempt_signs_the_same_set_and_no_other(admitted: World) -> None:
    first = Others(admitted, admitted.order())
    first.agree()
    first.upload(train(admitted))
    call = first.hub.survivor_call()
    word = replace(first.question, step="confirm", message=canonical_bytes(call.as_document()))
    admitted.gate.converse(admitted.order(), word)
    # The hub has lost everything, this node has restarted: the round is tried again.
    open_gate(admitted)
    again = admitted.order(attempt=2)
    admitted.gate.admit(again)
    second = Others(admitted, again)
    second.agree()
    lease = admitted.gate.lease(again, kind="train", round=1, model=admitted.study.start)
    lease.file.close()
    admitted.gate.release(lease.id, update=pack_arrays(GOOD), facts=FACTS)
    memory = StoredMemory(admitted.database)
    with pytest.raises(DeniedError) as caught:
        memory.keep_set(second.plan, second.plan.digest, survivors=second.plan.digest, number=2)
    assert caught.value.code == "secure.other_survivors"
    assert admitted.gate.converse(again, word)


def test_a_gate_that_masks_nothing_refuses_a_secure_plan_whole(secure: World) -> None:
    open_gate(secure, sums=False)
    refused(lambda: secure.gate.admit(secure.order()), "gate.cannot_sum")
    assert secure.blobs.looks == 0


def test_a_hospital_with_more_cases_than_planned_takes_no_part(secure: World) -> None:
    secure.study = replace(secure.study, secure=replace(MASKS, max_cases=59))
    secure.set_transfer(study_digest=secure.study.digest)
    refused(lambda: secure.gate.admit(secure.order()), "secure.too_many_cases")


def test_an_agreement_that_demands_secure_aggregation_is_fulfilled_by_a_secure_plan_alone(
    secure: World,
) -> None:
    secure.set_terms(secure_aggregation=True)
    plain = replace(secure.study, secure=None)
    secure.set_transfer(study_digest=plain.digest)
    refused(
        lambda: secure.gate.admit(secure.order(study=plain)), "dataspace.not_aggregated_securely"
    )
    secure.set_transfer(study_digest=secure.study.digest)
    secure.gate.admit(secure.order())
    others = Others(secure, secure.order())
    others.agree()
    assert train(secure).masked
    lease = secure.gate.lease(secure.order(), kind="evaluate", round=3, model=secure.study.start)
    lease.file.close()
    secure.gate.release(lease.id, update=pack_arrays({}), facts={"n": 40, "work_s": 1.0})


def test_questions_outside_a_secure_plan_or_its_rounds_are_refused_and_kept(
    world: World, admitted: World
) -> None:
    ask = Question(step="announce", round=4, model=admitted.study.start)
    refused(lambda: admitted.gate.converse(admitted.order(), ask), "gate.no_such_round")
    odd = replace(ask, round=1, step="open everything")
    refused(lambda: admitted.gate.converse(admitted.order(), odd), "secure.unknown_step")
    admitted.set_agreement("TERMINATED")
    ask = replace(ask, round=1)
    refused(lambda: admitted.gate.converse(admitted.order(), ask), "gate.agreement_not_in_force")
    codes = [entry.facts["code"] for entry in admitted.evidence("sum.refused")]
    assert codes == ["gate.no_such_round", "secure.unknown_step", "gate.agreement_not_in_force"]


def test_a_plain_plan_has_no_sum(world: World) -> None:
    open_gate(world)
    world.gate.admit(world.order())
    ask = Question(step="announce", round=1, model=world.study.start)
    refused(lambda: world.gate.converse(world.order(), ask), "gate.not_a_secure_plan")
