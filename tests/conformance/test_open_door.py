"""A conformance run: a counterpart that signs nothing, over real HTTP on a loopback address.

The cases follow the groups of the public kit: version (MET), catalogue (CAT),
negotiation as provider (CN) and as consumer (CN_C), transfer as provider (TP).
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from dataspace_rehearsal import GOVERNANCE, Space, terms

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.decisions import PROCEED, ScriptDecide
from consilium.dataspace.policy import agreement_of, offer_for, policy_of
from consilium.dataspace.records import Negotiation, Role, Transfer
from consilium.dataspace.store import list_processes
from consilium.dataspace.tables import OUTBOX
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.anybody import ANYBODY
from consilium.kernel.clock import SystemClock
from consilium.kernel.identifiers import AgreementId
from consilium.node.direct import serve_directly
from consilium.node.settings import NodeSettings

pytestmark = pytest.mark.slow

SCRIPT = ScriptDecide(
    {
        (Negotiation, Role.PROVIDER, "VERIFIED"): PROCEED,
        (Negotiation, Role.PROVIDER, "ACCEPTED"): PROCEED,
        (Negotiation, Role.CONSUMER, "OFFERED"): PROCEED,
        (Negotiation, Role.CONSUMER, "AGREED"): PROCEED,
        (Transfer, Role.PROVIDER, "REQUESTED"): PROCEED,
        (Transfer, Role.PROVIDER, "SUSPENDED"): PROCEED,
    }
)


class Counterpart:
    """Posts what a test says, and keeps what the connector posts to it."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.heard: list[tuple[str, Any]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.append((self.path, json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.callback = f"http://127.0.0.1:{self.server.server_port}/cb/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.client = httpx.Client(timeout=10, trust_env=False)

    def post(self, path: str, document: Any) -> tuple[int, Any]:
        reply = self.client.post(self.base + path, json=document)
        return reply.status_code, reply.json()

    def state(self, path: str) -> str:
        return str(self.client.get(self.base + path).json()["state"])

    def await_heard(self, ending: str) -> Any:
        ends = time.monotonic() + 15
        while time.monotonic() < ends:
            for path, document in self.heard:
                if path.endswith(ending):
                    return document
            time.sleep(0.005)
        raise AssertionError((ending, self.heard))

    def close(self) -> None:
        self.client.close()
        self.server.shutdown()
        self.server.server_close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Bench:
    """A hospital whose door is open on this machine, and the counterpart."""

    def __init__(self, space: Space, stack: ExitStack) -> None:
        self.hospital = space.add("south", decide=SCRIPT)
        self.hospital.outbox.start()
        published = terms("north", not_after="2090-01-01T00:00:00Z", recipients=(ANYBODY,))
        governance = {**GOVERNANCE, "ethics_expires": "2090-01-01T00:00:00Z"}
        self.dataset = self.hospital.register(terms=published, governance=governance)
        port = free_port()
        settings = NodeSettings(listen_port=port, authentication="off")
        serve_directly(stack, settings, self.hospital.connector)
        self.root = f"http://127.0.0.1:{port}"
        self.peer = Counterpart(f"{self.root}{builders.BASE}")
        stack.callback(self.peer.close)

    def quiet(self) -> None:
        """Wait until the hospital knows that all it said has arrived."""
        ends = time.monotonic() + 15
        while time.monotonic() < ends:
            with self.hospital.database.read() as connection:
                if connection.execute(OUTBOX.select()).first() is None:
                    return
            time.sleep(0.005)
        raise AssertionError("messages are left")

    def offer(self) -> Any:
        policy = policy_of(self.dataset.terms, offer=self.dataset.offer)
        return offer_for(policy, target=self.dataset.id)

    def request(self, consumer: str) -> str:
        message = builders.contract_request(
            consumer, offer=self.offer(), callback=self.peer.callback
        )
        status, told = self.peer.post("/negotiations/request", message)
        assert (status, told["state"]) == (201, "REQUESTED")
        return str(told["providerPid"])

    def finalize(self, consumer: str) -> str:
        """Negotiate to the end, as a consumer; return the agreement's identifier."""
        pid = self.request(consumer)
        negotiation.take(self.hospital.connector, pid, to="AGREED")  # type: ignore[arg-type]
        agreed = self.peer.await_heard(f"/negotiations/{consumer}/agreement")
        pids = {"provider": pid, "consumer": consumer}
        verified = builders.with_pids(builders.agreement_verification(), **pids)
        path = f"/negotiations/{pid}/agreement/verification"
        assert self.peer.post(path, verified)[0] == 200
        told = self.peer.await_heard(f"/negotiations/{consumer}/events")
        assert told["eventType"] == "FINALIZED"
        assert self.peer.state(f"/negotiations/{pid}") == "FINALIZED"
        return str(agreed["agreement"]["@id"])


@pytest.fixture
def bench(tmp_path: Any) -> Iterator[Bench]:
    space = Space(tmp_path, clock=SystemClock())
    with ExitStack() as stack:
        stack.callback(space.close)
        yield Bench(space, stack)


def test_met_and_cat_are_answered_without_a_token(bench: Bench) -> None:
    version = bench.peer.client.get(bench.root + builders.VERSION_PATH).json()
    assert version["protocolVersions"][0]["version"] == "2025-1"
    status, catalog = bench.peer.post("/catalog/request", builders.catalog_request())
    assert (status, catalog["dataset"][0]["@id"]) == (200, bench.dataset.id)
    found = bench.peer.client.get(f"{bench.peer.base}/catalog/datasets/{bench.dataset.id}")
    assert found.json()["@id"] == bench.dataset.id
    lost = bench.peer.client.get(f"{bench.peer.base}/catalog/datasets/none")
    assert (lost.status_code, lost.json()["@type"]) == (404, "CatalogError")
    (opened,) = bench.hospital.database.evidence.entries(kind="door.opened")
    assert opened.facts["authentication"] == "off"


