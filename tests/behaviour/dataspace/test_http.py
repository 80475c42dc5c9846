"""Two connectors over real loopback HTTP, each with its own database and outbox."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from dataspace_rehearsal import Hospital, Space, sign_claims, study_claims
from fastapi import FastAPI

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog, request_dataset
from consilium.dataspace.endpoints import dsp_router
from consilium.dataspace.machines import COMPLETED, FINALIZED, STARTED, TERMINAL
from consilium.dataspace.records import Negotiation, Role, Transfer
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.transports import HttpTransport
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import NotFoundError, PeerError
from consilium.kernel.identifiers import ParticipantId


class Loopback:
    """Each hospital's protocol root on a port of its own."""

    def __init__(self) -> None:
        self.ports: dict[ParticipantId, int] = {}
        self.servers: list[tuple[uvicorn.Server, threading.Thread]] = []
        self.client = httpx.Client(timeout=10)

    def root_of(self, participant: ParticipantId) -> str:
        return f"http://127.0.0.1:{self.ports[participant]}/dsp/"

    def serve(self, hospital: Hospital) -> None:
        app = FastAPI()
        app.include_router(dsp_router(hospital.connector), prefix="/dsp")
        listener = socket.create_server(("127.0.0.1", 0))
        self.ports[hospital.me] = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        self.servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self.client.close()
        for server, thread in self.servers:
            server.should_exit = True
            thread.join()


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    found = Loopback()
    yield found
    found.close()


@pytest.fixture
def space(tmp_path: Path, loopback: Loopback) -> Iterator[Space]:
    found = Space(tmp_path, clock=SystemClock())
    found.transport = HttpTransport(loopback.root_of, client=loopback.client)
    yield found
    found.close()


@pytest.fixture
def hospitals(space: Space, loopback: Loopback) -> tuple[Hospital, Hospital]:
    """Give north, who asks, and south, who has a dataset; both are being served."""
    for name in ("north", "south"):
        loopback.serve(space.add(name))
    for hospital in space.hospitals.values():
        hospital.outbox.start()
    space.hospitals["south"].register()
    return space.hospitals["north"], space.hospitals["south"]


def test_catalogue_to_completed_transfer_over_http(
    hospitals: tuple[Hospital, Hospital], loopback: Loopback
) -> None:
    north, south = hospitals
    (listing,) = request_catalog(north.connector, south.me)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    done = north.connector.wait_for(Negotiation, asked.pid, timeout_s=20)
    assert done.state == FINALIZED
    agreement = north.agreement(done.agreement, role=Role.CONSUMER)
    signed = sign_claims(
        north, study_claims(north, south, agreement, expires="2027-01-01T00:00:00Z")
    )
    opened = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint="grpc://127.0.0.1:1"
    )
    begun = north.connector.wait_for(Transfer, opened.pid, states={STARTED}, timeout_s=20)
    assert begun.state == STARTED
    transfer.complete(north.connector, opened.pid)
    ended = south.connector.wait_for(Transfer, begun.peer_pid, states=TERMINAL, timeout_s=20)
    assert ended.state == COMPLETED


def test_the_version_is_told_to_anybody(
    hospitals: tuple[Hospital, Hospital], loopback: Loopback
) -> None:
    _, south = hospitals
    root = loopback.root_of(south.me).rstrip("/")
    told = loopback.client.get(root + builders.VERSION_PATH)
    assert told.status_code == 200
    (entry,) = told.json()["protocolVersions"]
    assert (entry["version"], entry["path"], entry["binding"]) == ("2025-1", "/2025-1", "HTTPS")


def test_without_a_token_there_is_no_answer_but_a_refusal(
    hospitals: tuple[Hospital, Hospital], loopback: Loopback
) -> None:
    _, south = hospitals
    url = loopback.root_of(south.me).rstrip("/") + "/2025-1/catalog/request"
    for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic abc"}):
        refused = loopback.client.post(url, json=builders.catalog_request(), headers=headers)
        assert refused.status_code == 401
        assert refused.json()["code"] == "dataspace.bad_token"
    assert "request.refused" not in south.kinds()


def test_a_long_body_is_refused(hospitals: tuple[Hospital, Hospital]) -> None:
    north, south = hospitals
    message = builders.catalog_request() | {"padding": "x" * (1 << 20)}
    with pytest.raises(PeerError) as caught:
        north.post(south, "/2025-1/catalog/request", message)
    assert caught.value.code == "dataspace.unsigned_answer"
    assert caught.value.facts["status"] == 400
    message["padding"] = "x" * ((1 << 20) - 200)
    status, _ = north.post(south, "/2025-1/catalog/request", message)
    assert status == 200


def test_a_dataset_is_found_by_its_identifier(hospitals: tuple[Hospital, Hospital]) -> None:
    north, south = hospitals
    (listing,) = request_catalog(north.connector, south.me)
    assert request_dataset(north.connector, south.me, listing.dataset) == listing
    with pytest.raises(NotFoundError):
        request_dataset(north.connector, south.me, "urn:uuid:none")


def test_a_path_that_the_protocol_does_not_have_is_a_signed_404(
    hospitals: tuple[Hospital, Hospital],
) -> None:
    north, south = hospitals
    for path in ("/2025-1/elsewhere", "/", "/2024-1/catalog/request", "/2025-1/negotiations/a/b"):
        status, error = north.get(south, path)
        assert (status, error["code"]) == (404, "dataspace.no_route")


def test_a_peer_whose_port_is_closed_is_unreachable(
    hospitals: tuple[Hospital, Hospital], loopback: Loopback
) -> None:
    north, south = hospitals
    with socket.create_server(("127.0.0.1", 0)) as unused:
        loopback.ports[south.me] = unused.getsockname()[1]
    with pytest.raises(PeerError) as failed:
        request_catalog(north.connector, south.me)
    assert failed.value.code == "dataspace.unreachable"
    assert failed.value.retryable
