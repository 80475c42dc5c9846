"""A lead and three hospitals with everything that is theirs, around a hub that is the test's.

Connectors, gates, databases, keys, directories under a real root and the lead's
own work are the product's. The hub is a relay on real HTTP, a member list, an
engine and a counter for studies, and each does what the attack wants.
"""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from dataspace_rehearsal import Hospital
from fastapi import FastAPI, Request, Response
from sqlalchemy import delete
from starlette.concurrency import run_in_threadpool
from studies_rehearsal import (
    CLOCK,
    RECIPES,
    StudySpace,
    await_study,
    make_draft,
    own_terms,
    study_events,
    wait_until,
)

from consilium.dataspace.outbox import Outbox
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.transfer import request_transfer
from consilium.dataspace.wire.builders import BASE
from consilium.dataspace.wire.replays import ReplayGuard
from consilium.dataspace.wire.tokens import make_token
from consilium.dataspace.wire.transports import ANSWER_HEADER, HttpTransport, LocalTransport
from consilium.federation.attempts import list_attempts, study_folder
from consilium.federation.chain import list_rounds
from consilium.federation.ports import Task
from consilium.federation.proposal import Wish
from consilium.federation.recruitment import agree, find_listing
from consilium.federation.site import SiteWorker
from consilium.federation.states import StudyState
from consilium.federation.store import EVENTS, STUDIES, add_event, get_study
from consilium.federation.studies import draft_study, move_study
from consilium.federation.studies import sign_study as sign_plan
from consilium.gate.gate import Gate
from consilium.gate.orders import Order, Study, peek_study, sign_study
from consilium.gate.replies import sign_round
from consilium.hub.authority import Authority, Kind
from consilium.kernel.canonical import Digest, canonical_bytes, digest_of
from consilium.kernel.clock import write_time
from consilium.kernel.identifiers import ParticipantId, ProcessId, StudyId, new_urn, participant_id
from consilium.ledger.certificates import write_certificate
from consilium.ledger.evidence import EvidenceEntry
from consilium.ledger.files import BlobStore
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement
from consilium.models.weights import pack_arrays, unpack_arrays
from consilium.node.directory import HubDirectory
from consilium.node.membership import EngineAddress, Membership

SPACE = "example.org"
SITES = ("south", "west", "east")
HUB = participant_id(SPACE, "hub")
GRANTS = {
    "admission.granted",
    "agreement.agreed",
    "agreement.finalized",
    "dataset.registered",
    "lease.granted",
    "passport.issued",
    "release.granted",
    "study.completed",
    "transfer.started",
}
"""What an attack would have won."""
TERMS = {"count": 1_000, "max_rounds": 10_000}


@dataclass(frozen=True)
class Kept:
    """A message as the hub had it in its hands."""

    member: str
    request: WireRequest
    reply: WireReply


