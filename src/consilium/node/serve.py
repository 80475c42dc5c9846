"""The node's process: one hospital's door, gate, desk, engine client and studies."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from consilium.dataspace.connector import Connector
from consilium.dataspace.decisions import PolicyDecide
from consilium.dataspace.endpoints import Route, answer
from consilium.dataspace.outbox import Outbox
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.records import PrivacyBudget
from consilium.dataspace.wire.serving import Serving
from consilium.federation.registry import Recipes
from consilium.federation.statistics.door import statistics_routes
from consilium.federation.statistics.site import installed_statistics
from consilium.gate.gate import Gate
from consilium.gate.statistics import NAME as STATISTICS
from consilium.gate.statistics import StatisticsGate
from consilium.kernel.clock import Clock, SystemClock
from consilium.ledger.database import Database, open_database
from consilium.ledger.files import BlobStore
from consilium.ledger.keys import SigningKey
from consilium.ledger.lifetime import own_home, stop_on_signals
from consilium.node.app import Rooms, make_app
from consilium.node.desk import DeskServer
from consilium.node.directory import HubDirectory
from consilium.node.engine import NodeEngine
from consilium.node.hub_client import Caller, HubClient
from consilium.node.leading import Leading, Office
from consilium.node.link import HubLink, make_transport
from consilium.node.membership import KEYS, KeyFolder, Membership, load_membership
from consilium.node.registration import Registrar
from consilium.node.renewal import Renewal
from consilium.node.settings import NodeSettings, load_node_settings
from consilium.node.tasks import Tasks

LOG = logging.getLogger("consilium.node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every part of the node stands on."""

    home: Path
    membership: Membership
    settings: NodeSettings
    keys: KeyFolder
    key: SigningKey
    clock: Clock
    database: Database
    caller: Caller
    hub: HubClient
    features: list[Route] = field(default_factory=list)
    """Signed paths of features, beside the protocol's; filled while the node is built."""


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
        connector, directory = _make_connector(stack, ground)
        rooms = _build(stack, ground, connector, directory)
        office = Serving(make_app(rooms), home / "run" / "api.sock")
        office.start()
        stack.callback(office.close)
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
    key = keys.signing_key()
    database = open_database(
        settings.url(home), key=key, clock=clock, origin=membership.participant
    )
    stack.callback(database.close)
    caller = Caller(membership=membership, key=key, clock=clock)
    hub = HubClient(caller, trust=keys.trust())
    stack.callback(hub.close)
    return Ground(
        home=home,
        membership=membership,
        settings=settings,
        keys=keys,
        key=key,
        clock=clock,
        database=database,
        caller=caller,
        hub=hub,
    )


def _make_connector(stack: ExitStack, ground: Ground) -> tuple[Connector, HubDirectory]:
    """Make this hospital's connector; its own door answers what it asks of itself."""

    def answer_here(request: WireRequest) -> WireReply:
        return answer(connector, request, also=ground.features)

    transport, client = make_transport(ground.caller, trust=ground.keys.trust(), answer=answer_here)
    directory = HubDirectory(
        ground.membership,
        me=ground.key.public,
        fetch=lambda: dict(ground.hub.call("GET", "/members")),
        root=ground.keys.root(),
        database=ground.database,
        clock=ground.clock,
    )
    connector = Connector(
        me=ground.membership.participant,
        title=ground.membership.title,
        root=ground.membership.relay_address(ground.membership.participant),
        database=ground.database,
        key=ground.key,
        clock=ground.clock,
        directory=directory,
        transport=transport,
        decide=PolicyDecide(),
    )
    outbox = Outbox(connector)
    outbox.start()
    stack.callback(outbox.stop)
    # Closed before the outbox stops: a peer that does not answer must not hold up the end.
    stack.callback(client.close)
    return connector, directory


def _build(
    stack: ExitStack, ground: Ground, connector: Connector, directory: HubDirectory
) -> Rooms:
    """Build what stands on the ground, and start it."""
    home, recipes = ground.home, Recipes()
    blobs = BlobStore(home / "blobs")
    desk_path = home / "run" / "desk.sock"
    engine = NodeEngine(home / "engine", ground.membership, keys=ground.keys, desk=desk_path)
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
    ground.features.extend(statistics_routes(_make_statistics(ground, directory, blobs)))
    desk = DeskServer(desk_path, gate)
    desk.serve()
    stack.callback(desk.close)
    link = _make_link(ground, connector, engine)
    link.start()
    stack.callback(link.stop)
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
    )
    registrar = Registrar(
        database=ground.database,
        blobs=blobs,
        clock=ground.clock,
        workshop=home / "intake",
        recipes=recipes.digests | {STATISTICS: installed_statistics().digest},
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


def _make_link(ground: Ground, connector: Connector, engine: NodeEngine) -> HubLink:
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
        answer=lambda request: answer(connector, request, also=ground.features),
        renewal=renewal,
        checkpoint=ground.database.evidence.checkpoint,
        hub=ground.hub,
        clock=ground.clock,
    )
