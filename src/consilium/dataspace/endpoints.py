"""The way in for every request of the protocol, both roles.

`answer` takes a request from wherever it comes (our HTTP server, the hub's
relay, the same process) and always gives an answer, signed for the request.
A refused request changes nothing; the protocol's error document says why. The
paths themselves stand in `routes`.

Plan of `answer`: (1) find the path; (2) see who asks; (3) read the document;
(4) let the verb do it; (5) turn a refusal into the protocol's words; (6) sign.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request, Response

from consilium.dataspace.arrivals import CrossedError
from consilium.dataspace.catalog import NEXT, PREVIOUS
from consilium.dataspace.connector import Connector
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.routes import ROUTES
from consilium.dataspace.routing import (
    CATALOG_ERROR,
    NEGOTIATION_ERROR,
    TRANSFER_ERROR,
    Asked,
    Document,
    Route,
)
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.anybody import anybody
from consilium.dataspace.wire.encoding import pack
from consilium.dataspace.wire.tokens import Caller, TokenError, authenticate, make_answer
from consilium.dataspace.wire.transports import ANSWER_HEADER
from consilium.kernel.canonical import canonical_bytes, digest_of, read_json
from consilium.kernel.errors import ConsiliumError, InputError, NotFoundError, StateError
from consilium.ledger.statements import peek_statement

__all__ = [
    "CATALOG_ERROR",
    "NEGOTIATION_ERROR",
    "ROUTES",
    "TRANSFER_ERROR",
    "Asked",
    "Route",
    "answer",
    "dsp_router",
    "packed",
]

LOG = logging.getLogger(__name__)

_STATUS = {"input": 400, "not_found": 404, "denied": 400, "state": 400, "integrity": 403}
"""How a refusal is told to a peer; a wrong step is a 400 in this protocol."""
_IN_EVIDENCE = frozenset({"not_found", "denied", "state", "integrity"})


def answer(
    connector: Connector,
    request: WireRequest,
    *,
    also: Sequence[Route] = (),
    is_open: bool = False,
) -> WireReply:
    """Answer one protocol request.

    `also` holds further signed paths beside the protocol's own: what a feature
    of a higher floor answers to its peers, under its own base. With `is_open` a
    request without a token is `ANYBODY`'s; only for conformance runs.

    Discloses
    ---------
    What the verb behind the path discloses; of a refusal, code and sentence.
    """
    if (request.method, request.path) == ("GET", builders.VERSION_PATH):
        return _reply(200, builders.version_response(connector.me))
    for route in (*ROUTES, *also):
        pid = route.match(request)
        if pid is not None:
            return _answer_route(connector, request, route, pid, is_open=is_open)
    return _answer_route(connector, request, _lost(request), "", is_open=is_open)


def dsp_router(
    connector: Connector, *, also: Sequence[Route] = (), is_open: bool = False
) -> APIRouter:
    """Serve a connector's protocol root; mount it where `connector.root` says.

    Parameters
    ----------
    also, is_open
        As for `answer`.

    Discloses
    ---------
    As `answer`.
    """
    router = APIRouter(include_in_schema=False)

    async def read_body(request: Request) -> bytes:
        """Take in a body, but not much more than is allowed."""
        found = bytearray()
        async for chunk in request.stream():
            found += chunk
            if len(found) > connector.settings.largest_body:
                break
        return bytes(found)

    @router.api_route("/{path:path}", methods=["GET", "POST"])
    def serve(request: Request, path: str, body: bytes = Depends(read_body)) -> Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        asked = WireRequest(
            method=request.method,
            path=f"/{path}" + (f"?{request.url.query}" if request.url.query else ""),
            token=token if scheme.lower() == "bearer" else "",
            body=body,
        )
        reply = answer(connector, asked, also=also, is_open=is_open)
        found, headers = packed(reply, accepted=request.headers.get("Accept-Encoding", ""))
        return Response(found, reply.status, headers)

    return router


def packed(reply: WireReply, *, accepted: str) -> tuple[bytes, dict[str, str]]:
    """Return an answer's body and headers as they travel over HTTP.

    Parameters
    ----------
    accepted : str
        The request's `Accept-Encoding`.

    Discloses
    ---------
    Nothing beyond the answer.
    """
    body, headers = pack(reply.body, accepted=accepted)
    headers["Content-Type"] = "application/json"
    if reply.token:
        headers[ANSWER_HEADER] = reply.token
    if reply.links:
        links = (f'<{address}>; rel="{name}"' for name, address in reply.links.items())
        headers["Link"] = ", ".join(links)
    return body, headers


def _lost(request: WireRequest) -> Route:
    """Make a route of a path that there is not, so that who asks for it is seen all the same."""

    def refuse(_connector: Connector, _asked: Asked) -> Document:
        facts = {"method": request.method[:8], "path": request.path[:200]}
        raise NotFoundError("dataspace.no_route", **facts)

    return Route(request.method, request.path, CATALOG_ERROR, refuse, base="")


def _answer_route(
    connector: Connector, request: WireRequest, route: Route, pid: str, *, is_open: bool
) -> WireReply:
    """Let the verb answer; the request boundary, where every fault becomes an answer.

    Only a request whose sender is proven gets a signed answer. Whoever carries
    messages could otherwise bring us a request altered, or a second time, and
    bring its sender our refusal of that as the answer to what it had sent.
    """
    caller: Caller | None = None
    document: Document = {}
    try:
        if len(request.body) > connector.settings.largest_body:
            raise InputError("dataspace.too_large", limit=connector.settings.largest_body)
        caller = _caller_of(connector, request, route, pid, is_open=is_open)
        document = _read_document(request)
        query = request.path.partition("?")[2]
        asked = Asked(caller=caller, pid=pid, document=document, query=query)
        done = route.handle(connector, asked)
        return _reply(route.status, done, connector=connector, to=request)
    except ConsiliumError as error:
        refusal = error
    except Exception:
        LOG.exception("%s %s could not be handled", request.method, request.path)
        refusal = StateError("dataspace.broken")
    LOG.info("%s %s: %s", request.method, request.path, refusal.public)
    status, told = _status(refusal), _error_document(route, refusal, document, pid)
    if caller is None:
        _record_unproven(connector, request, refusal, path=route.path)
        return _reply(status, told)
    if _is_in_evidence(refusal, status):
        _record_refusal(connector, route, caller, refusal, about=pid or _about(document))
    return _reply(status, told, connector=connector, to=request)


def _is_in_evidence(refusal: ConsiliumError, status: int) -> bool:
    """Say whether a refusal is kept; messages that crossed are nobody's fault."""
    is_fault = status >= 500 or isinstance(refusal, CrossedError)
    return not is_fault and refusal.family in _IN_EVIDENCE


