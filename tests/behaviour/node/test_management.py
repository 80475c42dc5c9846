"""A person steers negotiations and transfers over the node's API and command line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataspace_rehearsal import Hospital, sign_claims, study_claims
from node_bench import NodeBench
from studies_rehearsal import StudySpace, in_days

from consilium.cli import main
from consilium.dataspace.decisions import ScriptDecide
from consilium.dataspace.records import Role
from consilium.kernel.errors import PeerError
from consilium.space.client import Client, connect

pytestmark = pytest.mark.slow

SLOW = ScriptDecide({})


@pytest.fixture
def slow(world: StudySpace, tmp_path: Path) -> Iterator[tuple[NodeBench, NodeBench]]:
    """Give north's and south's nodes, served; people decide everything; south has data."""
    north = NodeBench(world, world.add("north", decide=SLOW), tmp_path / "n")
    hospital = world.add("south", decide=SLOW)
    world.add_data(hospital)
    south = NodeBench(world, hospital, tmp_path / "s")
    yield north, south
    north.close()
    south.close()


@pytest.fixture
def clients(slow: tuple[NodeBench, NodeBench]) -> Iterator[tuple[Client, Client]]:
    with connect(slow[0].home) as north, connect(slow[1].home) as south:
        yield north, south


def await_state(client: Client, noun: str, state: str) -> dict[str, Any]:
    """Wait until a node's only process of this kind is in a state and nothing is under way."""
    ends = time.monotonic() + 20
    while True:
        found = getattr(client, noun).list()
        if len(found) == 1 and found[0]["state"] == state and not found[0]["stuck"]:
            return dict(found[0])
        assert time.monotonic() < ends, found
        time.sleep(0.01)


def test_an_agreement_is_negotiated_step_by_step_from_both_sides(
    clients: tuple[Client, Client], slow: tuple[NodeBench, NodeBench]
) -> None:
    north, south = clients
    who = slow[1].hospital.me
    north.negotiations.request(who, dataset="heart", terms={"count": 9})
    theirs = await_state(south, "negotiations", "REQUESTED")
    assert theirs["waits_for"] == "us"
    assert await_state(north, "negotiations", "REQUESTED")["waits_for"] == "peer"
    assert south.negotiations.list(waits_for="us", state="REQUESTED", role="provider")
    assert south.negotiations.list(role="consumer") == []
    south.negotiations.counter(theirs["pid"], terms={"count": 2})
    ours = await_state(north, "negotiations", "OFFERED")
    north.negotiations.accept(ours["pid"])
    await_state(south, "negotiations", "ACCEPTED")
    south.negotiations.agree(theirs["pid"])
    await_state(north, "negotiations", "AGREED")
    north.negotiations.verify(ours["pid"])
    await_state(south, "negotiations", "VERIFIED")
    south.negotiations.finalize(theirs["pid"])
    await_state(north, "negotiations", "FINALIZED")
    whole = north.negotiations.get(ours["pid"])
    steps = [(step["state"], step["sender"]) for step in whole["history"]]
    assert steps == [
        ("REQUESTED", "consumer"),
        ("OFFERED", "provider"),
        ("ACCEPTED", "consumer"),
        ("AGREED", "provider"),
        ("VERIFIED", "consumer"),
        ("FINALIZED", "provider"),
    ]
    assert whole["waits_for"] == "nothing"
    agreement = north.agreements.get(whole["agreement"])
    assert (agreement["terms"]["count"], agreement["terms"]["max_rounds"]) == (2, 40)


def test_a_transfer_is_paused_and_ended_from_both_sides(
    clients: tuple[Client, Client], slow: tuple[NodeBench, NodeBench]
) -> None:
    north, south = clients
    agreement = _agree(clients, slow)
    lead, holder = slow[0].hospital, slow[1].hospital
    claims = study_claims(lead, holder, agreement, expires=in_days(10))
    claims["recipe"]["digest"] = agreement.terms.algorithms[0]
    ours = north.transfers.request(
        agreement.id, study=sign_claims(lead, claims), endpoint="grpc://hub:1"
    )
    theirs = await_state(south, "transfers", "REQUESTED")
    assert theirs["waits_for"] == "us"
    south.transfers.start(theirs["pid"])
    await_state(north, "transfers", "STARTED")
    await_state(south, "transfers", "STARTED")
    south.transfers.suspend(theirs["pid"], reason="ethics committee asks")
    paused = await_state(north, "transfers", "SUSPENDED")
    assert (paused["holder"], paused["waits_for"]) == ("provider", "peer")
    assert paused["reason"] == "ethics committee asks"
    south.transfers.resume(theirs["pid"])
    await_state(north, "transfers", "STARTED")
    north.transfers.complete(ours["pid"])
    await_state(south, "transfers", "COMPLETED")
    answer = slow[0].ask("POST", f"/transfers/{ours['pid']}/resume")
    assert (answer.status_code, answer.json()["code"]) == (409, "dataspace.bad_step")


