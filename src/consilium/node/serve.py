"""The node's process: one hospital's door, gate, desk, engine client and studies."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from consilium.dataspace.caution import AfterRevocation
from consilium.dataspace.connector import Connector
from consilium.dataspace.endpoints import Route, answer
from consilium.dataspace.outbox import Outbox
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.records import PrivacyBudget
from consilium.dataspace.revocation_routes import REVOCATION_ROUTES
from consilium.dataspace.wire.replays import ReplayGuard
from consilium.dataspace.wire.serving import Serving
from consilium.federation.registry import Recipes
from consilium.gate.gate import Gate
from consilium.kernel.clock import Clock, SystemClock
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.database import Database, open_database
from consilium.ledger.exports import Exporter
from consilium.ledger.files import BlobStore
from consilium.ledger.keys import SigningKey
from consilium.ledger.lifetime import own_home, stop_on_signals
from consilium.ledger.tiles import LogTiles
from consilium.ledger.witnessing import LogMemory, Witness
from consilium.node.app import Rooms, make_app
from consilium.node.desk import DeskServer
from consilium.node.direct import serve_directly
from consilium.node.directory import HubDirectory
from consilium.node.enforcement import Enforcement, end_revoked
from consilium.node.engine import NodeEngine
from consilium.node.evidence import EvidenceDesk
from consilium.node.hub_client import Caller, HubClient
from consilium.node.leading import Leading, Office
from consilium.node.link import Answerer, HubLink, keep_refusals, make_transport
from consilium.node.membership import KEYS, KeyFolder, Membership, load_membership
from consilium.node.proxy import Proxy
from consilium.node.reception import Reception
from consilium.node.registration import Registrar
from consilium.node.renewal import Renewal
from consilium.node.settings import NodeSettings, load_approval_settings, load_node_settings
from consilium.node.tasks import Tasks
from consilium.node.waiting import PersonsDecide, Waiting
from consilium.node.witnessing import Witnessing, witness_routes
from consilium.persons.settings import ApprovalSettings

LOG = logging.getLogger("consilium.node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """The log's tiles, the cosignatures it has, and this node as witness of others."""

    tiles: LogTiles
    cosignatures: Cosignatures
    witness: Witness
    witnessing: Witnessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every part of the node stands on."""

    home: Path
    membership: Membership
    settings: NodeSettings
    approvals: ApprovalSettings
    keys: KeyFolder
    key: SigningKey
    clock: Clock
    database: Database
    caller: Caller
    hub: HubClient
    proxy: Proxy | None


def serve(home: Path) -> None:
    """Run a node until it is told to stop.

    Raises
    ------
    NotFoundError
        `link.not_joined`.
    InputError
        `link.bad_membership`, `node.bad_setting`, `node.unknown_setting`.
    StateError
        `ledger.home_taken` and what the database says.
    """
    home = home.resolve()
    membership = load_membership(home)
    settings = load_node_settings(home, environment=os.environ)
    stop = stop_on_signals(os.environ)
    with ExitStack() as stack:
        stack.enter_context(own_home(home))
        ground = _lay_ground(stack, home, membership, settings)
        front = _open_front(stack, ground)
        rooms = _build(stack, ground, front)
        office = Serving(make_app(rooms), home / "run" / "api.sock")
        office.start()
        stack.callback(office.close)
        serve_directly(stack, ground.settings, front.connector, also=front.routes)
        rooms.leading.resume()
        stack.callback(rooms.leading.close)
        LOG.info("serving %s", membership.participant)
        stop.wait()
        LOG.info("stopping")
    # A study that is recruiting may wait for a hospital's answer for another half minute,
    # and Python would wait for it. Everything is closed, and a study goes on where it stood.
    logging.shutdown()
    os._exit(0)


def _lay_ground(
    stack: ExitStack, home: Path, membership: Membership, settings: NodeSettings
) -> Ground:
    keys, clock = KeyFolder(home / KEYS), SystemClock()
    proxy = settings.proxies(home, environment=os.environ).find(membership.hub)
    key = keys.signing_key()
    database = open_database(
        settings.url(home), key=key, clock=clock, origin=membership.participant
    )
    stack.callback(database.close)
    caller = Caller(membership=membership, key=key, clock=clock)
    hub = HubClient(caller, trust=keys.trust(), proxy=proxy)
    stack.callback(hub.close)
    return Ground(
        home=home,
        membership=membership,
        settings=settings,
        approvals=load_approval_settings(home, environment=os.environ),
        keys=keys,
        key=key,
        clock=clock,
        database=database,
        caller=caller,
        hub=hub,
        proxy=proxy,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What other participants meet: the connector and whatever else answers at its door."""

    connector: Connector
    directory: HubDirectory
    witness: Witness
    routes: tuple[Route, ...]
    answer: Answerer