class Relay:
    """Carries messages on real HTTP; `before` and `after` are where the hub lies."""

    def __init__(self, doors: Mapping[ParticipantId, Callable[[WireRequest], WireReply]]) -> None:
        self._doors = doors
        self.kept: list[Kept] = []
        app = FastAPI()

        @app.api_route("/members/{name}/dsp/{path:path}", methods=["GET", "POST"])
        async def carry(name: str, path: str, request: Request) -> Response:
            token = request.headers["authorization"].removeprefix("Bearer ")
            body = await request.body()
            asked = WireRequest(method=request.method, path=f"/{path}", token=token, body=body)
            return await _in_thread(self._carry, name, asked)

        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        run = {"sockets": [listener]}
        self._thread = threading.Thread(target=self._server.run, kwargs=run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def be_honest(self) -> None:
        self.before: Callable[[str, WireRequest], tuple[str, WireRequest]] = _as_it_is
        self.after: Callable[[Kept], WireReply] = lambda kept: kept.reply

    def root_of(self, participant: ParticipantId) -> str:
        name = participant.rpartition(":")[2]
        return f"http://127.0.0.1:{self.port}/members/{name}/dsp"

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _carry(self, name: str, asked: WireRequest) -> Response:
        to, request = self.before(name, asked)
        reply = self._doors[participant_id(SPACE, to)](request)
        kept = Kept(to, request, reply)
        self.kept.append(kept)
        told = self.after(kept)
        headers = {ANSWER_HEADER: told.token} if told.token else {}
        if 300 <= told.status < 400:
            headers["location"] = f"http://127.0.0.1:{self.port}/elsewhere"
        return Response(told.body, told.status, headers)


async def _in_thread(call: Callable[..., Response], *given: Any) -> Response:
    return await run_in_threadpool(call, *given)


def _as_it_is(name: str, request: WireRequest) -> tuple[str, WireRequest]:
    return name, request


class MemberList:
    """The root, which is the signer's, and the list, which is the hub's."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.authority = Authority.create(folder, space=SPACE, days=30, clock=CLOCK)
        self.hub = SigningKey.generate()
        self.entries: dict[str, dict[str, Any]] = {}
        self.be_honest()

    def be_honest(self) -> None:
        self.lie: Callable[[dict[str, Any]], Any] = lambda answer: answer

    def certify(self, name: str, key: SigningKey, *, by: Authority | None = None) -> str:
        authority = by or self.authority
        leaf = authority.issue(Kind.PARTICIPANT, key.public.ed25519, name=name, hours=24)
        return write_certificate(leaf)

    def enter(self, name: str, key: SigningKey) -> None:
        self.entries[name] = self.entry(name, self.certify(name, key))

    def entry(self, name: str, certificate: str, **others: Any) -> dict[str, Any]:
        return {
            "participant": participant_id(SPACE, name),
            "title": name,
            "state": "admitted",
            "joined": write_time(CLOCK.now()),
            "certificate": certificate,
            **others,
        }

    def answer(self, *, key: SigningKey | None = None, **others: Any) -> dict[str, Any]:
        """Write the hub's answer, by default the true one."""
        facts = {
            "space": SPACE,
            "issued": write_time(CLOCK.now()),
            "members": list(self.entries.values()),
            **others,
        }
        signed = sign_statement(key or self.hub, "members", facts)
        return {"list": signed, "hub": self.certify("hub", self.hub)}

    def fetch(self) -> dict[str, Any]:
        return dict(self.lie(self.answer()))


class HostileSpace:
    """The space; what an attack may use of the honest side is what the hub has seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.members = MemberList(folder / "signer")
        self.world = StudySpace(folder)
        self.relay = Relay(self.world.space.doors)
        self.be_honest()
        self._http = httpx.Client(timeout=20)
        self._tight: dict[str, Any] = {}
        self.own_key = SigningKey.generate()
        """A key that the hub made for itself."""
        for name in ("north", *SITES):
            self._add(name)
        self.north, self.south, self.west, self.east = (
            self.hospital(name) for name in ("north", *SITES)
        )
        for name in SITES:
            self.world.add_data(self.hospital(name), terms=own_terms("north", **TERMS))
        self.plan, self.signed = self._run_honest_study()

    def be_honest(self) -> None:
        self.relay.be_honest()
        self.members.be_honest()
        for hospital in self.world.space.hospitals.values():
            hospital.connector = replace(
                hospital.connector, directory=self.open_directory(hospital)
            )

    def hospital(self, name: str) -> Hospital:
        return self.world.space.hospitals[name]

    def _add(self, name: str) -> None:
        hospital = self.world.space.add(name)
        self.members.enter(name, hospital.key)
        self.world.space.doors[hospital.me] = lambda request: hospital.answer(request)
        transport = LocalTransport(
            {}, otherwise=HttpTransport(self.relay.root_of, client=self._http)
        )
        hospital.connector = replace(
            hospital.connector,
            transport=transport,
            directory=self.open_directory(hospital),
            seen=ReplayGuard(self.folder / f"{name}.seen"),
        )
        hospital.outbox = Outbox(hospital.connector)
        hospital.outbox.start()

    def open_directory(self, hospital: Hospital) -> HubDirectory:
        """Know the members as after a start: from the hub's list, the root and the own pins."""
        return HubDirectory(
            Membership(
                space=SPACE,
                name=hospital.name,
                title=hospital.name,
                hub="https://hub.example.org",
                engine=EngineAddress(host="hub", port=1, server_name="engine", project=SPACE),
            ),
            me=hospital.key.public,
            fetch=self.members.fetch,
            root=self.members.authority.root,
            database=hospital.database,
            clock=CLOCK,
        )

    def restart(self, hospital: Hospital) -> None:
        """Let a hospital forget what a process forgets."""
        hospital.connector.seen.close()
        hospital.connector = replace(
            hospital.connector,
            directory=self.open_directory(hospital),
            seen=ReplayGuard(
                self.folder / f"{hospital.name}.seen", now=int(CLOCK.now().timestamp())
            ),
        )

    def _run_honest_study(self) -> tuple[Study, str]:
        leading = self.world.leading(self.world.office(self.north))
        study = leading.begin(make_draft(*(self.hospital(name) for name in SITES), quorum=2))
        row = await_study(self.north, study)
        if row["state"] != "COMPLETED":
            raise AssertionError(row)
        wait_until(self._is_quiet)
        self.world.hub.coordinator.close()
        [told] = study_events(self.north, study, "recruited")
        self.recruited = told["facts"]["sites"]
        return peek_study(row["signed"]), row["signed"]

    def _is_quiet(self) -> bool:
        return not any("transfer.completed" not in self.hospital(name).kinds() for name in SITES)

    def close(self) -> None:
        self.relay.close()
        for hospital in self.world.space.hospitals.values():
            hospital.connector.seen.close()
        self.world.close()
        self._http.close()

    # --- what the hub can do ----------------------------------------------------------

    def gate(self, hospital: Hospital) -> Gate:
        found = self.world.hub.desks[hospital.me]
        if not isinstance(found, Gate):
            raise TypeError("no gate")
        return found

    def open_gate(self, hospital: Hospital, **changes: Any) -> Gate:
        """Open a hospital's gate anew, with another clock or another release."""
        given = {"clock": CLOCK, "installed": RECIPES.digests}
        return Gate(
            hospital.database,
            me=hospital.me,
            key=hospital.key,
            blobs=BlobStore(self.folder / f"{hospital.name}-blobs"),
            **(given | changes),
        )

    def bring(self, hospital: Hospital, request: WireRequest) -> WireReply:
        """Bring a hospital a message, as the relay does."""
        return hospital.answer(request)

    def seen(self, to: str, path: str) -> Kept:
        """Find a message that passed in the honest study."""
        return next(one for one in self.relay.kept if one.member == to and path in one.request.path)

    def forge(
        self,
        key: SigningKey,
        *,
        issuer: ParticipantId,
        to: Hospital,
        path: str,
        document: dict[str, Any],
    ) -> WireRequest:
        """Write a message in somebody's name."""
        body, full = canonical_bytes(document), BASE + path
        token = make_token(
            key, issuer=issuer, audience=to.me, method="POST", path=full, body=body, clock=CLOCK
        )
        return WireRequest(method="POST", path=full, token=token, body=body)

    # --- studies -----------------------------------------------------------------------

    def fresh(self, *, open_at: tuple[str, ...] = SITES, **changes: Any) -> Study:
        """Have the lead sign another study and open it at the hospitals."""
        now = CLOCK.now()
        given = {
            "study": StudyId(new_urn()),
            "created": write_time(now - timedelta(seconds=60)),
            "expires": write_time(now + timedelta(hours=1)),
        }
        plan = replace(self.plan, **(given | changes))
        signed = sign_study(self.north.key, plan)
        for site in plan.sites:
            name = site.participant.rpartition(":")[2]
            if name in open_at:
                opened = request_transfer(
                    self.north.connector, site.agreement, signed_study=signed, endpoint="https://x"
                )
                pid = ProcessId(opened.pid)
                wait_until(lambda pid=pid: self.north.transfer(pid).state == "STARTED")
        return plan

    def fresh_tight(self) -> Study:
        """Open a study under an agreement on few studies and few rounds."""
        place = replace(self.plan.sites[0], **self._tight_place())
        return self.fresh(sites=(place,), quorum=1, rounds=2)

    def _tight_place(self) -> dict[str, Any]:
        if not self._tight:
            self.world.add_data(
                self.south, name="tight", terms=own_terms("north", count=1, max_rounds=4)
            )
            wish = Wish(participant=self.south.me, dataset="tight")
            agreed = agree(self.north.connector, find_listing(self.north.connector, wish))
            self._tight = {
                "participant": self.south.me,
                "agreement": agreed.id,
                "dataset": agreed.dataset,
                "key": self.south.key.public.text,
            }
        return self._tight

    def order(self, plan: Study, *, signed: str = "", **changes: Any) -> Order:
        order = Order(
            signed_study=signed or sign_study(self.north.key, plan),
            segment=1,
            attempt=1,
            first_round=1,
            start=plan.start,
        )
        return replace(order, **changes)

    def admitted(self, plan: Study, *hospitals: Hospital, **changes: Any) -> Order:
        order = self.order(plan, **changes)
        for hospital in hospitals or (self.south,):
            self.gate(hospital).admit(order.as_json())
        return order

    def work(self, hospital: Hospital, order: Order, **task: Any) -> bytes:
        """Have a hospital's job process do a task."""
        given = {"kind": "train", "round": 1, "model": self.start_model()}
        worker = SiteWorker(order.as_json(), desk=self.gate(hospital), recipes=RECIPES)
        return worker.work(Task(**(given | task)))

    def start_model(self) -> bytes:
        root = self.world.hub.coordinator.root
        return (study_folder(root, self.plan) / "start.safetensors").read_bytes()

    def countersign(
        self, plan: Study, round_: int, digest: Digest, *hospitals: Hospital
    ) -> tuple[str, ...]:
        return tuple(
            sign_round(one.key, study=plan.study, round=round_, digest=digest) for one in hospitals
        )

    def result(self) -> dict[str, Any]:
        """Return the true result of the honest study, as the hub would give it."""
        attempts = list_attempts(study_folder(self.world.hub.coordinator.root, self.plan))
        return {
            "evaluation": attempts[-1].evaluation(),
            "final": base64.b64encode(attempts[-1].final()).decode(),
            "rounds": list_rounds(attempts, self.plan),
        }

    def study_row(self, study: StudyId) -> dict[str, Any]:
        with self.north.database.read() as connection:
            return get_study(connection, study)


class LyingHub:
    """Says that the study is done, and gives what it likes as its events and its result."""

    def __init__(self, result: dict[str, Any], events: Sequence[dict[str, Any]]) -> None:
        self.result = result
        self.events = events

    def call(self, _method: str, target: str, _document: Any = None) -> Any:
        if target.endswith("/result"):
            return self.result
        after = int(target.rpartition("=")[2])
        events = [event for event in self.events if event["id"] > after]
        return {"state": "COMPLETED", "reason": "", "events": events}


def lead_is_given(
    space: HostileSpace, result: dict[str, Any], *, events: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Have the lead finish the honest study once more, with another result of the hub's."""
    study, north = space.plan.study, space.north
    with north.database.write() as tx:
        tx.execute(delete(EVENTS).where(EVENTS.c.study == study))
        tx.execute(delete(STUDIES).where(STUDIES.c.id == study))
        draft_study(tx, study, lead=north.me, draft={"title": space.plan.title}, clock=CLOCK)
        add_event(tx, study, "recruited", {"sites": space.recruited}, clock=CLOCK)
        sign_plan(tx, space.plan, space.signed, clock=CLOCK)
        move_study(tx, study, StudyState.SUBMITTED, clock=CLOCK)
        move_study(tx, study, StudyState.RUNNING, clock=CLOCK)
    space.world.leading(space.world.office(north, hub=LyingHub(result, events))).resume()
    return await_study(north, study)


@contextmanager
def leaves(hospital: Hospital, kind: str, **facts: Any) -> Iterator[None]:
    """Require that what happens within leaves this evidence, and wins nothing."""
    before = hospital.database.evidence.size
    yield
    found = entries(hospital, after=before)
    told = [one for one in found if one.kind == kind]
    assert told, [one.kind for one in found]
    fits = [one for one in told if all(one.facts.get(name) == facts[name] for name in facts)]
    assert fits, [dict(one.facts) for one in told]
    assert not GRANTS & {one.kind for one in found}, [one.kind for one in found]


def entries(hospital: Hospital, *, after: int = 0) -> list[EvidenceEntry]:
    return hospital.database.evidence.entries(after=after, limit=10_000)


def other_model(model: bytes, *, by: float = 1.0) -> bytes:
    """Move every weight of a model."""
    return pack_arrays({name: one + by for name, one in unpack_arrays(model).items()})


def fingerprint(model: bytes) -> Digest:
    return digest_of(model)
