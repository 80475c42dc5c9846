"""What the hub makes up, in a hospital's name or about one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attacks import attack
from hostile_space import CLOCK, HUB, HostileSpace, Kept, leaves

from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.wire import builders
from consilium.gate.orders import sign_study
from consilium.hub.authority import Authority
from consilium.kernel.canonical import read_json
from consilium.kernel.clock import write_time
from consilium.kernel.errors import ConsiliumError, DeniedError, IntegrityError, PeerError
from consilium.ledger.keys import SigningKey

pytestmark = pytest.mark.slow

CATALOG = "/catalog/request"


@attack(
    "F1",
    "signs a message with a key of its own, in the lead's name",
    refused_by="dataspace.bad_token token-signature",
    evidence="request.unproven",
)
def test_a_message_signed_by_the_hubs_own_key_is_refused(space: HostileSpace) -> None:
    asked = space.forge(
        space.own_key,
        issuer=space.north.me,
        to=space.south,
        path=CATALOG,
        document=builders.catalog_request(),
    )
    with leaves(
        space.south, "request.unproven", rule="token-signature", claimed=str(space.north.me)
    ):
        assert space.bring(space.south, asked).status == 401


@attack(
    "F2",
    "lets one member's key speak in another's name",
    refused_by="dataspace.bad_token token-signature",
    evidence="request.unproven",
)
def test_one_members_key_does_not_speak_for_another(space: HostileSpace) -> None:
    asked = space.forge(
        space.west.key,
        issuer=space.north.me,
        to=space.south,
        path=CATALOG,
        document=builders.catalog_request(),
    )
    with leaves(space.south, "request.unproven", rule="token-signature"):
        assert space.bring(space.south, asked).status == 401


@attack(
    "F3",
    "asks in its own name for what is offered to a member",
    refused_by="dataspace.no_dataset",
    evidence="request.refused",
)
def test_the_hub_in_its_own_name_is_offered_nothing(space: HostileSpace) -> None:
    dataset = space.plan.sites[0].dataset
    seen = space.seen("south", "/negotiations/request")
    found: Any = read_json(seen.request.body)
    asked = space.forge(
        space.members.hub,
        issuer=HUB,
        to=space.south,
        path="/negotiations/request",
        document=found | {"consumerPid": "urn:uuid:hub"},
    )
    with leaves(space.south, "request.refused", code="dataspace.no_dataset"):
        reply = space.bring(space.south, asked)
    assert reply.status == 404
    assert (
        dataset.encode()
        not in space.bring(
            space.south,
            space.forge(
                space.members.hub,
                issuer=HUB,
                to=space.south,
                path=CATALOG,
                document=builders.catalog_request(),
            ),
        ).body
    )


def altered(**changes: Any) -> Callable[[str, WireRequest], tuple[str, WireRequest]]:
    def alter(name: str, request: WireRequest) -> tuple[str, WireRequest]:
        return name, replace(request, **changes)

    return alter


@attack(
    "F4",
    "alters the body of a message on the way",
    refused_by="dataspace.bad_token token-request",
    evidence="request.unproven",
)
def test_an_altered_body_is_refused(space: HostileSpace) -> None:
    space.relay.before = altered(body=b'{"@type":"CatalogRequestMessage","filter":[]}')
    with (
        leaves(space.south, "request.unproven", rule="token-request"),
        pytest.raises(PeerError) as caught,
    ):
        request_catalog(space.north.connector, space.south.me)
    assert caught.value.code == "dataspace.unsigned_answer"
    assert caught.value.retryable


@attack(
    "F5",
    "brings a message to another path, so that a start becomes a termination",
    refused_by="dataspace.bad_token token-request",
    evidence="request.unproven",
)
def test_a_message_brought_to_another_path_is_refused(space: HostileSpace) -> None:
    space.relay.before = altered(path="/2025-1/transfers/urn:uuid:1/termination")
    with (
        leaves(space.south, "request.unproven", rule="token-request"),
        pytest.raises(PeerError),
    ):
        request_catalog(space.north.connector, space.south.me)


@attack(
    "F6",
    "brings a question as a message, or a message as a question",
    refused_by="dataspace.bad_token token-request",
    evidence="request.unproven",
)
def test_a_message_with_another_method_is_refused(space: HostileSpace) -> None:
    space.relay.before = altered(method="GET", path="/2025-1/catalog/datasets/urn:uuid:1")
    with (
        leaves(space.south, "request.unproven", rule="token-request"),
        pytest.raises(PeerError),
    ):
        request_catalog(space.north.connector, space.south.me)


@attack(
    "F7",
    "brings a message to another hospital than it was meant for",
    refused_by="dataspace.bad_token token-audience",
    evidence="request.unproven",
)
def test_a_message_for_another_hospital_is_refused(space: HostileSpace) -> None:
    space.relay.before = lambda _, request: ("west", request)
    with (
        leaves(space.west, "request.unproven", rule="token-audience"),
        pytest.raises(PeerError),
    ):
        request_catalog(space.north.connector, space.south.me)


@attack(
    "F8",
    "alters a hospital's answer",
    refused_by="dataspace.forged_answer",
    evidence="answer.refused",
)
def test_an_altered_answer_is_not_believed(space: HostileSpace) -> None:
    space.relay.after = lambda kept: replace(kept.reply, body=kept.reply.body + b" ")
    with (
        leaves(space.north, "answer.refused", code="dataspace.forged_answer"),
        pytest.raises(IntegrityError),
    ):
        request_catalog(space.north.connector, space.south.me)


@attack(
    "F9",
    "turns a hospital's refusal into a success",
    refused_by="dataspace.forged_answer",
    evidence="answer.refused",
)
def test_another_status_is_not_believed(space: HostileSpace) -> None:
    space.relay.after = lambda kept: replace(kept.reply, status=201)
    with (
        leaves(space.north, "answer.refused", code="dataspace.forged_answer"),
        pytest.raises(IntegrityError),
    ):
        space.north.get(space.south, "/2025-1/negotiations/urn:uuid:none")


@attack(
    "F10",
    "gives the answer to one request as the answer to another",
    refused_by="dataspace.forged_answer",
    evidence="answer.refused",
)
def test_swapped_answers_are_not_believed(space: HostileSpace) -> None:
    earlier: list[WireReply] = []

    def swap(kept: Kept) -> WireReply:
        earlier.append(kept.reply)
        return earlier[0]

    space.relay.after = swap
    request_catalog(space.north.connector, space.south.me)
    with (
        leaves(space.north, "answer.refused", code="dataspace.forged_answer"),
        pytest.raises(IntegrityError),
    ):
        request_catalog(space.north.connector, space.south.me)


@attack(
    "F11",
    "answers in a hospital's stead that all went well",
    refused_by="dataspace.unsigned_answer",
    evidence="answer.refused",
)
def test_a_success_without_a_signature_is_not_believed(space: HostileSpace) -> None:
    space.relay.after = lambda kept: WireReply(status=200, body=kept.reply.body)
    with (
        leaves(space.north, "answer.refused", code="dataspace.unsigned_answer"),
        pytest.raises(PeerError),
    ):
        request_catalog(space.north.connector, space.south.me)


@attack(
    "F12",
    "shows a request to a hospital in a false place, to have a signed answer for it",
    refused_by="dataspace.unsigned_answer",
    evidence="request.unproven",
)
@pytest.mark.parametrize("path", ["/2025-1/nowhere", builders.VERSION_PATH])
def test_no_signed_answer_is_to_be_had_for_a_request_in_a_false_place(
    space: HostileSpace, path: str
) -> None:
    space.relay.before = altered(
        method="GET" if path == builders.VERSION_PATH else "POST", path=path
    )
    with pytest.raises(PeerError) as caught:
        request_catalog(space.north.connector, space.south.me)
    assert caught.value.code == "dataspace.unsigned_answer"
    who = space.north if path == builders.VERSION_PATH else space.south
    kind = "answer.refused" if path == builders.VERSION_PATH else "request.unproven"
    assert entries_of(space, who.name)[-1].kind == kind


def entries_of(space: HostileSpace, name: str) -> list[Any]:
    return space.hospital(name).database.evidence.entries(limit=10_000)


@attack(
    "F13",
    "sends a message elsewhere by a redirection",
    refused_by="dataspace.unsigned_answer",
    evidence="answer.refused",
)
def test_a_redirection_is_not_followed(space: HostileSpace) -> None:
    space.relay.after = lambda _: WireReply(status=307, body=b"")
    with (
        leaves(space.north, "answer.refused", code="dataspace.unsigned_answer"),
        pytest.raises(PeerError),
    ):
        request_catalog(space.north.connector, space.south.me)


# --- the member list ------------------------------------------------------------------


def ask_again(space: HostileSpace) -> ConsiliumError:
    """Have the lead use south's key as after a start, and return what stops it."""
    directory = space.open_directory(space.north)
    with pytest.raises(ConsiliumError) as caught:
        directory.key_of(space.south.me)
    return caught.value


