"""The node's process: one hospital's door, gate, desk, engine client and studies."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path

from consilium.dataspace.records import PrivacyBudget
from consilium.dataspace.wire.serving import Serving
from consilium.federation.registry import Recipes
from consilium.federation.secure import SumDesk
from consilium.federation.secure.store import StoredMemory
from consilium.federation.statistics.site import installed_statistics
from consilium.gate.arrays import ArrayFiles
from consilium.gate.gate import Gate
from consilium.gate.statistics import NAME as STATISTICS
from consilium.ledger.files import BlobStore
from consilium.ledger.lifetime import own_home, stop_on_signals
from consilium.node.app import make_app
from consilium.node.auditing import Auditor
from consilium.node.catalogue import Catalogue
from consilium.node.console.app import Announce, open_console
from consilium.node.desk import DeskServer
from consilium.node.direct import serve_directly
from consilium.node.enforcement import Enforcement, end_revoked
from consilium.node.engine import NodeEngine
from consilium.node.following import Following
from consilium.node.front import Front, open_front
from consilium.node.ground import Ground, lay_ground
from consilium.node.leading import Leading, Office
from consilium.node.link import HubLink, keep_refusals
from consilium.node.membership import load_membership
from consilium.node.proving import Proofs, make_evidence_desk, make_proofs
from consilium.node.reading.uploads import UPLOADS, Shed
from consilium.node.reception import Reception
from consilium.node.registration import Registrar
from consilium.node.renewal import Renewal
from consilium.node.rooms import Rooms
from consilium.node.settings import load_node_settings
from consilium.node.tasks import Tasks

LOG = logging.getLogger("consilium.node")


def serve(home: Path, *, announce: Announce = lambda _opened: None) -> None:
    """Run a node until it is told to stop.

    Parameters
    ----------
    announce : callable
        Told where the console is, once it answers, if the settings ask for one.

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
        ground = lay_ground(stack, home, membership, settings)
        blobs = BlobStore(home / "blobs")
        front = open_front(stack, ground, blobs=blobs)
        rooms = _build(stack, ground, front, blobs=blobs)
        office = Serving(make_app(rooms), home / "run" / "api.sock")
        office.start()
        stack.callback(office.close)
        opened = open_console(stack, ground.console, rooms)
        serve_directly(stack, ground.settings, front.connector, also=front.routes)
        rooms.leading.resume()
        stack.callback(rooms.leading.close)
        LOG.info("serving %s", membership.participant)
        if opened is not None:
            LOG.info("the console is at %s", opened.address)
            announce(opened)
        stop.wait()
        LOG.info("stopping")
    # A study that is recruiting may wait for a hospital's answer for another half minute,
    # and Python would wait for it. Everything is closed, and a study goes on where it stood.
    logging.shutdown()
    os._exit(0)


def _build(stack: ExitStack, ground: Ground, front: Front, *, blobs: BlobStore) -> Rooms:
    """Build what stands on the ground, and start it."""
    connector, directory = front.connector, front.directory
    home, recipes = ground.home, Recipes()
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
        noisy=recipes.noisy,
        min_cases=ground.settings.min_cases,
        location_of=directory.location_of,
        sums=SumDesk(connector.me, key=ground.key, memory=StoredMemory(ground.database)),
    )
    enforcement = Enforcement(connector, judge=gate, hub=ground.hub, models=home / "models")
    enforcement.start()
    stack.callback(enforcement.stop)
    desk = DeskServer(desk_path, gate, keeper=enforcement.jobs)
    desk.serve()
    stack.callback(desk.close)
    proofs = make_proofs(ground, front)
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
        recipes=recipes.digests | {STATISTICS: installed_statistics().digest},
        budget=PrivacyBudget(epsilon=ground.settings.epsilon, delta=ground.settings.delta),
    )
    registrar.tidy()
    Shed(home / UPLOADS).tidy()
    reception = Reception(
        database=ground.database,
        clock=ground.clock,
        settings=ground.approvals,
        models=home / "models",
    )
    return Rooms(
        home=home,
        settings=ground.settings,
        console=ground.console,
        membership=ground.membership,
        connector=connector,
        directory=directory,
        link=link,
        engine=engine.child,
        registrar=registrar,
        leading=Leading(office),
        tasks=Tasks(),
        evidence=make_evidence_desk(ground, proofs, release=reception.release_evidence),
        reception=reception,
        recipes=recipes,
        catalogue=Catalogue(connector, directory),
        following=Following(),
        auditor=Auditor(
            connector=connector,
            marker=enforcement.marker,
            arrays=ArrayFiles(blobs),
            models=home / "models",
            min_cases=ground.settings.min_cases,
        ),
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