def _status(refusal: ConsiliumError) -> int:
    if isinstance(refusal, TokenError | CrossedError):
        return refusal.http_status
    if refusal.code == "dataspace.broken":
        return 500
    return _STATUS.get(refusal.family, refusal.http_status)


def _caller_of(
    connector: Connector, request: WireRequest, route: Route, pid: str, *, is_open: bool
) -> Caller:
    if is_open and not request.token:
        return anybody(connector.key.public)
    return _authenticate(connector, request, route, pid)


def _authenticate(connector: Connector, request: WireRequest, route: Route, pid: str) -> Caller:
    """See who asks; the path is written anew, since a relay may have written it otherwise."""
    query = request.path.partition("?")[1:]
    return authenticate(
        request.token,
        key_of=connector.directory.key_of,
        audience=connector.me,
        asked=(request.method, route.address(pid) + "".join(query), request.body),
        clock=connector.clock,
        seen=connector.seen,
    )


def _read_document(request: WireRequest) -> Document:
    if request.method == "GET":
        return {}
    found = read_json(request.body)
    if not isinstance(found, dict) or rb"\u0000" in canonical_bytes(found):
        raise InputError("dataspace.bad_message", message="document", place="document")
    return found


def _record_refusal(
    connector: Connector, route: Route, caller: Caller, refusal: ConsiliumError, *, about: str
) -> None:
    facts = {
        "path": route.path[:200],
        "code": refusal.code,
        "rule": str(refusal.facts.get("rule", ""))[:80],
        "about": about[:200],
        "signed_by_peer": caller.token,
    }
    connector.database.refusals.keep(
        "request.refused", caller.participant, facts, rule=refusal.code, by=caller.participant
    )


def _record_unproven(
    connector: Connector, request: WireRequest, refusal: ConsiliumError, *, path: str
) -> None:
    """Keep what somebody tried whose name is not proven: that the name was claimed, no more."""
    rule = str(refusal.facts.get("rule", ""))[:80]
    facts = {
        "path": path[:200],
        "code": refusal.code,
        "rule": rule,
        "claimed": _claimed(request.token),
        "token": digest_of(request.token.encode()),
        "body": digest_of(request.body),
    }
    refusals = connector.database.refusals
    refusals.keep("request.unproven", connector.me, facts, rule=f"{refusal.code} {rule}")


def _claimed(token: str) -> str:
    try:
        return str(peek_statement(token).get("iss", ""))[:200]
    except InputError:
        return ""


def _about(document: Document) -> str:
    return str(document.get("agreementId", document.get("consumerPid", "")))


def _error_document(
    route: Route, refusal: ConsiliumError, document: Document, pid: str
) -> Document:
    told = builders.error(route.error, code=refusal.code, reason=refusal.public)
    if route.error == CATALOG_ERROR:
        return told
    named = {key: document.get(key) for key in ("providerPid", "consumerPid")}
    pids = {key: value if isinstance(value, str) else pid for key, value in named.items()}
    return told | pids


def _reply(
    status: int,
    document: Document,
    *,
    connector: Connector | None = None,
    to: WireRequest | None = None,
) -> WireReply:
    """Write an answer, signed as the one to a request if that is given."""
    body = canonical_bytes(document)
    if connector is None or to is None:
        return WireReply(status=status, body=body)
    links = _links(connector, document)
    if not to.token:
        return WireReply(status=status, body=body, links=links)
    token = make_answer(
        connector.key, issuer=connector.me, request=to.token, status=status, body=body
    )
    return WireReply(status=status, body=body, token=token, links=links)


def _links(connector: Connector, document: Document) -> dict[str, str]:
    """Name the pages beside a page of the catalogue, for readers of other houses."""
    address = f"{connector.callback}/catalog/request?cursor="
    names = {"next": NEXT, "previous": PREVIOUS}
    return {rel: address + document[name] for rel, name in names.items() if name in document}