def with_entry(space: HostileSpace, **entry: Any) -> Callable[[Any], Any]:
    entries = space.members.entries | {"south": space.members.entries["south"] | entry}
    return lambda _: space.members.answer(members=list(entries.values()))


@attack(
    "F14",
    "lists a member under a key that a root of its own certified",
    refused_by="link.untrusted_certificate",
    evidence="members.refused",
)
def test_a_key_under_another_root_is_not_believed(space: HostileSpace, tmp_path: Path) -> None:
    own = Authority.create(tmp_path, space="example.org", days=1, clock=CLOCK)
    certificate = space.members.certify("south", space.own_key, by=own)
    space.members.lie = with_entry(space, certificate=certificate)
    with leaves(space.north, "members.refused", code="link.untrusted_certificate"):
        assert ask_again(space).code == "link.untrusted_certificate"


@attack(
    "F15",
    "lists a member under another member's certificate",
    refused_by="link.untrusted_certificate",
    evidence="members.refused",
)
def test_another_members_certificate_is_not_believed(space: HostileSpace) -> None:
    certificate = space.members.entries["west"]["certificate"]
    space.members.lie = with_entry(space, certificate=certificate)
    with leaves(space.north, "members.refused", code="link.untrusted_certificate"):
        assert ask_again(space).code == "link.untrusted_certificate"


