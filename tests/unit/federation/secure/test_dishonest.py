"""A hub that lies and sites that lie: honest sites sign and reveal nothing for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from summing import KEYS, Stopped, joined, key_of, named, planned, trained

from consilium.federation.secure import PassingMemory, SumAggregator, SummingSite, SumPlan
from consilium.federation.secure.members import Step
from consilium.federation.secure.messages import (
    Announcement,
    Announcements,
    Confirmation,
    Delivery,
    MaskedUpdate,
    Revealed,
    SealedShares,
    SurvivorCall,
    Upload,
    sign_message,
    verify_message,
)
from consilium.federation.secure.sharing import SHARE_BYTES, join_shares, weights_at_zero
from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.errors import ConsiliumError, DeniedError, IntegrityError, StateError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import SigningKey

A, B, C, D = (named(number) for number in range(4))


def code(caught: pytest.ExceptionInfo[ConsiliumError]) -> str:
    return caught.value.code


# --- a hub that lies about who is in the sum ---


@pytest.mark.parametrize(
    ("survivors", "lost"),
    [
        ((A, B, C, D), (D,)),  # both kinds of shares of D
        ((A, B, C), (C, D)),
        ((A, B, C), ()),  # D nowhere
        ((A, B, C, C), (D,)),
        ((A, B, C, D), (named(7),)),
        ((A, B, C, D, named(7)), ()),
    ],
)
def test_a_hub_that_names_a_site_on_both_lists_or_on_none_is_refused(
    survivors: tuple[Any, ...], lost: tuple[Any, ...]
) -> None:
    stopped = Stopped()
    honest = stopped.sites[A]
    with pytest.raises(DeniedError) as caught:
        honest.confirm(SurvivorCall(survivors=survivors, lost=lost))
    assert code(caught) == "secure.both_shares"
    good = stopped.call(confirmed_by=(0, 1, 2))
    asked = SurvivorCall(survivors=survivors, lost=lost, confirmations=good.confirmations)
    with pytest.raises(DeniedError) as caught:
        honest.reveal(asked)
    assert code(caught) in ("secure.both_shares", "secure.other_survivors")
    assert honest.step is Step.REVEAL


def test_a_second_survivor_set_is_neither_signed_nor_opened() -> None:
    stopped = Stopped()
    honest = stopped.sites[A]
    honest.confirm(stopped.call())
    for ask in (honest.confirm, honest.reveal):
        with pytest.raises(DeniedError) as caught:
            ask(stopped.call(3))
        assert code(caught) == "secure.other_survivors"
    honest.reveal(stopped.call(confirmed_by=(0, 1, 2)))
    for ask in (honest.confirm, honest.reveal):
        with pytest.raises(DeniedError) as caught:
            ask(stopped.call(3))
        assert code(caught) == "secure.other_survivors"


def test_the_same_question_again_gets_the_same_words() -> None:
    stopped = Stopped()
    honest, call = stopped.sites[A], stopped.call(confirmed_by=(0, 1, 2))
    assert honest.confirm(call) == honest.confirm(call)
    assert honest.reveal(call) == honest.reveal(call)
    assert honest.step is Step.DONE


def test_a_site_gives_one_share_for_each_member_and_never_both() -> None:
    stopped = Stopped()
    call = stopped.call(3, confirmed_by=(0, 1, 2))
    told = verify_message(stopped.sites[A].reveal(call), Revealed, plan=stopped.plan)
    assert ({*told.seeds}, {*told.keys}) == ({A, B, C}, {D})


def test_different_survivors_for_different_sites_open_nothing() -> None:
    # Four sites, none colluding: no two sets can both have three signatures.
    stopped = Stopped()
    whole = stopped.call(confirmed_by=(0, 1))
    short = stopped.call(3, confirmed_by=(2,))
    mixed = whole.confirmations + short.confirmations
    for number, call in ((0, whole), (1, whole), (2, short)):
        with pytest.raises(DeniedError) as caught:
            stopped.sites[named(number)].reveal(replace(call, confirmations=mixed))
        assert code(caught) == "secure.unconfirmed"


def also_signed(stopped: Stopped, call: SurvivorCall, *colluders: int) -> SurvivorCall:
    """The call with confirmations of colluding sites, which sign whatever helps."""
    honest = verify_message(call.confirmations[0], Confirmation, plan=stopped.plan)
    texts = tuple(
        sign_message(KEYS[number], replace(honest, site=named(number)), plan=stopped.plan)
        for number in colluders
    )
    return replace(call, confirmations=call.confirmations + texts)


def test_one_colluding_site_of_four_does_not_open_two_sets() -> None:
    # 2t > K + c: D signs everything, but A, B and C cannot make three of both sets.
    stopped = Stopped()
    whole = also_signed(stopped, stopped.call(confirmed_by=(1, 2)), 3)
    short = also_signed(stopped, stopped.call(1, confirmed_by=(0,)), 3)
    for number in (1, 2):
        stopped.sites[named(number)].reveal(whole)
    with pytest.raises(DeniedError) as caught:
        stopped.sites[A].reveal(short)
    assert code(caught) == "secure.unconfirmed"


def test_two_colluding_sites_of_four_do_open_a_site() -> None:
    # The control, and the bound that the threat table states: c = 2t - K is too many.
    stopped = Stopped()
    plan, colluders = stopped.plan, (C, D)
    whole = also_signed(stopped, stopped.call(confirmed_by=(0,)), 2, 3)
    short = also_signed(stopped, stopped.call(0, confirmed_by=(1,)), 2, 3)
    masking, seed = stopped.sites[A]._masking.private_bytes_raw(), stopped.sites[A]._seed
    held = {name: stopped.sites[name]._shares[A] for name in colluders}
    of_a = verify_message(stopped.sites[A].reveal(whole), Revealed, plan=plan).seeds[A]
    of_b = verify_message(stopped.sites[B].reveal(short), Revealed, plan=plan).keys[A]
    for name, honest, part, secret in (
        (A, of_a, slice(None, SHARE_BYTES), seed),
        (B, of_b, slice(SHARE_BYTES, None), masking),
    ):
        shares = {plan.points[site]: share[part] for site, share in held.items()}
        shares[plan.points[name]] = honest
        assert join_shares(shares, weights=weights_at_zero([*shares])) == secret


def test_a_confirmation_does_not_count_twice() -> None:
    stopped = Stopped()
    call = stopped.call(confirmed_by=(0, 1))
    with pytest.raises(IntegrityError) as caught:
        stopped.sites[A].reveal(
            replace(call, confirmations=(*call.confirmations, call.confirmations[0]))
        )
    assert code(caught) == "secure.doubled_message"


def test_a_lost_sites_confirmation_does_not_count() -> None:
    stopped = Stopped()
    call = stopped.call(3, confirmed_by=(0, 1))
    honest = verify_message(call.confirmations[0], Confirmation, plan=stopped.plan)
    from_d = sign_message(KEYS[3], replace(honest, site=D), plan=stopped.plan)
    with pytest.raises(DeniedError) as caught:
        stopped.sites[A].reveal(replace(call, confirmations=(*call.confirmations, from_d)))
    assert code(caught) == "secure.unconfirmed"


def test_a_survivor_set_below_the_threshold_is_refused() -> None:
    stopped = Stopped()
    with pytest.raises(StateError, match="2 of at least 3"):
        stopped.sites[A].confirm(stopped.call(2, 3))


def test_a_site_signs_no_set_without_itself() -> None:
    stopped = Stopped()
    with pytest.raises(DeniedError) as caught:
        stopped.sites[D].confirm(stopped.call(3))
    assert code(caught) == "secure.not_a_survivor"


def test_a_hub_that_shows_other_members_to_one_site_opens_nothing() -> None:
    # A sees three members, the others four: what they confirm differs.
    plan = planned(4)
    hub, sites, updates = SumAggregator(plan), joined(plan), trained(plan)
    for site in sites.values():
        hub.take_announcement(site.announce())
    shown = hub.announcements()
    for site in sites.values():
        hub.take_shares(site.share(shown))
    boxes = hub.deliveries()
    boxes[A] = Delivery(boxes={peer: box for peer, box in boxes[A].boxes.items() if peer != D})
    for name, site in sites.items():
        site.mask(boxes[name], updates[name][0], cases=updates[name][1])
    three = SurvivorCall(survivors=(A, B, C), lost=())
    said = sites[A].confirm(three)
    others = [sites[name].confirm(replace(three, lost=(D,))) for name in (B, C)]
    call = replace(three, confirmations=(said, *others))
    for name, asked in ((A, call), (B, replace(call, lost=(D,)))):
        with pytest.raises(DeniedError) as caught:
            sites[name].reveal(asked)
        assert code(caught) == "secure.unconfirmed"


def test_a_hub_that_leaves_out_or_replaces_an_announcement_is_found_out() -> None:
    plan = planned(4)
    sites = joined(plan)
    texts = {name: site.announce() for name, site in sites.items()}
    left = Announcements(statements=tuple(texts[name] for name in (B, C, D)))
    with pytest.raises(IntegrityError) as caught:
        sites[A].share(left)
    assert code(caught) == "secure.not_shown"
    stranger = SigningKey.generate()
    own = verify_message(texts[B], Announcement, plan=plan)
    swapped = texts | {B: sign_message(stranger, own, plan=plan)}
    with pytest.raises(IntegrityError) as caught:
        sites[A].share(Announcements(statements=tuple(swapped.values())))
    assert code(caught) == "ledger.bad_signature"
    doubled = Announcements(statements=(*texts.values(), texts[B]))
    with pytest.raises(IntegrityError) as caught:
        sites[A].share(doubled)
    assert code(caught) == "secure.doubled_message"
    with pytest.raises(StateError, match="2 of at least 3"):
        sites[A].share(Announcements(statements=(texts[A], texts[B])))
    assert sites[A].step is Step.SHARE


def test_boxes_of_strangers_of_too_few_or_swapped_are_refused() -> None:
    stopped = Stopped(uploads=0)
    site, boxes = stopped.sites[A], dict(stopped.deliveries[A].boxes)
    row, cases = stopped.updates[A]
    few = Delivery(boxes={B: boxes[B]})
    for delivery, wanted in (
        (few, "secure.too_many_lost"),
        (Delivery(boxes=boxes | {named(7): boxes[B]}), "secure.foreign_message"),
        (Delivery(boxes=boxes | {B: boxes[C]}), "secure.bad_box"),
        (Delivery(boxes=stopped.deliveries[B].boxes), "secure.foreign_message"),
    ):
        with pytest.raises(ConsiliumError) as caught:
            site.mask(delivery, row, cases=cases)
        assert code(caught) == wanted
    assert site.step is Step.MASK


# --- what is done once only ---


def test_steps_cannot_be_skipped_or_repeated() -> None:
    site = joined(planned(4))[A]
    call = SurvivorCall(survivors=(A, B, C, D), lost=())
    row = np.zeros(5)
    for early in (
        lambda: site.share(Announcements(statements=())),
        lambda: site.mask(Delivery(boxes={}), row, cases=1),
        lambda: site.confirm(call),
        lambda: site.reveal(call),
    ):
        with pytest.raises(StateError, match="not possible now"):
            early()
    site.announce()
    with pytest.raises(StateError, match="not possible now"):
        site.announce()


def test_an_update_is_masked_once_in_a_sum() -> None:
    stopped = Stopped()
    with pytest.raises(StateError, match="not possible now"):
        stopped.sites[A].mask(stopped.deliveries[A], np.ones(5), cases=1)


def test_shares_are_not_revealed_before_the_set_is_signed() -> None:
    stopped = Stopped()
    call = stopped.call(confirmed_by=(1, 2, 3))
    with pytest.raises(StateError, match="not possible now"):
        stopped.sites[A].reveal(call)


def test_a_round_is_joined_once_and_a_new_attempt_is_another() -> None:
    memory, plan = PassingMemory(), planned(4)
    SummingSite(plan, A, key=key_of(A), memory=memory)
    for again in (plan, planned(5)):
        with pytest.raises(DeniedError) as caught:
            SummingSite(again, A, key=key_of(A), memory=memory)
        assert code(caught) == "secure.round_again"
    SummingSite(planned(4, attempt=2), A, key=key_of(A), memory=memory)


@pytest.mark.parametrize("signed", [False, True])
def test_an_update_is_used_up_for_other_rounds_once_a_survivor_set_is_signed(signed: bool) -> None:
    memories = {name: PassingMemory() for name in planned(4).sites}
    for number in (1, 2):
        plan = planned(4, round=number)
        row = np.linspace(-0.5, 0.5, 5)
        site, delivery = _delivered(plan, memories)
        if number == 2 and signed:
            with pytest.raises(DeniedError) as caught:
                site.mask(delivery, row, cases=10)
            assert code(caught) == "secure.update_again"
            row = row + 0.1
        site.mask(delivery, row, cases=10)
        if signed:
            site.confirm(SurvivorCall(survivors=plan.sites, lost=()))


@pytest.mark.parametrize("step", [0.0, 0.1], ids=["same update", "other update"])
def test_of_one_round_one_survivor_set_is_signed_in_whatever_attempt(step: float) -> None:
    memories = {name: PassingMemory() for name in planned(4).sites}
    first = SurvivorCall(survivors=planned(4).sites[:3], lost=planned(4).sites[3:])
    for attempt in (1, 2):
        plan = planned(4, attempt=attempt)
        site, delivery = _delivered(plan, memories)
        site.mask(delivery, np.linspace(-0.5, 0.5, 5) + attempt * step, cases=10)
        if attempt == 2:
            with pytest.raises(DeniedError) as caught:
                site.confirm(SurvivorCall(survivors=plan.sites, lost=()))
            assert code(caught) == "secure.other_survivors"
        site.confirm(first)


def _delivered(
    plan: SumPlan, memories: dict[ParticipantId, PassingMemory]
) -> tuple[SummingSite, Delivery]:
    """Bring a sum of everyone to where A masks."""
    hub, sites = SumAggregator(plan), joined(plan, memories=memories)
    for site in sites.values():
        hub.take_announcement(site.announce())
    shown = hub.announcements()
    for site in sites.values():
        hub.take_shares(site.share(shown))
    return sites[A], hub.deliveries()[A]


def test_a_site_must_stand_on_the_roster_with_its_key() -> None:
    for site, key in ((named(9), key_of(named(9))), (A, key_of(B))):
        with pytest.raises(IntegrityError) as caught:
            SummingSite(planned(4), site, key=key, memory=PassingMemory())
        assert code(caught) == "secure.foreign_message"


# --- sites that lie to the hub ---


def test_the_hub_takes_no_forged_replayed_or_foreign_message() -> None:
    plan = planned(4)
    other = joined(planned(4, round=2))[A].announce()
    site = joined(plan)[A]
    text = site.announce()
    claimed = verify_message(text, Announcement, plan=plan)
    hub = SumAggregator(plan)
    outsider = replace(claimed, site=named(9))
    for wrong, wanted in (
        (other, "secure.foreign_message"),
        (sign_message(KEYS[1], claimed, plan=plan), "ledger.bad_signature"),
        (sign_message(KEYS[9], outsider, plan=plan), "secure.foreign_message"),
        (text[:-8] + "AAAAAAAA", "ledger.bad_signature"),
        ("x", "ledger.not_a_statement"),
    ):
        with pytest.raises(ConsiliumError) as caught:
            hub.take_announcement(wrong)
        assert code(caught) == wanted
    hub.take_announcement(text)
    with pytest.raises(IntegrityError) as caught:
        hub.take_announcement(text)
    assert code(caught) == "secure.doubled_message"
    with pytest.raises(StateError, match="not possible now"):
        hub.take_shares(text)


def test_the_hub_takes_no_boxes_for_others_than_announced() -> None:
    stopped = Stopped(uploads=0)
    hub = SumAggregator(stopped.plan)
    for text in stopped.shown.statements:
        hub.take_announcement(text)
    hub.announcements()
    given = verify_message(stopped.said[A], SealedShares, plan=stopped.plan)
    fewer = replace(given, boxes={B: given.boxes[B]})
    with pytest.raises(IntegrityError) as caught:
        hub.take_shares(sign_message(KEYS[0], fewer, plan=stopped.plan))
    assert code(caught) == "secure.foreign_message"
    hub.take_shares(stopped.said[A])


def test_the_hub_takes_no_changed_cut_or_late_body() -> None:
    stopped = Stopped()
    good = stopped.uploads[A]
    for body in (good.body[:-1], good.body + b"\0", b"", bytes(len(good.body))):
        with pytest.raises(IntegrityError) as caught:
            stopped.hub.take_masked(Upload(statement=good.statement, body=body))
        assert code(caught) == "secure.foreign_message"
    for name in (A, B, C):
        stopped.hub.take_masked(stopped.uploads[name])
    stopped.hub.survivor_call()
    with pytest.raises(StateError, match="not possible now"):
        stopped.hub.take_masked(stopped.uploads[D])


def confirmed(sites: int = 4, **given: Any) -> Stopped:
    """A sum whose next messages are the sites' shares."""
    stopped = Stopped(sites, **given)
    for one in stopped.uploads.values():
        stopped.hub.take_masked(one)
    call = stopped.hub.survivor_call()
    for name in stopped.uploads:
        stopped.hub.take_confirmation(stopped.sites[name].confirm(call))
    return stopped


