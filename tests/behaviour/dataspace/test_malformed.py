"""Documents that are no protocol messages: each is refused with an error, and nothing changes."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from dataspace_rehearsal import Hospital, Space, sign_claims, study_claims

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.ports import WireRequest
from consilium.dataspace.records import Role
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.models import CONTEXT
from consilium.dataspace.wire.tokens import make_token
from consilium.kernel.canonical import read_json
from consilium.kernel.errors import ConsiliumError

BASE = builders.BASE
Document = dict[str, Any]
ODD: tuple[Any, ...] = (None, 7, True, [], {}, [[]], "\u0000")
NUMBERS = {"consilium:number", "consilium:seen"}
BYTES = (
    b"",
    b"{",
    b"[]",
    b'"text"',
    b"null",
    b"7",
    b"NaN",
    b"\xff\xfe",
    b'{"a":1,"a":2}',
    b"[" * 5000,
    b'{"a":"\\ud800"}',
    b'{"a":"\\u0000"}',
    b'{"a":1e999}',
)


@pytest.fixture
def valid(space: Space, north: Hospital, south: Hospital) -> dict[str, Document]:
    """Give a valid document for each path that north may post to south."""
    south.register()
    (listing,) = request_catalog(north.connector, south.me)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.settle()
    ours = north.negotiation(asked.pid)
    agreement = north.agreement(ours.agreement, role=Role.CONSUMER)
    signed = sign_claims(north, study_claims(north, south, agreement))
    opened = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint="grpc://hub:1"
    )
    space.settle()
    sent = [one for one in north.transport.sent if one.method == "POST"]
    found: dict[str, Any] = {one.path: _unnumbered(read_json(one.body)) for one in sent}
    pids = {"provider": ours.peer_pid, "consumer": ours.pid}
    n_path, theirs = f"{BASE}/negotiations/{ours.peer_pid}", north.transfer(opened.pid).peer_pid
    t_pids = {"provider": theirs, "consumer": opened.pid}
    found |= {
        f"{n_path}/events": builders.with_pids(builders.negotiation_finalized(), **pids),
        f"{n_path}/termination": builders.with_pids(
            builders.negotiation_termination("x", "y"), **pids
        ),
        f"{BASE}/transfers/{theirs}/start": builders.with_pids(builders.transfer_start(), **t_pids),
        f"{BASE}/transfers/{theirs}/completion": builders.with_pids(
            builders.transfer_completion(), **t_pids
        ),
        f"{BASE}/transfers/{theirs}/termination": builders.with_pids(
            builders.transfer_termination("x", "y"), **t_pids
        ),
    }
    return found


def _unnumbered(document: Any) -> Document:
    """Leave out our own counting of messages: each of these is news."""
    return {key: it for key, it in document.items() if key not in NUMBERS}


def spoiled(document: Document) -> Iterator[Document]:
    """Spoil a document at each of its places that the protocol speaks of."""
    for key in document:
        for odd in ODD:
            if not _is_fine(document, key, odd):
                yield document | {key: odd}
        yield {other: value for other, value in document.items() if other != key}
    for context in (CONTEXT, ["https://example.org"], [CONTEXT, 7]):
        yield document | {"@context": context}
    for name in ("offer", "agreement", "dataAddress"):
        if name in document:
            for key in ("@id", "@type", "target", "permission", "endpointType"):
                if key in document[name]:
                    yield _with(document, name, {key: 7})
                    yield _without(document, name, key)
            yield _with(document, name, {"permission": [], "@type": "Set"})
            yield _with(document, name, {"permission": [{"action": {}}], "@type": 1})


def _is_fine(document: Document, key: str, odd: Any) -> bool:
    """Say whether an odd value is allowed after all: further properties, and free text."""
    if key == "consilium:study":
        return False
    return key == "reason" and odd == [[]]


def _with(document: Document, name: str, changes: Document) -> Document:
    return document | {name: document[name] | changes}


def _without(document: Document, name: str, key: str) -> Document:
    changed = copy.deepcopy(document)
    del changed[name][key]
    return changed


OPTIONAL = {"filter", "code", "reason", "dataAddress"}


def test_every_spoiled_document_is_refused_with_the_protocols_error(
    valid: dict[str, Document], north: Hospital, south: Hospital
) -> None:
    refused = 0
    before = [kind for kind in south.kinds() if kind != "request.refused"]
    for path, document in valid.items():
        for bad in spoiled(document):
            if _still_valid(document, bad):
                continue
            try:
                status, error = north.post(south, path, bad)
            except ConsiliumError:
                continue  # cannot even be written as canonical JSON
            assert 400 <= status < 500, (path, bad)
            assert error["@type"].endswith("Error"), (path, bad)
            assert isinstance(error["code"], str)
            refused += 1
    assert refused >= 100
    assert [kind for kind in south.kinds() if kind != "request.refused"] == before


def _still_valid(document: Document, bad: Document) -> bool:
    """Say whether only something optional was left out, which would be a valid message."""
    return bool((set(document) - set(bad)) & OPTIONAL)


def test_bytes_that_are_no_object_are_refused(north: Hospital, south: Hospital) -> None:
    path = f"{BASE}/negotiations/request"
    for body in BYTES:
        token = make_token(
            north.key,
            issuer=north.me,
            audience=south.me,
            method="POST",
            path=path,
            body=body,
            clock=north.space.clock,
        )
        reply = south.answer(WireRequest(method="POST", path=path, token=token, body=body))
        error: Any = read_json(reply.body)
        assert reply.status == 400, body
        assert error["@type"] == "ContractNegotiationError"
        assert reply.token