@attack(
    "F16",
    "has a new key certified for a known member (the root key was stolen)",
    refused_by="link.key_changed",
    evidence="members.refused",
)
def test_a_pinned_key_is_not_replaced_even_by_the_root(space: HostileSpace) -> None:
    certificate = space.members.certify("south", space.own_key)
    space.members.lie = with_entry(space, certificate=certificate)
    with leaves(
        space.north,
        "members.refused",
        code="link.key_changed",
        shown=space.own_key.public.text,
        pinned=space.south.key.public.text,
    ):
        assert ask_again(space).code == "link.key_changed"


@attack(
    "F17",
    "gives a member list that another key signed",
    refused_by="ledger.bad_signature",
    evidence="members.refused",
)
def test_a_list_under_another_key_is_not_believed(space: HostileSpace) -> None:
    space.members.lie = lambda _: space.members.answer(key=space.own_key)
    with leaves(space.north, "members.refused", code="ledger.bad_signature"):
        assert ask_again(space).code == "ledger.bad_signature"


@attack(
    "F18",
    "shows a list from before a revocation to a node that has just started",
    refused_by="link.list_not_now",
    evidence="members.refused",
)
@pytest.mark.parametrize("hours", [-25, 25])
def test_a_list_of_another_day_is_not_believed(space: HostileSpace, hours: int) -> None:
    issued = write_time(CLOCK.now() + timedelta(hours=hours))
    space.members.lie = lambda _: space.members.answer(issued=issued)
    with leaves(space.north, "members.refused", code="link.list_not_now"):
        assert ask_again(space).code == "link.list_not_now"


