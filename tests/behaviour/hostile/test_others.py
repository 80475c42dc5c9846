"""What belongs to somebody else: tokens, certificates, and a hospital's own decisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attacks import attack
from hostile_space import HUB, HostileSpace, leaves
from signer_bench import Bench, join_request, redeem, renewal_request
from studies_rehearsal import transfers_of, wait_until

from consilium.dataspace import negotiation
from consilium.dataspace.machines import REQUESTED
from consilium.dataspace.ports import Action, Question, Verdict, WireReply, WireRequest
from consilium.dataspace.records import Negotiation, Role
from consilium.dataspace.store import get_process
from consilium.dataspace.wire import builders
from consilium.federation.proposal import Wish
from consilium.federation.recruitment import find_listing
from consilium.hub.signer_socket import SocketService, call_signer
from consilium.kernel.canonical import read_json
from consilium.kernel.errors import ConsiliumError, DeniedError, IntegrityError, StateError
from consilium.ledger.certificates import create_rsa_key, write_certificate
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import peek_statement, sign_statement
from consilium.node.hub_client import Caller
from consilium.node.link import HubLink, keep_refusals
from consilium.node.membership import (
    ENGINE_KEY,
    PARTICIPANT_CERTIFICATE,
    PARTICIPANT_KEY,
    ROOT,
    EngineAddress,
    KeyFolder,
    Membership,
)
from consilium.node.renewal import Renewal, write_certificates

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.database.close()


@contextmanager
def signer_keeps(bench: Bench, code: str) -> Iterator[None]:
    """Require that the signer refuses, says so in its log, and issues nothing."""
    before = bench.database.evidence.size
    with pytest.raises(ConsiliumError) as caught:
        yield
    assert caught.value.code == code
    [told] = bench.database.evidence.entries(after=before)
    assert (told.kind, told.facts["code"]) == ("signer.refused", code)


@attack(
    "T1",
    "uses a hospital's join token a second time, for keys of its own",
    refused_by="hub.token_used",
    evidence="signer.refused",
)
def test_a_join_token_is_used_once(bench: Bench) -> None:
    token = bench.mint()
    redeem(bench, join_request(token, SigningKey.generate()))
    with signer_keeps(bench, "hub.token_used"):
        redeem(bench, join_request(token, SigningKey.generate()))


@attack(
    "T2",
    "has a token for one name used for another",
    refused_by="hub.token_other_member",
    evidence="signer.refused",
)
def test_a_join_token_is_for_one_name(bench: Bench) -> None:
    token = bench.mint()
    with signer_keeps(bench, "hub.token_other_member"):
        redeem(bench, join_request(token, SigningKey.generate(), member="eye"))


@attack(
    "T3",
    "keeps a join request back until its token has expired",
    refused_by="link.token_expired",
    evidence="signer.refused",
)
def test_a_join_token_ends(bench: Bench) -> None:
    request = join_request(bench.mint(), SigningKey.generate())
    bench.clock.advance(timedelta(hours=73))
    with signer_keeps(bench, "link.token_expired"):
        redeem(bench, request)


@attack(
    "T4",
    "puts its own keys into a hospital's join request",
    refused_by="ledger.bad_signature",
    evidence="signer.refused",
)
def test_a_join_request_is_the_token_holders(bench: Bench) -> None:
    token = bench.mint()
    own = join_request(token, SigningKey.generate())
    forged = sign_statement(SigningKey.generate(), "join", peek_statement(own))
    with signer_keeps(bench, "ledger.bad_signature"):
        redeem(bench, forged)


@attack(
    "T5",
    "admits a member that has asked for nothing",
    refused_by="hub.unknown_verb",
    evidence="signer.refused",
)
@pytest.mark.parametrize("verb", ["mint", "issue", "admit"])
def test_the_signer_issues_nothing_at_the_hubs_own_wish(
    bench: Bench, tmp_path: Path, verb: str
) -> None:
    service = SocketService(
        tmp_path / "sign.sock",
        mode=0o600,
        verbs={"redeem": bench.signer.redeem},
        only_owner=True,
        unknown=bench.signer.note_verb,
    )
    service.start()
    try:
        with signer_keeps(bench, "hub.unknown_verb"):
            call_signer(tmp_path / "sign.sock", verb, {"member": "ghost", "kind": "server"})
    finally:
        service.close()


@attack(
    "T6",
    "renews a member's certificate for a key of its own",
    refused_by="ledger.bad_signature",
    evidence="signer.refused",
)
def test_a_renewal_is_the_members(bench: Bench) -> None:
    bench.admit("tiantan")
    bench.clock.advance(timedelta(hours=1))
    forged = renewal_request(bench, SigningKey.generate())
    with signer_keeps(bench, "ledger.bad_signature"):
        bench.signer.renew(forged)


@attack(
    "T7",
    "brings an old renewal again",
    refused_by="hub.renewal_older",
    evidence="signer.refused",
)
def test_an_old_renewal_is_refused(bench: Bench) -> None:
    key, _ = bench.admit("tiantan")
    bench.clock.advance(timedelta(minutes=1))
    old = renewal_request(bench, key)
    bench.clock.advance(timedelta(minutes=1))
    bench.signer.renew(renewal_request(bench, key))
    with signer_keeps(bench, "hub.renewal_older"):
        bench.signer.renew(old)


@attack(
    "T8",
    "floods the signer with requests that it must refuse",
    refused_by="hub.token_used",
    evidence="signer.refused",
)
def test_a_flood_of_requests_does_not_fill_the_signers_log(bench: Bench) -> None:
    token = bench.mint()
    request = join_request(token, SigningKey.generate())
    redeem(bench, request)
    forged = join_request(token, SigningKey.generate())
    before = bench.database.evidence.size
    for _ in range(100):
        with pytest.raises((DeniedError, StateError, IntegrityError)):
            redeem(bench, forged)
    assert 0 < bench.database.evidence.size - before <= 64


@attack(
    "T9",
    "answers a hospital's renewal with certificates for a key of its own",
    refused_by="link.untrusted_certificate",
    evidence="hub.refused",
)
def test_a_renewal_brings_certificates_for_our_own_keys(
    space: HostileSpace, bench: Bench, tmp_path: Path
) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.path.mkdir()
    key = SigningKey.create(keys.path / PARTICIPANT_KEY)
    create_rsa_key(keys.path / ENGINE_KEY)
    own, others = (
        redeem(bench, join_request(bench.mint(name), one))
        for name, one in (("tiantan", key), ("eye", space.own_key))
    )
    root = write_certificate(bench.authority.root)
    (keys.path / ROOT).write_text(root)
    write_certificates(own | {"hub": root}, keys)
    bench.clock.advance(timedelta(days=6))
    member = Membership(
        space="glioma",
        name="tiantan",
        title="天坛医院",
        hub="https://127.0.0.1:1",
        engine=EngineAddress(host="hub", port=1, server_name="engine", project="glioma"),
    )
    hub: Any = SimpleNamespace(call=lambda *_, **__: others | {"hub": root})
    link = HubLink(
        Caller(membership=member, key=key, clock=bench.clock),
        trust=keys.trust(),
        answer=space.south.answer,
        renewal=Renewal(member, keys, hub=hub, clock=bench.clock, on_renewal=list),
        checkpoint=space.south.database.evidence.checkpoint,
        show=list,
        clock=bench.clock,
        refused=keep_refusals(space.south.database, hub=HUB),
    )
    with leaves(space.south, "hub.refused", code="link.untrusted_certificate"):
        link.start()
        wait_until(lambda: space.south.database.evidence.entries(kind="hub.refused"))
        link.stop()
    assert (keys.path / PARTICIPANT_CERTIFICATE).read_text() == own["participant"]


# --- policy pushed from above ----------------------------------------------------------


@contextmanager
def waiting(space: HostileSpace) -> Iterator[Negotiation]:
    """Have the lead wait for south's answer to a request for an agreement."""

    def wait(_question: Question) -> Verdict:
        return Verdict(action=Action.WAIT)

    honest = space.south.connector
    space.south.connector = replace(honest, decide=wait)
    wish = Wish(participant=space.south.me, dataset="heart")
    listing = find_listing(space.north.connector, wish)
    asked = negotiation.request_agreement(
        space.north.connector, space.south.me, dataset=listing.dataset, offer=listing.offer
    )
    try:
        wait_until(lambda: _process(space, asked).peer_pid)
        yield _process(space, asked)
    finally:
        space.south.connector = honest


