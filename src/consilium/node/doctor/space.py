"""Hops at the hub: its interface, its relay, its engine."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from consilium.kernel.errors import ConsiliumError, PeerError
from consilium.kernel.findings import (
    Finding,
    report,
    report_error,
    report_failure,
    report_skip,
    report_warning,
)
from consilium.ledger.statements import peek_statement
from consilium.node.doctor.line import Way, open_tls
from consilium.node.doctor.place import Place
from consilium.node.doctor.way import reason_of
from consilium.node.hub_client import HubClient
from consilium.node.membership import ENGINE_CERTIFICATE, ENGINE_KEY, ROOT

VERSION_PATH = "/.well-known/dspace-version"
MANY_RESTARTS = 3
"""Restarts of the engine's client since the node's start that are told."""

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How HTTP/2 begins, with empty settings (RFC 9113, section 3.4)."""
_SETTINGS = 4
_FRAME_HEAD = 9


def check_hub(place: Place) -> Finding:
    """Ask the hub for the member list under our own name."""
    answer = _call(place, "/members")
    if not isinstance(answer, Mapping):
        raise PeerError("link.hub_answer", hub=place.membership.hub, status=200)
    members = peek_statement(str(answer.get("list", ""))).get("members", [])
    listed = [one for one in members if isinstance(one, Mapping)]
    admitted = sum(one.get("state") == "admitted" for one in listed)
    facts = {"hub": place.membership.hub, "name": place.membership.name, "members": admitted}
    if not any(one.get("participant") == place.membership.participant for one in listed):
        return report_failure("hub", "doctor.not_listed", **facts)
    return report("hub", "doctor.hub", **facts)


def check_relay(place: Place) -> Finding:
    """Send a message to ourselves by way of the hub's relay, if somebody here can answer it."""
    if place.status() is None:
        return report_skip("relay", "doctor.relay_quiet")
    began = time.monotonic()
    try:
        _call(place, f"/members/{place.membership.name}/dsp{VERSION_PATH}")
    except ConsiliumError as error:
        if error.code == "hub.member_away":
            return report_failure("relay", "doctor.relay_away")
        return report_error("relay", error)
    return report("relay", "doctor.relay", millis=round(1000 * (time.monotonic() - began)))


def check_engine(place: Place) -> Finding:
    """Reach the engine's port with our certificate; look at our own client of it."""
    engine = place.membership.engine
    way = Way(host=engine.host, port=engine.port, proxy=place.proxy, timeout_s=place.timeout_s)
    facts: dict[str, Any] = {"host": way.host, "port": way.port}
    try:
        accepted = _is_accepted(way, _credentials(place))
    except ssl.SSLError as error:
        code = "doctor.engine_refused"
        return report_failure("engine", code, **facts, **reason_of(error))
    except OSError as error:
        code = "doctor.engine_closed"
        return report_failure("engine", code, **facts, **reason_of(error))
    if not accepted:
        code = "doctor.engine_refused"
        return report_failure("engine", code, **facts, reason="closed")
    return _look_at_client(place, facts)


def _look_at_client(place: Place, facts: dict[str, Any]) -> Finding:
    status = place.status()
    if status is None:
        return report("engine", "doctor.engine_quiet", **facts)
    child = status["engine"]
    facts |= {"restarts": child["restarts"], "log": str(place.home / "engine" / "console.log")}
    if not child["running"]:
        return report_failure("engine", "doctor.engine_down", **facts)
    if child["restarts"] >= MANY_RESTARTS:
        return report_warning("engine", "doctor.engine_restarts", **facts)
    return report("engine", "doctor.engine", **facts)


def _credentials(place: Place) -> ssl.SSLContext:
    keys = place.keys.path
    context = ssl.create_default_context(cafile=str(keys / ROOT))
    context.load_cert_chain(keys / ENGINE_CERTIFICATE, keys / ENGINE_KEY)
    context.set_alpn_protocols(["h2"])
    return context


def _is_accepted(way: Way, context: ssl.SSLContext) -> bool:
    """Say whether the engine greets us back; it says no to a certificate only then."""
    with open_tls(way, context) as tls:
        tls.sendall(_GREETING)
        head = b""
        while len(head) < _FRAME_HEAD and (more := tls.recv(_FRAME_HEAD - len(head))):
            head += more
    return len(head) == _FRAME_HEAD and head[3] == _SETTINGS


def _call(place: Place, target: str) -> Any:
    client = HubClient(place.caller, trust=place.keys.trust(), proxy=place.proxy)
    with closing(client):
        return client.call("GET", target, timeout_s=place.timeout_s)
