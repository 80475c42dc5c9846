"""A hub on real HTTPS with a real signer process, and nodes that join it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.wire.boundary import report_errors
from consilium.dataspace.wire.client import Client
from consilium.dataspace.wire.replays import ReplayGuard
from consilium.dataspace.wire.serving import Server
from consilium.dataspace.wire.tokens import check_token, make_answer
from consilium.dataspace.wire.transports import LocalTransport
from consilium.hub.authority import Kind, engine_server_name
from consilium.hub.door import BodyLimit, Door, Pace
from consilium.hub.init import init_hub
from consilium.hub.joining import EngineAddress, JoiningCounter, joining_router
from consilium.hub.members import Members
from consilium.hub.relay import Relay, relay_router
from consilium.hub.settings import HubSettings, load_settings
from consilium.hub.signer import FOLDER
from consilium.hub.signer_socket import AdminClient, SignClient
from consilium.hub.upkeep import Upkeep
from consilium.hub.witness import HubMemory, log_router, witness_router
from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.certificates import load_certificate
from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.ledger.tiles import LogTiles
from consilium.ledger.witnessing import LogMemory, Shown, Witness
from consilium.node.directory import HubDirectory
from consilium.node.hub_client import Caller, HubClient
from consilium.node.join import join_hub
from consilium.node.link import HubLink, LinkSettings, make_transport
from consilium.node.membership import KEYS, KeyFolder, Membership, load_membership
from consilium.node.renewal import Renewal
from consilium.node.witnessing import BASE, PATH, Witnessing

CLOCK = SystemClock()
WITNESS_PATH = BASE + PATH


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


class SignerProcess:
    """The signer as it runs at a hub."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "consilium.hub.signer", str(self._home), "--with-parent"],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        sign = SignClient(self._home / FOLDER)
        wait_for(lambda: process.poll() is not None or _answers(sign))
        return process

    def kill(self) -> None:
        """End it as a crash would; its sockets stay behind."""
        self.process.kill()
        self.stop()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdin is not None:
            self.process.stdin.close()


class Hub:
    """A hub's serving side, in a thread, on HTTPS."""

    def __init__(self, home: Path, *, upkeep: bool = False, **others: Any) -> None:
        self.home = home
        if not home.exists():
            settings = {"hub.port": free_port(), "hub.engine_port": free_port(), **others}
            given = {"space": "glioma", "title": "胶质瘤空间", "host": "localhost"}
            init_hub(home, **given, clock=CLOCK, others=settings)
        self.settings: HubSettings = load_settings(home, environment={})
        self.renewed: list[Kind] = []
        self._compose()
        self.upkeep = Upkeep(
            SignClient(home / FOLDER),
            self.members,
            keys=home / "keys",
            on_renewal=self.on_renewal,
            on_revocation=lambda name: None,
            clock=CLOCK,
        )
        self._serve()
        if upkeep:
            self.upkeep.start()

    def _compose(self) -> None:
        keys, settings = self.home / "keys", self.settings
        key = SigningKey.load(keys / "hub.key")
        url = f"sqlite:///{self.home / 'hub.db'}"
        me = settings.participant
        self.database = open_database(url, key=key, clock=CLOCK, origin=me)
        self.members = Members(
            self.database,
            key=key,
            hub_certificate=lambda: (keys / "hub.crt").read_text(),
            root=load_certificate(keys / "root.crt"),
            space=settings.hub.space,
            clock=CLOCK,
        )
        self.relay = Relay(settings.relay)
        self.door = Door(me, key_of=self.members.key_of, clock=CLOCK)
        counter = JoiningCounter(
            certifier=SignClient(self.home / FOLDER),
            members=self.members,
            root=(keys / "root.crt").read_text(),
            hub_certificate=lambda: (keys / "hub.crt").read_text(),
            engine=EngineAddress(
                host="localhost",
                port=settings.hub.engine_port,
                server_name=engine_server_name(settings.hub.space),
                project=settings.hub.space,
            ),
        )
        tiles = LogTiles(self.database.evidence, self.home / "log")
        self.cosignatures = Cosignatures(self.database, tiles, clock=CLOCK)
        witness = Witness(
            self.database,
            me=me,
            key=key,
            key_of=lambda origin: self.members.key_of(ParticipantId(origin)),
            memory=HubMemory(),
            clock=CLOCK,
        )
        app = FastAPI()
        report_errors(app)
        pace = Pace(settings.relay.joins_per_minute)
        app.include_router(joining_router(counter, sender=self.door.sender, pace=pace))
        sender = self.door.sender
        app.include_router(witness_router(witness, self.database, sender=sender))
        app.include_router(
            log_router(tiles, self.cosignatures, key_of=self.members.key_of, sender=sender)
        )
        is_member = self.members.is_admitted
        app.include_router(relay_router(self.relay, door=self.door, is_member=is_member))
        body = settings.relay.body_bytes
        limits = {"/members/": body, "/relay/answers/": 2 * body}
        self.app = BodyLimit(app, limits=limits)

    def _serve(self) -> None:
        keys = self.home / "keys"
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            port=self.settings.hub.port,
            ssl_certfile=str(keys / "https.crt"),
            ssl_keyfile=str(keys / "https.key"),
            log_level="error",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self.config = config
        self.server = Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        wait_for(lambda: self.server.started)

    def on_renewal(self, kind: Kind) -> None:
        self.renewed.append(kind)
        if kind is Kind.HTTPS and self.config.ssl is not None:
            keys = self.home / "keys"
            self.config.ssl.load_cert_chain(keys / "https.crt", keys / "https.key")

    def mint(self, member: str, title: str = "天坛医院", **facts: Any) -> str:
        return str(AdminClient(self.home / FOLDER).mint(member, title=title, **facts)["token"])

    def stop(self) -> None:
        if not self.thread.is_alive():
            return
        self.upkeep.stop()
        self.server.should_exit = True
        self.relay.close()
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.database.close()