def _process(space: HostileSpace, asked: Negotiation) -> Negotiation:
    with space.north.database.read() as connection:
        return get_process(connection, Negotiation, asked.pid)


def agreement_message(space: HostileSpace, asked: Negotiation, **changes: Any) -> dict[str, Any]:
    policy = asked.policy | {
        "@id": "urn:uuid:00000000-0000-4000-8000-00000000000a",
        "@type": "Agreement",
        "assigner": space.south.me,
        "assignee": space.north.me,
        "timestamp": "2026-01-01T00:00:00Z",
    }
    message = builders.contract_agreement(policy | changes)
    return builders.with_pids(message, provider=asked.peer_pid, consumer=asked.pid)


@attack(
    "P1",
    "sends an agreement in a hospital's name",
    refused_by="dataspace.bad_token token-signature",
    evidence="request.unproven",
)
def test_an_agreement_is_the_hospitals_own(space: HostileSpace) -> None:
    with waiting(space) as asked:
        forged = space.forge(
            space.own_key,
            issuer=space.south.me,
            to=space.north,
            path=f"/negotiations/{asked.pid}/agreement",
            document=agreement_message(space, asked),
        )
        with leaves(space.north, "request.unproven", rule="token-signature"):
            assert space.bring(space.north, forged).status == 401
        assert _process(space, asked).state == REQUESTED