def test_the_hub_takes_no_confirmation_of_something_else() -> None:
    stopped = Stopped()
    for name in (A, B, C):
        stopped.hub.take_masked(stopped.uploads[name])
    call = stopped.hub.survivor_call()
    honest = verify_message(stopped.sites[A].confirm(call), Confirmation, plan=stopped.plan)
    nothing = Digest("sha256:" + "0" * 64)
    for wrong, key in (
        (replace(honest, survivors=nothing), KEYS[0]),
        (replace(honest, transcript=nothing), KEYS[0]),
        (replace(honest, site=D), KEYS[3]),
    ):
        with pytest.raises(IntegrityError) as caught:
            stopped.hub.take_confirmation(sign_message(key, wrong, plan=stopped.plan))
        assert code(caught) == "secure.foreign_message"


def lying(stopped: Stopped, text: str) -> str:
    """The same shares with one changed, signed by the same site."""
    told = verify_message(text, Revealed, plan=stopped.plan)
    share = told.seeds[B]
    seeds = {**told.seeds, B: share[:-1] + bytes([share[-1] ^ 1])}
    return sign_message(key_of(told.site), replace(told, seeds=seeds), plan=stopped.plan)


@pytest.mark.parametrize("liar", range(4))
def test_one_false_share_stops_nothing_when_an_answer_is_to_spare(liar: int) -> None:
    stopped = confirmed()
    final = stopped.hub.reveal_call()
    for number, site in enumerate(stopped.sites.values()):
        text = site.reveal(final)
        stopped.hub.take_revealed(lying(stopped, text) if number == liar else text)
    found = stopped.hub.total()
    assert len(found.survivors) == 4