class Node:
    """One hospital: joined, linked, and answering what it is asked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.membership: Membership = load_membership(home)
        self.keys = KeyFolder(home / KEYS)
        self.key = self.keys.signing_key()
        self.me: ParticipantId = self.membership.participant
        self.received: list[WireRequest] = []
        self.renewals: list[float] = []
        self._guard = ReplayGuard()
        self._compose()

    def _compose(self) -> None:
        caller = Caller(membership=self.membership, key=self.key, clock=CLOCK)
        trust = self.keys.trust()
        self.hub = HubClient(caller, trust=trust)
        url = f"sqlite:///{self.home / 'node.db'}"
        self.database: Database = open_database(url, key=self.key, clock=CLOCK, origin=self.me)
        self.directory = HubDirectory(
            self.membership,
            me=self.key.public,
            fetch=lambda: dict(self.hub.call("GET", "/members")),
            root=self.keys.root(),
            database=self.database,
            clock=CLOCK,
        )
        self.transport: LocalTransport
        self.transport, self._client = make_transport(caller, trust=trust, answer=self.answer)
        renewal = Renewal(
            self.membership,
            self.keys,
            hub=self.hub,
            clock=CLOCK,
            on_renewal=lambda: self.renewals.append(time.monotonic()),
        )
        self.renewal = renewal
        tiles = LogTiles(self.database.evidence, self.home / "log")
        self.cosignatures = Cosignatures(self.database, tiles, clock=CLOCK)
        self.witness = Witness(
            self.database,
            me=self.me,
            key=self.key,
            key_of=lambda origin: self.directory.key_of(ParticipantId(origin)),
            memory=LogMemory(),
            clock=CLOCK,
        )
        self.witnessing = Witnessing(
            self.client,
            self.hub,
            hub_id=self.membership.hub_participant,
            cosignatures=self.cosignatures,
            witness=self.witness,
            peers=lambda: [one.identity.participant for one in self.directory.list_entries()],
        )
        self.link = HubLink(
            caller,
            trust=trust,
            answer=self.answer,
            renewal=renewal,
            checkpoint=self.database.evidence.checkpoint,
            show=self.witnessing.show_hub,
            clock=CLOCK,
            settings=LinkSettings(checkpoint_s=0.3),
        )

    @property
    def client(self) -> Client:
        return Client(
            me=self.me,
            key=self.key,
            clock=CLOCK,
            directory=self.directory,
            transport=self.transport,
        )

    def answer(self, request: WireRequest) -> WireReply:
        """Answer as a connector does: check who asks, answer under one's own name."""
        self.received.append(request)
        who = check_token(
            request.token,
            key_of=self.directory.key_of,
            audience=self.me,
            method=request.method,
            path=request.path,
            body=request.body,
            clock=CLOCK,
            seen=self._guard,
        )
        body = f'{{"asked":"{who}","path":"{request.path}"}}'.encode()
        if request.path == WITNESS_PATH:
            shown = Shown.from_document(json.loads(request.body))
            body = canonical_bytes(self.witness.take(who, shown).as_document())
        token = make_answer(self.key, issuer=self.me, request=request.token, status=200, body=body)
        return WireReply(status=200, body=body, token=token)

    def start(self) -> Node:
        self.link.start()
        assert self.link.wait_online(10)
        return self

    def stop(self) -> None:
        self.link.stop()
        self.hub.close()
        self._client.close()
        self.database.close()


@dataclass
class Rehearsal:
    """A whole small space in one folder; everything it started is stopped at the end."""

    folder: Path

    def __post_init__(self) -> None:
        self.hubs: list[Hub] = []
        self._signers: list[SignerProcess] = []
        self._nodes: list[Node] = []

    def hub(self, **others: Any) -> Hub:
        found = Hub(self.folder / "hub", **others)
        self.hubs.append(found)
        return found

    def signer(self) -> SignerProcess:
        """Start a signer, also in the place of one that was killed."""
        found = SignerProcess(self.folder / "hub")
        self._signers.append(found)
        return found

    def join(self, hub: Hub, name: str, title: str = "天坛医院") -> Path:
        home = self.folder / name
        join_hub(home, hub.mint(name, title), clock=CLOCK)
        return home

    def node(self, home: Path) -> Node:
        found = Node(home)
        self._nodes.append(found)
        return found

    def close(self) -> None:
        with ExitStack() as stack:
            for signer in self._signers:
                stack.callback(signer.stop)
            for hub in self.hubs:
                stack.callback(hub.stop)
            for node in self._nodes:
                stack.callback(node.stop)


def _answers(sign: SignClient) -> bool:
    try:
        sign.list_standing()
    except PeerError:
        return False
    return True


def wait_for(holds: Callable[[], object], timeout_s: float = 15) -> None:
    ends = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < ends, "it did not come about in time"
        time.sleep(0.02)


def raw(node: Node, request: httpx.Request) -> httpx.Response:
    """Send a request as it is, over the space's TLS."""
    with httpx.Client(verify=node.keys.trust(), timeout=30) as client:
        return client.send(request)


@contextmanager
def open_rehearsal(folder: Path) -> Iterator[Rehearsal]:
    """Open a space with hub and signer, and close it."""
    found = Rehearsal(folder)
    found.hub()
    found.signer()
    yield found
    found.close()