def _agree(clients: tuple[Client, Client], slow: tuple[NodeBench, NodeBench]) -> Any:
    north, south = clients
    south.negotiations.offer(slow[0].hospital.me, dataset="heart", terms={"count": 1})
    ours = await_state(north, "negotiations", "OFFERED")
    theirs = south.negotiations.list()[0]
    north.negotiations.accept(ours["pid"])
    await_state(south, "negotiations", "ACCEPTED")
    south.negotiations.agree(theirs["pid"])
    await_state(north, "negotiations", "AGREED")
    north.negotiations.verify(ours["pid"])
    await_state(south, "negotiations", "VERIFIED")
    south.negotiations.finalize(theirs["pid"])
    done = await_state(north, "negotiations", "FINALIZED")
    return slow[0].hospital.agreement(done["agreement"], role=Role.CONSUMER)


def test_what_is_stuck_says_why_and_when_it_is_tried_next(
    clients: tuple[Client, Client], slow: tuple[NodeBench, NodeBench], world: StudySpace
) -> None:
    north, _ = clients
    south = slow[1].hospital
    door = world.space.doors[south.me]

    def closed(request: Any) -> Any:
        if "negotiations" in request.path:
            raise PeerError("dataspace.unreachable", peer=south.me)
        return door(request)

    world.space.doors[south.me] = closed
    opened = north.negotiations.request(south.me, dataset="heart")
    ends = time.monotonic() + 20
    while not (shown := north.negotiations.get(opened["pid"]))["stuck"]["error"]:
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert shown["waits_for"] == "delivery"
    assert shown["stuck"]["error"] == "dataspace.unreachable"
    assert "No answer came back" in shown["stuck"]["why"]
    assert shown["undelivered"][0]["due"] < shown["undelivered"][0]["deadline"]
    north.negotiations.terminate(opened["pid"], reason="no longer needed")
    assert north.negotiations.get(opened["pid"])["state"] == "TERMINATED"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/negotiations/none", "dataspace.no_process"),
        ("/transfers/none", "dataspace.no_process"),
    ],
)
def test_what_is_not_there_is_told_for_every_verb(node: NodeBench, path: str, code: str) -> None:
    verbs = ["accept", "agree", "verify", "finalize", "counter", "terminate"]
    if "transfers" in path:
        verbs = ["start", "resume", "complete", "suspend", "terminate"]
    assert node.ask("GET", path).json()["code"] == code
    for verb in verbs:
        answer = node.ask("POST", f"{path}/{verb}", {})
        assert (answer.status_code, answer.json()["code"]) == (404, code), verb


def test_terms_that_nobody_knows_are_refused(node: NodeBench, south: Hospital) -> None:
    body = {"participant": south.me, "dataset": "heart", "terms": {"colour": "red"}}
    answer = node.ask("POST", "/negotiations/request", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "dataspace.bad_terms")


def say(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> Any:
    with pytest.raises(SystemExit) as left:
        main([*words, "--home", str(home)])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_the_command_line_does_all_of_it(
    slow: tuple[NodeBench, NodeBench],
    clients: tuple[Client, Client],
    capsys: pytest.CaptureFixture[str],
) -> None:
    north, south = slow[0].home, slow[1].home
    asked = say(
        capsys, north, "negotiation", "request", "south", "heart", "--set", "count=9", "--json"
    )
    ours = json.loads(asked)["pid"]
    theirs = await_state(clients[1], "negotiations", "REQUESTED")["pid"]
    assert theirs in say(capsys, south, "negotiation", "list", "--waiting", "--json")
    say(capsys, south, "negotiation", "counter", theirs, "--set", "count=2", "--json")
    await_state(clients[0], "negotiations", "OFFERED")
    say(capsys, north, "negotiation", "accept", ours)
    await_state(clients[1], "negotiations", "ACCEPTED")
    shown = say(capsys, north, "negotiation", "show", ours)
    assert "History" in shown
    assert "ACCEPTED" in shown
    ended = say(capsys, south, "negotiation", "terminate", theirs, "--reason", "no", "--json")
    assert json.loads(ended)["state"] == "TERMINATED"
    assert say(capsys, south, "transfer", "list", "--json").strip() == "[]"
    with pytest.raises(SystemExit) as left:
        main(["negotiation", "counter", theirs, "--set", "count", "--home", str(south)])
    assert left.value.code == 2