@attack(
    "P2",
    "sends an agreement in its own name, as the space's authority",
    refused_by="dataspace.no_process",
    evidence="request.refused",
)
def test_the_hub_is_no_party_to_an_agreement(space: HostileSpace) -> None:
    with waiting(space) as asked:
        pushed = space.forge(
            space.members.hub,
            issuer=HUB,
            to=space.north,
            path=f"/negotiations/{asked.pid}/agreement",
            document=agreement_message(space, asked),
        )
        with leaves(space.north, "request.refused", code="dataspace.no_process"):
            assert space.bring(space.north, pushed).status == 404
        assert _process(space, asked).state == REQUESTED


@attack(
    "P3",
    "is in league with a hospital that agrees to other terms than it was asked for",
    refused_by="dataspace.agreement_differs",
    evidence="request.refused",
)
def test_an_agreement_on_other_terms_is_refused(space: HostileSpace) -> None:
    with waiting(space) as asked:
        other = asked.policy["permission"][0]
        changed = other | {"constraint": other["constraint"][:1]}
        wider = space.forge(
            space.south.key,
            issuer=space.south.me,
            to=space.north,
            path=f"/negotiations/{asked.pid}/agreement",
            document=agreement_message(space, asked, permission=[changed]),
        )
        with leaves(space.north, "request.refused", code="dataspace.agreement_differs"):
            assert space.bring(space.north, wider).status == 400


@attack(
    "P4",
    "asks a hospital's node for what only its own people may ask",
    refused_by="dataspace.bad_token token-shape",
    evidence="request.unproven",
)
@pytest.mark.parametrize("path", ["/datasets", "/members/key", "/studies", "/settings", "/status"])
def test_the_nodes_own_interface_is_not_to_be_had_from_outside(
    space: HostileSpace, path: str
) -> None:
    asked = WireRequest(method="POST", path=path, token="", body=b'{"min_cases":1}')
    with leaves(space.south, "request.unproven", path=path):
        assert space.bring(space.south, asked).status == 401


@attack(
    "P5",
    "asks the same in its own name, with its own key",
    refused_by="dataspace.no_route",
    evidence="request.refused",
)
def test_nor_in_the_hubs_own_name(space: HostileSpace) -> None:
    asked = space.forge(
        space.members.hub, issuer=HUB, to=space.south, path="/settings", document={"min_cases": 1}
    )
    with leaves(space.south, "request.refused", code="dataspace.no_route"):
        assert space.bring(space.south, asked).status == 404


@attack(
    "P6",
    "offers, in a hospital's name, other terms than that hospital's",
    refused_by="dataspace.forged_answer",
    evidence="answer.refused",
)
def test_a_catalogue_is_the_hospitals_own(space: HostileSpace) -> None:
    def widen(kept: Any) -> WireReply:
        told: Any = read_json(kept.reply.body)
        assert told
        return replace(kept.reply, body=kept.reply.body.replace(b"research", b"anything"))

    space.relay.after = widen
    wish = Wish(participant=space.south.me, dataset="heart")
    with (
        leaves(space.north, "answer.refused", code="dataspace.forged_answer"),
        pytest.raises(ConsiliumError),
    ):
        find_listing(space.north.connector, wish)


@attack(
    "P7",
    "ends a hospital's agreement or transfer in its name",
    refused_by="dataspace.bad_token token-signature",
    evidence="request.unproven",
)
def test_nobody_else_ends_a_transfer(space: HostileSpace) -> None:
    plan = space.fresh(open_at=("south",))
    ours = transfers_of(space.south, plan, role=Role.PROVIDER)[space.south.me]
    message = builders.with_pids(
        builders.transfer_termination("hub", "from above"),
        provider=ours.pid,
        consumer=ours.peer_pid,
    )
    asked = space.forge(
        space.own_key,
        issuer=space.north.me,
        to=space.south,
        path=f"/transfers/{ours.pid}/termination",
        document=message,
    )
    with leaves(space.south, "request.unproven", rule="token-signature"):
        assert space.bring(space.south, asked).status == 401
    assert space.south.transfer(ours.pid).state == "STARTED"
