"""The lead's way: from a person's draft to one passport, whatever happens in between."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from dataspace_rehearsal import Hospital
from studies_rehearsal import (
    KilledError,
    Line,
    StudySpace,
    await_study,
    dying,
    lead_once,
    make_draft,
    new_study,
    own_terms,
    study_events,
    study_row,
    transfers_of,
    wait_until,
)

from consilium.dataspace.records import Role
from consilium.dataspace.store import list_agreements
from consilium.dataspace.tables import TRANSFERS
from consilium.federation.proposal import read_draft
from consilium.federation.registry import Recipes
from consilium.federation.states import StudyState
from consilium.federation.store import PAGE, add_event, list_studies
from consilium.federation.studies import draft_study
from consilium.gate.orders import Study, peek_study
from consilium.gate.plain import to_plain
from consilium.kernel.canonical import digest_of, read_json
from consilium.kernel.errors import ConsiliumError, PeerError
from consilium.kernel.identifiers import StudyId
from consilium.models.passports import verify_passport
from consilium.node.leading import Office

pytestmark = pytest.mark.slow


def begin(office: Office, draft: dict[str, Any]) -> StudyId:
    """Keep a draft as `Leading.begin` does, without leading it yet."""
    study, clean = new_study(), read_draft(draft, recipes=Recipes())
    connector = office.connector
    plain: Any = to_plain(clean)
    with connector.database.write() as tx:
        draft_study(tx, study, lead=connector.me, draft=plain, clock=connector.clock)
    return study


def count(hospital: Hospital, kind: str) -> int:
    return hospital.kinds().count(kind)


def transfers(hospital: Hospital) -> int:
    with hospital.database.read() as connection:
        return len(connection.execute(TRANSFERS.select()).all())


def check_completed(world: StudySpace, lead: Hospital, study: StudyId, *sites: Hospital) -> Study:
    """Check that there is one completed study, one passport, and nothing left open."""
    row = study_row(lead, study)
    assert (row["state"], row["reason"]) == ("COMPLETED", "")
    plan = peek_study(row["signed"])
    # 1. One study, here and at the hub.
    with lead.database.read() as connection:
        assert [one["id"] for one in list_studies(connection)] == [study]
    with world.hub.database.read() as connection:
        assert [(one["id"], one["state"]) for one in list_studies(connection)] == [
            (study, "COMPLETED")
        ]
    # 2. One passport, which is the result's.
    (passport,) = (world.folder / f"{lead.name}-models").glob("*.passport")
    result: Any = read_json(row["result"])
    assert result["model"]["passport"] == str(passport)
    verified = verify_passport(passport.read_text(), key=lead.key.public)
    assert verified.weights == result["model"]["digest"]
    weights = passport.with_suffix(".safetensors").read_bytes()
    assert digest_of(weights) == verified.weights
    assert len(list(passport.parent.iterdir())) == 4
    # 3. One entry of evidence for each step.
    for step in ("drafted", "signed", "submitted", "running", "completed"):
        assert count(lead, f"study.{step}") == 1, step
    assert count(lead, "passport.issued") == 1
    # 4. One transfer for each site, completed on both sides.
    assert transfers(lead) == len(sites)
    for site in sites:
        (theirs,) = transfers_of(site, plan, role=Role.PROVIDER).values()
        wait_until(lambda site=site, pid=theirs.pid: site.transfer(pid).state == "COMPLETED")
    ours = transfers_of(lead, plan, role=Role.CONSUMER)
    assert {site: one.state for site, one in ours.items()} == {
        site.me: "COMPLETED" for site in sites
    }
    # 5. Each of the hub's events once, in order.
    numbers = [
        event["facts"]["hub_event"]
        for event in study_events(lead, study)
        if "hub_event" in event["facts"]
    ]
    assert numbers == sorted(set(numbers))
    assert [event["facts"]["round"] for event in study_events(lead, study, "round_closed")] == [
        1,
        2,
    ]
    return plan


def test_a_draft_becomes_one_completed_study_with_one_passport(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    study = world.leading(world.office(north)).begin(make_draft(south, west))
    await_study(north, study)
    check_completed(world, north, study, south, west)
    result: Any = read_json(study_row(north, study)["result"])
    assert [site["id"] for site in result["sites"]] == [south.me, west.me]
    assert result["bytes"]["up"] > 0
    assert result["timing"]["total_s"] > result["timing"]["command_to_first_round_s"] > 0
    assert len(result["timing"]["round_overhead_s"]) == 2


def test_the_leads_own_data_take_part_under_an_agreement_with_itself(
    world: StudySpace, north: Hospital, south: Hospital
) -> None:
    world.add_data(north)
    study = world.leading(world.office(north)).begin(make_draft(north, south))
    row = await_study(north, study)
    assert row["state"] == "COMPLETED", row["reason"]
    plan = peek_study(row["signed"])
    ours = plan.find_site(north.me)
    assert ours is not None
    assert north.agreement(ours.agreement).consumer == north.me
    assert "release.granted" in north.kinds()


STEPS = ["recruiting", "agreed", "recruited", "signed", "opened", "running", "round_closed"]


@pytest.mark.parametrize("step", STEPS)
def test_a_lead_killed_after_a_step_goes_on_with_the_same_study(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital, step: str
) -> None:
    study = begin(world.office(north), make_draft(south, west))
    office = world.office(north, connector=dying(north.connector, step, study))
    with pytest.raises(KilledError):
        lead_once(office, study)
    world.restart(north)
    world.leading(world.office(north)).resume()
    await_study(north, study)
    check_completed(world, north, study, south, west)


def die(line: Line, verb: str, *, when: str) -> None:
    def kill(_method: str, target: str) -> None:
        if target.partition("?")[0].endswith(verb):
            raise KilledError

    setattr(line, when, kill)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", ["/studies", "/events", "/result"])
def test_a_lead_killed_while_it_asks_the_hub_goes_on_with_the_same_study(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital, verb: str, when: str
) -> None:
    line = world.line(north)
    die(line, verb, when=when)
    study = begin(world.office(north), make_draft(south, west))
    with pytest.raises(KilledError):
        lead_once(world.office(north, hub=line), study)
    world.restart(north)
    world.leading(world.office(north)).resume()
    await_study(north, study)
    check_completed(world, north, study, south, west)


def test_a_lead_killed_when_all_is_done_but_the_record_completes_it_after_its_restart(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    def killed() -> dict[Any, Any]:
        raise KilledError

    study = begin(world.office(north), make_draft(south, west))
    with pytest.raises(KilledError):
        lead_once(world.office(north, titles=killed), study)
    assert study_row(north, study)["result"] == ""
    world.restart(north)
    world.leading(world.office(north)).resume()
    await_study(north, study)
    check_completed(world, north, study, south, west)


def test_a_long_study_is_copied_whole_also_when_it_ended_while_the_lead_was_away(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    line = world.line(north)
    die(line, "/studies", when="after")
    study = begin(world.office(north), make_draft(south, west))
    with pytest.raises(KilledError):
        lead_once(world.office(north, hub=line), study)
    world.hub.await_state(study)
    with world.hub.database.write() as tx:
        for number in range(PAGE + 20):
            clock = north.connector.clock
            add_event(tx, study, "noted", {"number": number}, clock=clock)
    lead_once(world.office(north), study)
    check_completed(world, north, study, south, west)
    noted = [event["facts"]["number"] for event in study_events(north, study, "noted")]
    assert noted == list(range(PAGE + 20))


def test_a_hospital_that_declines_is_named_and_the_others_go_on(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    east = world.add("east")
    world.add_data(east, terms=own_terms("west"))
    study = world.leading(world.office(north)).begin(make_draft(south, west, east))
    row = await_study(north, study)
    assert row["state"] == "COMPLETED", row["reason"]
    (declined,) = study_events(north, study, "declined")
    assert declined["facts"]["participant"] == east.me
    assert declined["facts"]["code"] == "study.no_offer"
    assert "data steward" in declined["facts"]["en"]
    assert peek_study(row["signed"]).find_site(east.me) is None


def test_a_hospital_whose_terms_refuse_the_plan_is_left_out_of_the_study(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    east = world.add("east")
    world.add_data(east, terms=own_terms("north", max_rounds=1))
    study = world.leading(world.office(north)).begin(make_draft(south, west, east))
    row = await_study(north, study)
    assert row["state"] == "COMPLETED", row["reason"]
    (declined,) = study_events(north, study, "declined")
    assert declined["facts"]["participant"] == east.me
    assert declined["facts"]["code"] == "dataspace.too_many_rounds"
    assert transfers(east) == 0
    assert "lease.granted" not in east.kinds()


def test_a_study_with_too_few_hospitals_ends_before_anything_is_signed(
    world: StudySpace, north: Hospital, south: Hospital
) -> None:
    absent = world.space.add("absent")
    del world.space.doors[absent.me]
    line = world.line(north)
    study = world.leading(world.office(north, hub=line)).begin(make_draft(south, absent))
    row = await_study(north, study)
    assert (row["state"], row["reason"]) == ("FAILED", "study.too_few_sites")
    (failure,) = study_events(north, study, "failure")
    assert "Only 1 of the 2" in failure["facts"]["en"]
    (declined,) = study_events(north, study, "declined")
    assert declined["facts"]["code"] == "dataspace.unreachable"
    assert row["signed"] == ""
    assert transfers(north) == 0
    assert line.asked == []


def test_a_standing_agreement_serves_the_next_study_too(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    leading = world.leading(world.office(north))
    plans = []
    for _ in range(2):
        study = leading.begin(make_draft(south, west, rounds=1))
        row = await_study(north, study)
        assert row["state"] == "COMPLETED", row["reason"]
        plans.append(peek_study(row["signed"]))
    first, second = plans
    assert first.study != second.study
    assert first.sites == second.sites
    with north.database.read() as connection:
        assert len(list_agreements(connection, role=Role.CONSUMER)) == 2
    assert count(south, "agreement.finalized") == 1
    assert transfers(south) == 2


def test_a_hub_that_is_away_is_waited_for(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    line, failures = world.line(north), 1

    def fail(_method: str, _target: str) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise PeerError("link.hub_away", hub="https://hub", reason="ConnectError")

    line.before = fail
    study = world.leading(world.office(north, hub=line)).begin(make_draft(south, west))
    await_study(north, study)
    check_completed(world, north, study, south, west)


def test_a_refusal_of_the_hub_ends_the_study_with_its_code(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    line = world.line(north)

    def refuse(method: str, _target: str) -> None:
        raise PeerError("link.hub_answer", retryable=False, hub="https://hub", status=418)

    line.before = refuse
    study = world.leading(world.office(north, hub=line)).begin(make_draft(south, west))
    row = await_study(north, study)
    assert (row["state"], row["reason"]) == ("FAILED", "link.hub_answer")


def test_a_study_that_fails_at_the_hub_fails_here_and_closes_its_transfers(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    study = begin(world.office(north), make_draft(south, west))
    office = world.office(north, connector=dying(north.connector, "opened", study))
    with pytest.raises(KilledError):
        lead_once(office, study)
    world.restart(north)
    world.hub.desks.clear()  # nobody is connected
    lead_once(world.office(north), study)
    row = study_row(north, study)
    assert (row["state"], row["reason"]) == ("FAILED", "study.too_few_sites")
    plan = peek_study(row["signed"])
    for site in (south, west):
        (pid,) = [one.pid for one in transfers_of(site, plan, role=Role.PROVIDER).values()]
        wait_until(lambda site=site, pid=pid: site.transfer(pid).state == "TERMINATED")
        assert site.transfer(pid).code == "failed"


def test_a_stopped_study_is_stopped_at_the_hub_and_at_every_hospital(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    leading = world.leading(world.office(north))
    study = leading.begin(make_draft(south, west, rounds=40))
    wait_until(lambda: study_events(north, study, "round_closed"))
    leading.stop(study)
    assert world.hub.await_state(study) is StudyState.STOPPED
    row = await_study(north, study)
    assert (row["state"], row["reason"]) == ("STOPPED", "study.stopped")
    plan = peek_study(row["signed"])
    for site in (south, west):
        (pid,) = [one.pid for one in transfers_of(site, plan, role=Role.PROVIDER).values()]
        wait_until(lambda site=site, pid=pid: site.transfer(pid).state == "TERMINATED")
        assert site.transfer(pid).code == "stopped"
    assert not list(world.folder.glob("north-models/*"))
    with pytest.raises(ConsiliumError) as caught:
        leading.stop(study)
    assert caught.value.code == "study.cannot_go"


def test_a_bad_draft_begins_nothing(world: StudySpace, north: Hospital, south: Hospital) -> None:
    leading = world.leading(world.office(north))
    with pytest.raises(ConsiliumError) as caught:
        leading.begin(make_draft(south, rounds=0))
    assert caught.value.code == "study.bad_plan"
    with north.database.read() as connection:
        assert list_studies(connection) == []
    assert north.kinds() == []


def forge_reply(result: dict[str, Any]) -> None:
    replies = result["evaluation"]["replies"]
    first, second = sorted(replies)
    replies[first], replies[second] = replies[second], replies[first]


def forge_model(result: dict[str, Any]) -> None:
    model = base64.b64decode(result["final"])
    result["final"] = base64.b64encode(model[:-8] + bytes(8)).decode()


def lose_a_site(result: dict[str, Any]) -> None:
    result["evaluation"]["replies"].popitem()


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (forge_reply, "ledger.bad_signature"),
        (forge_model, "gate.other_task"),
        (lose_a_site, "study.bad_result"),
    ],
)
def test_a_forged_result_gives_no_passport_and_no_result(
    world: StudySpace,
    north: Hospital,
    south: Hospital,
    west: Hospital,
    *,
    forge: Callable[[dict[str, Any]], None],
    reason: str,
) -> None:
    line = world.line(north)

    def edit(target: str, answer: Any) -> Any:
        if target.endswith("/result"):
            forge(answer)
        return answer

    line.edit = edit
    study = world.leading(world.office(north, hub=line)).begin(make_draft(south, west))
    row = await_study(north, study)
    assert (row["state"], row["reason"], row["result"]) == ("FAILED", reason, "")
    assert not (world.folder / "north-models").exists()
    assert count(north, "passport.issued") == 0
    (failure,) = study_events(north, study, "failure")
    assert failure["facts"]["zh"]