def test_one_false_share_without_an_answer_to_spare_is_found_out() -> None:
    stopped = confirmed(3)
    final = stopped.hub.reveal_call()
    for number, site in enumerate(stopped.sites.values()):
        text = site.reveal(final)
        stopped.hub.take_revealed(lying(stopped, text) if number == 2 else text)
    with pytest.raises(IntegrityError) as caught:
        stopped.hub.total()
    assert (code(caught), caught.value.facts) == ("secure.false_share", {"site": B})


def test_the_hub_takes_no_share_of_another_kind_than_asked() -> None:
    stopped = confirmed(4, uploads=3)
    final = stopped.hub.reveal_call()
    told = verify_message(stopped.sites[A].reveal(final), Revealed, plan=stopped.plan)
    both = replace(told, keys={**told.keys, B: told.seeds[B]})
    with pytest.raises(IntegrityError) as caught:
        stopped.hub.take_revealed(sign_message(KEYS[0], both, plan=stopped.plan))
    assert code(caught) == "secure.foreign_message"


def test_an_update_masked_outside_the_protocol_does_not_pass_for_a_sum() -> None:
    stopped = Stopped()
    body = np.random.default_rng(42).bytes(len(stopped.uploads[A].body))
    said = MaskedUpdate(site=A, body=digest_of(body))
    stopped.uploads[A] = Upload(statement=sign_message(KEYS[0], said, plan=stopped.plan), body=body)
    for one in stopped.uploads.values():
        stopped.hub.take_masked(one)
    call = stopped.hub.survivor_call()
    for site in stopped.sites.values():
        stopped.hub.take_confirmation(site.confirm(call))
    final = stopped.hub.reveal_call()
    for site in stopped.sites.values():
        stopped.hub.take_revealed(site.reveal(final))
    with pytest.raises(IntegrityError) as caught:
        stopped.hub.total()
    assert code(caught) == "secure.bad_sum"
