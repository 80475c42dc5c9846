"""The hub's process: signer and engine beside it, members at its door."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from consilium.dataspace.wire.replays import ReplayGuard
from consilium.dataspace.wire.serving import Serving, TlsPlace
from consilium.federation.coordination import Coordinator
from consilium.federation.flare.processes import SupervisedChild
from consilium.hub.app import Counters, make_app, make_office
from consilium.hub.authority import Kind
from consilium.hub.door import Door
from consilium.hub.engine import HubEngine
from consilium.hub.joining import EngineAddress, JoiningCounter
from consilium.hub.members import Members
from consilium.hub.relay import Relay
from consilium.hub.settings import HubSettings, load_settings
from consilium.hub.signer import FOLDER as SIGNER
from consilium.hub.signer_socket import SignClient
from consilium.hub.studies import StudyCounter
from consilium.hub.upkeep import KEYS, NAMES, ROOT_FILE, Upkeep
from consilium.hub.witness import HubMemory
from consilium.kernel.clock import Clock, SystemClock
from consilium.kernel.errors import PeerError
from consilium.kernel.identifiers import ParticipantId, participant_id
from consilium.ledger.certificates import read_certificate
from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.ledger.lifetime import own_home, stop_on_signals
from consilium.ledger.tiles import LogTiles
from consilium.ledger.witnessing import Witness

LOG = logging.getLogger("consilium.hub")
_SIGNER_S = 20.0


def serve(home: Path) -> None:
    """Run a hub until it is told to stop.

    Raises
    ------
    NotFoundError
        `hub.no_hub`.
    InputError
        `hub.bad_setting`, `hub.unknown_setting`.
    StateError
        `ledger.home_taken`, `boundary.port_taken`.
    PeerError
        `hub.signer_away`.
    """
    home = home.resolve()
    settings, clock = load_settings(home, environment=os.environ), SystemClock()
    stop = stop_on_signals(os.environ)
    with ExitStack() as stack:
        stack.enter_context(own_home(home))
        signer = _start_signer(stack, home)
        key = SigningKey.load(_key_path(home, Kind.PARTICIPANT))
        url = settings.hub.database or f"sqlite:///{home / 'hub.db'}"
        database = open_database(url, key=key, clock=clock, origin=settings.participant)
        stack.callback(database.close)
        engine = HubEngine(home, settings)
        counters = _make_counters(
            home, settings, signer=signer, database=database, engine=engine, key=key, clock=clock
        )
        _open_door(stack, home, counters, database=database, engine=engine, signer=signer)
        engine.start()
        stack.callback(engine.stop)
        counters.studies.coordinator.resume()
        stack.callback(counters.studies.coordinator.close)
        LOG.info("serving %s at %s", settings.hub.space, settings.address)
        stop.wait()
        LOG.info("stopping")


def _start_signer(stack: ExitStack, home: Path) -> SignClient:
    """Start the signer as a child, unless one with a user of its own serves already."""
    client = SignClient(home / SIGNER)
    if _answers(client):
        return client
    command = [sys.executable, "-m", "consilium.hub.signer", str(home), "--with-parent"]
    child = SupervisedChild("signer", command, folder=home / "run")
    child.start()
    stack.callback(child.stop)
    ends = time.monotonic() + _SIGNER_S
    while not _answers(client):
        if time.monotonic() > ends:
            raise PeerError("hub.signer_away", path=str(home / SIGNER))
        time.sleep(0.05)
    return client


def _answers(client: SignClient) -> bool:
    try:
        client.list_standing()
    except PeerError:
        return False
    return True


def _make_counters(
    home: Path,
    settings: HubSettings,
    *,
    signer: SignClient,
    database: Database,
    engine: HubEngine,
    key: SigningKey,
    clock: Clock,
) -> Counters:
    root = (home / KEYS / ROOT_FILE).read_text(encoding="ascii")
    certificate = home / KEYS / f"{NAMES[Kind.PARTICIPANT]}.crt"
    members = Members(
        database,
        key=key,
        hub_certificate=lambda: certificate.read_text(encoding="ascii"),
        root=read_certificate(root),
        space=settings.hub.space,
        clock=clock,
        register=settings.register,
    )
    address = engine.address
    joining = JoiningCounter(
        certifier=signer,
        members=members,
        root=root,
        hub_certificate=lambda: certificate.read_text(encoding="ascii"),
        engine=EngineAddress(
            host=address.host,
            port=address.port,
            server_name=address.server,
            project=address.project,
        ),
    )
    coordinator = Coordinator(
        database, engine.port, home / "studies", clock=clock, engine_life=engine.life
    )
    tiles = LogTiles(database.evidence, home / "log")
    return Counters(
        settings=settings,
        door=Door(
            settings.participant,
            key_of=members.key_of,
            clock=clock,
            seen=ReplayGuard(home / "tokens.seen", now=int(clock.now().timestamp())),
        ),
        joining=joining,
        members=members,
        relay=Relay(settings.relay),
        witness=Witness(
            database,
            me=settings.participant,
            key=key,
            key_of=lambda origin: members.key_of(ParticipantId(origin)),
            memory=HubMemory(),
            clock=clock,
        ),
        studies=StudyCounter(
            database=database, coordinator=coordinator, directory=members, clock=clock
        ),
        database=database,
        tiles=tiles,
        cosignatures=Cosignatures(database, tiles, clock=clock),
    )


def _open_door(
    stack: ExitStack,
    home: Path,
    counters: Counters,
    *,
    database: Database,
    engine: HubEngine,
    signer: SignClient,
) -> None:
    """Serve members by HTTPS and the office on the socket; keep certificates fresh."""
    hub = counters.settings.hub
    place = TlsPlace(
        host=hub.listen,
        port=hub.port,
        certificate=home / KEYS / f"{NAMES[Kind.HTTPS]}.crt",
        key=_key_path(home, Kind.HTTPS),
    )
    door = Serving(make_app(counters), place)
    upkeep = Upkeep(
        signer,
        counters.members,
        keys=home / KEYS,
        on_renewal=lambda kind: (
            door.renew_certificate() if kind is Kind.HTTPS else engine.renew(kind)
        ),
        on_revocation=lambda name: _expel(counters, name),
        on_standing=engine.bar,
        clock=SystemClock(),
        longest_s=hub.upkeep_s,
    )
    upkeep.run_once()
    upkeep.start()
    stack.callback(upkeep.stop)
    door.start()
    stack.callback(door.close)
    stack.callback(door.call, counters.relay.close)
    office = Serving(
        make_office(counters, database=database, engine=engine, refresh=upkeep.run_once),
        home / "run" / "api.sock",
    )
    office.start()
    stack.callback(office.close)


def _expel(counters: Counters, name: str) -> None:
    """End a revoked member's part in everything that runs."""
    LOG.warning("member %s was revoked", name)
    counters.studies.expel(participant_id(counters.settings.hub.space, name))


def _key_path(home: Path, kind: Kind) -> Path:
    return home / KEYS / f"{NAMES[kind]}.key"