@attack(
    "F19",
    "goes back to a list that is older than the one it showed",
    refused_by="link.list_older",
    evidence="members.refused",
)
def test_a_list_that_goes_back_is_not_believed(space: HostileSpace) -> None:
    directory = space.open_directory(space.north)
    directory.list_entries()
    issued = write_time(CLOCK.now() - timedelta(minutes=5))
    space.members.lie = lambda _: space.members.answer(issued=issued)
    with (
        leaves(space.north, "members.refused", code="link.list_older"),
        pytest.raises(IntegrityError),
    ):
        directory.list_entries()


@attack(
    "F20",
    "gives something else than a list",
    refused_by="link.hub_answer",
    evidence="members.refused",
)
@pytest.mark.parametrize("answer", [{}, {"list": "a.b.c", "hub": 3}])
def test_an_answer_that_is_no_list_is_kept(space: HostileSpace, answer: dict[str, Any]) -> None:
    space.members.lie = lambda _: answer
    with leaves(space.north, "members.refused", code="link.hub_answer"):
        assert ask_again(space).code == "link.hub_answer"


@attack(
    "F21",
    "hides a member from a hospital",
    refused_by="dataspace.bad_token token-issuer",
    evidence="request.unproven",
)
def test_a_hidden_member_is_refused_and_that_shows(space: HostileSpace) -> None:
    shown = [entry for name, entry in space.members.entries.items() if name != "north"]
    space.members.lie = lambda _: space.members.answer(members=shown)
    space.restart(space.south)
    with (
        leaves(space.south, "request.unproven", rule="token-issuer", claimed=str(space.north.me)),
        pytest.raises(PeerError),
    ):
        request_catalog(space.north.connector, space.south.me)


@attack(
    "F22",
    "calls a member revoked that is not",
    refused_by="link.participant_revoked",
    evidence="request.unproven",
)
def test_a_member_called_revoked_is_refused_and_that_shows(space: HostileSpace) -> None:
    entry = space.members.entries["north"] | {"state": "revoked"}
    shown = list((space.members.entries | {"north": entry}).values())
    space.members.lie = lambda _: space.members.answer(members=shown)
    space.restart(space.south)
    with (
        leaves(space.south, "request.unproven", code="link.participant_revoked"),
        pytest.raises(PeerError),
    ):
        request_catalog(space.north.connector, space.south.me)


@attack(
    "F23",
    "invents a member and speaks in its name",
    refused_by="dataspace.bad_token token-issuer",
    evidence="request.unproven",
)
def test_an_invented_member_is_refused(space: HostileSpace) -> None:
    ghost = SigningKey.generate()
    asked = space.forge(
        ghost,
        issuer=space.members.entry("ghost", "")["participant"],
        to=space.south,
        path=CATALOG,
        document=builders.catalog_request(),
    )
    with leaves(space.south, "request.unproven", rule="token-issuer"):
        assert space.bring(space.south, asked).status == 401


@attack(
    "F24",
    "shows an order in which the lead's signature stands under another plan",
    refused_by="gate.other_plan",
    evidence="admission.refused",
)
def test_a_plan_under_the_leads_old_signature_is_refused(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    wider = replace(plan, rounds=plan.rounds + 1)
    order = space.order(wider, signed=forged_plan(space, plan, wider))
    with (
        leaves(space.south, "admission.refused", rule="gate.other_plan"),
        pytest.raises(DeniedError),
    ):
        space.gate(space.south).admit(order.as_json())


def forged_plan(space: HostileSpace, plan: Any, other: Any) -> str:
    head, _, signature = sign_study(space.north.key, plan).split(".")
    return ".".join((head, sign_study(space.own_key, other).split(".")[1], signature))