def test_cn_a_provider_is_led_to_an_agreement_and_through_a_counter_offer(bench: Bench) -> None:
    assert bench.finalize("urn:c1")
    pid = bench.request("urn:c2")
    connector = bench.hospital.connector
    wished = replace(bench.dataset.terms, count=1)
    negotiation.counter(connector, pid, terms=wished)  # type: ignore[arg-type]
    offered = bench.peer.await_heard("/negotiations/urn:c2/offers")
    assert offered["offer"]["@id"] != bench.dataset.offer
    pids = {"provider": pid, "consumer": "urn:c2"}
    accepted = builders.with_pids(builders.negotiation_accepted(), **pids)
    assert bench.peer.post(f"/negotiations/{pid}/events", accepted)[0] == 200
    bench.peer.await_heard("/negotiations/urn:c2/agreement")
    assert bench.peer.post(f"/negotiations/{pid}/events", accepted)[0] == 400
    end = builders.with_pids(builders.negotiation_termination("x", "y"), **pids)
    assert bench.peer.post(f"/negotiations/{pid}/termination", end)[0] == 200
    assert bench.peer.state(f"/negotiations/{pid}") == "TERMINATED"


def test_cn_c_a_consumer_takes_an_offer_to_an_agreement(bench: Bench) -> None:
    message = builders.contract_offer("urn:p1", offer=_for_us(bench), callback=bench.peer.callback)
    status, told = bench.peer.post("/negotiations/offers", message)
    pid = told["consumerPid"]
    assert (status, told["state"]) == (201, "OFFERED")
    bench.peer.await_heard("/negotiations/urn:p1/events")
    agreement = agreement_of(
        _for_us(bench),
        agreement=AgreementId("urn:a1"),
        assigner=ANYBODY,
        assignee=bench.hospital.me,
        timestamp="2026-11-23T08:00:00Z",
    )
    pids = {"provider": "urn:p1", "consumer": pid}
    agreed = builders.with_pids(builders.contract_agreement(agreement), **pids)
    assert bench.peer.post(f"/negotiations/{pid}/agreement", agreed)[0] == 200
    bench.peer.await_heard("/negotiations/urn:p1/agreement/verification")
    final = builders.with_pids(builders.negotiation_finalized(), **pids)
    assert bench.peer.post(f"/negotiations/{pid}/events", final)[0] == 200
    assert bench.peer.state(f"/negotiations/{pid}") == "FINALIZED"


def _for_us(bench: Bench) -> Any:
    mine = terms("south", not_after="2090-01-01T00:00:00Z")
    return offer_for(policy_of(mine, offer=bench.dataset.offer), target=bench.dataset.id)


@pytest.mark.parametrize("resumed_by", ["provider", "consumer"])
def test_tp_a_transfer_is_started_suspended_resumed_and_completed(
    bench: Bench, resumed_by: str
) -> None:
    agreement = bench.finalize("urn:c1")
    request = {
        "@context": [builders.CONTEXT],
        "@type": "TransferRequestMessage",
        "consumerPid": "urn:t1",
        "agreementId": agreement,
        "format": "HTTP_PULL",
        "callbackAddress": bench.peer.callback,
    }
    status, told = bench.peer.post("/transfers/request", request)
    pid = told["providerPid"]
    assert (status, bench.peer.post("/transfers/request", request)[1]["providerPid"]) == (201, pid)
    bench.peer.await_heard("/transfers/urn:t1/start")
    bench.quiet()
    transfer.suspend(bench.hospital.connector, pid, code="local.x", reason="")
    bench.peer.await_heard("/transfers/urn:t1/suspension")
    bench.quiet()
    pids = {"provider": pid, "consumer": "urn:t1"}
    done = builders.with_pids(builders.transfer_completion(), **pids)
    assert bench.peer.post(f"/transfers/{pid}/completion", done)[0] == 400
    if resumed_by == "consumer":
        start = builders.with_pids(builders.transfer_start(), **pids)
        assert bench.peer.post(f"/transfers/{pid}/start", start)[0] == 200
    else:
        transfer.resume(bench.hospital.connector, pid)
    assert bench.peer.state(f"/transfers/{pid}") == "STARTED"
    assert bench.peer.post(f"/transfers/{pid}/completion", done)[0] == 200
    assert bench.peer.post(f"/transfers/{pid}/completion", done)[0] == 400
    assert bench.peer.state(f"/transfers/{pid}") == "COMPLETED"
    lost = {**request, "consumerPid": "urn:t2", "agreementId": "urn:none"}
    assert bench.peer.post("/transfers/request", lost)[0] == 404


def test_who_is_not_on_this_machine_is_not_answered_without_a_signature(bench: Bench) -> None:
    message = builders.contract_request(
        "urn:c9", offer=bench.offer(), callback="http://192.0.2.1/cb"
    )
    status, told = bench.peer.post("/negotiations/request", message)
    assert status == 201
    negotiation.terminate(bench.hospital.connector, told["providerPid"], code="local.x", reason="")
    ends = time.monotonic() + 15
    while "process.abandoned" not in bench.hospital.kinds():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_an_open_door_still_refuses_a_wrong_signature(bench: Bench) -> None:
    headers = {"Authorization": "Bearer a.b.c"}
    reply = bench.peer.client.post(
        f"{bench.peer.base}/catalog/request", json=builders.catalog_request(), headers=headers
    )
    assert reply.status_code == 401
    with bench.hospital.database.read() as connection:
        assert list_processes(connection, Negotiation) == []
