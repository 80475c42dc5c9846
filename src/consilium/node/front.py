"""What other participants meet at a node's door: its connector, and what else answers there."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from consilium.dataspace.caution import AfterRevocation
from consilium.dataspace.connector import Connector
from consilium.dataspace.endpoints import Route, answer
from consilium.dataspace.outbox import Outbox
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.revocation_routes import REVOCATION_ROUTES
from consilium.dataspace.wire.replays import ReplayGuard
from consilium.federation.statistics.door import statistics_routes
from consilium.federation.statistics.site import installed_statistics
from consilium.gate.statistics import StatisticsGate
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.files import BlobStore
from consilium.ledger.witnessing import LogMemory, Witness
from consilium.node.directory import HubDirectory
from consilium.node.ground import Ground
from consilium.node.link import Answerer, make_transport
from consilium.node.waiting import PersonsDecide, Waiting
from consilium.node.witnessing import witness_routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What other participants meet: the connector and whatever else answers at its door."""

    connector: Connector
    directory: HubDirectory
    witness: Witness
    routes: tuple[Route, ...]
    answer: Answerer


def open_front(stack: ExitStack, ground: Ground, *, blobs: BlobStore) -> Front:
    """Make this hospital's connector; its own door answers what it asks of itself."""

    def answer_here(request: WireRequest) -> WireReply:
        return answer(connector, request, also=routes)

    transport, client = make_transport(
        ground.caller, trust=ground.keys.trust(), answer=answer_here, proxy=ground.proxy
    )
    directory = HubDirectory(
        ground.membership,
        me=ground.key.public,
        fetch=lambda: dict(ground.hub.call("GET", "/members")),
        root=ground.keys.root(),
        database=ground.database,
        clock=ground.clock,
        stale_s=ground.settings.members_s,
    )
    witness = _make_witness(ground, directory)
    statistics = _make_statistics(ground, directory, blobs)
    routes = (*REVOCATION_ROUTES, *witness_routes(witness), *statistics_routes(statistics))
    connector = Connector(
        me=ground.membership.participant,
        title=ground.membership.title,
        root=ground.membership.relay_address(ground.membership.participant),
        database=ground.database,
        key=ground.key,
        clock=ground.clock,
        directory=directory,
        transport=transport,
        decide=AfterRevocation(PersonsDecide(ground.approvals), ground.database),
        waiting=Waiting(settings=ground.approvals, clock=ground.clock),
        seen=ReplayGuard(ground.home / "tokens.seen", now=int(ground.clock.now().timestamp())),
    )
    outbox = Outbox(connector)
    outbox.start()
    stack.callback(outbox.stop)
    # Closed before the outbox stops: a peer that does not answer must not hold up the end.
    stack.callback(client.close)
    return Front(
        connector=connector,
        directory=directory,
        witness=witness,
        routes=routes,
        answer=answer_here,
    )


def _make_witness(ground: Ground, directory: HubDirectory) -> Witness:
    return Witness(
        ground.database,
        me=ground.membership.participant,
        key=ground.key,
        key_of=lambda origin: directory.key_of(ParticipantId(origin)),
        memory=LogMemory(),
        clock=ground.clock,
    )


def _make_statistics(ground: Ground, directory: HubDirectory, blobs: BlobStore) -> StatisticsGate:
    return StatisticsGate(
        ground.database,
        me=ground.membership.participant,
        key=ground.key,
        clock=ground.clock,
        blobs=blobs,
        computation=installed_statistics(),
        min_cases=ground.settings.min_cases,
        most_questions=ground.settings.questions,
        location_of=directory.location_of,
    )