def _open_front(stack: ExitStack, ground: Ground) -> Front:
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
    routes = (*REVOCATION_ROUTES, *witness_routes(witness))
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


def _build(stack: ExitStack, ground: Ground, front: Front) -> Rooms:
    """Build what stands on the ground, and start it."""
    connector, directory = front.connector, front.directory
    home, recipes = ground.home, Recipes()
    blobs = BlobStore(home / "blobs")
    desk_path = home / "run" / "desk.sock"
    engine = NodeEngine(
        home / "engine",
        ground.membership,
        keys=ground.keys,
        desk=desk_path,
        proxy=ground.proxy,
    )
    gate = Gate(
        ground.database,
        me=connector.me,
        key=ground.key,
        clock=ground.clock,
        blobs=blobs,
        installed=recipes.digests,
        min_cases=ground.settings.min_cases,
        location_of=directory.location_of,
    )
    enforcement = Enforcement(connector, judge=gate, hub=ground.hub, models=home / "models")
    enforcement.start()
    stack.callback(enforcement.stop)
    desk = DeskServer(desk_path, gate, keeper=enforcement.jobs)
    desk.serve()
    stack.callback(desk.close)
    proofs = _make_proofs(ground, front)
    link = _make_link(ground, front, engine, proofs)
    link.start()
    stack.callback(link.stop)
    proofs.witnessing.start()
    stack.callback(proofs.witnessing.stop)
    engine.start()
    stack.callback(engine.child.stop)
    office = Office(
        connector=connector,
        hub=ground.hub,
        recipes=recipes,
        space=ground.membership.space,
        aggregator=f"{ground.membership.hub}/studies",
        models=home / "models",
        titles=lambda: {
            entry.identity.participant: entry.identity.title for entry in directory.list_entries()
        },
        mark=enforcement.marker.mark,
        answer_s=ground.settings.answer_s,
    )
    registrar = Registrar(
        database=ground.database,
        blobs=blobs,
        clock=ground.clock,
        workshop=home / "intake",
        recipes=recipes.digests,
        budget=PrivacyBudget(epsilon=ground.settings.epsilon, delta=ground.settings.delta),
    )
    registrar.tidy()
    return Rooms(
        membership=ground.membership,
        connector=connector,
        directory=directory,
        link=link,
        engine=engine.child,
        registrar=registrar,
        leading=Leading(office),
        tasks=Tasks(),
        evidence=_make_desk(ground, proofs),
        reception=Reception(
            database=ground.database,
            clock=ground.clock,
            settings=ground.approvals,
            models=home / "models",
        ),
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


def _make_proofs(ground: Ground, front: Front) -> Proofs:
    tiles = LogTiles(ground.database.evidence, ground.home / "log")
    cosignatures = Cosignatures(ground.database, tiles, clock=ground.clock)
    directory, witness = front.directory, front.witness
    witnessing = Witnessing(
        front.connector.client,
        ground.hub,
        hub_id=ground.membership.hub_participant,
        cosignatures=cosignatures,
        witness=witness,
        peers=lambda: [
            entry.identity.participant for entry in directory.list_entries() if entry.admitted
        ],
    )
    return Proofs(tiles=tiles, cosignatures=cosignatures, witness=witness, witnessing=witnessing)


def _make_desk(ground: Ground, proofs: Proofs) -> EvidenceDesk:
    exporter = Exporter(
        ground.database,
        proofs.tiles,
        proofs.cosignatures,
        key=ground.key.public,
        clock=ground.clock,
    )
    return EvidenceDesk(
        database=ground.database,
        tiles=proofs.tiles,
        exporter=exporter,
        folder=ground.home / "exports",
        refresh=proofs.witnessing.try_hub,
    )


def _make_link(ground: Ground, front: Front, engine: NodeEngine, proofs: Proofs) -> HubLink:
    renewal = Renewal(
        ground.membership,
        ground.keys,
        hub=ground.hub,
        clock=ground.clock,
        on_renewal=engine.renew,
    )
    return HubLink(
        ground.caller,
        trust=ground.keys.trust(),
        answer=front.answer,
        renewal=renewal,
        checkpoint=ground.database.evidence.checkpoint,
        show=proofs.witnessing.show_hub,
        clock=ground.clock,
        refresh=lambda: end_revoked(front.connector, front.directory),
        proxy=ground.proxy,
        refused=keep_refusals(ground.database, hub=ground.membership.hub_participant),
    )
