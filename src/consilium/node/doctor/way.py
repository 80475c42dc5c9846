"""Hops on the way to the hub: name, proxy, connection, certificate, clock."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from consilium.kernel.errors import PeerError
from consilium.kernel.findings import Finding, report, report_error, report_failure, report_warning
from consilium.ledger.certificates import common_name
from consilium.node.doctor.line import TunnelError, Way, look_at_certificate, open_line, open_tls
from consilium.node.doctor.place import Place
from consilium.node.hub_client import connection_error
from consilium.node.proxy import LOGIN_WANTED, client_options

OFF_S, WRONG_S = 30.0, 120.0
"""Seconds between our clock and the hub's that are told, and that are too many."""

_UNREACHED = frozenset({502, 503, 504})
"""A proxy's answers that speak of the far side, not of itself."""
_LONGEST_NAME = 120
_DAY_S = 86_400


def check_name(place: Place) -> Finding:
    """Look up the name of the first machine on the way: the proxy, or the hub."""
    proxy, (hub, _) = place.proxy, place.hub
    name = proxy.host if proxy else hub
    try:
        rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter for a name that is none
        facts = {"name": name, "reason": getattr(error, "strerror", None) or "no name"}
        return report_failure("dns", "doctor.no_name", **facts)
    addresses = ", ".join(dict.fromkeys(str(row[4][0]) for row in rows))
    return report("dns", "doctor.name", name=name, addresses=addresses)


def check_proxy(place: Place) -> Finding:
    """Ask the proxy, if there is one, to connect us to the hub."""
    proxy = place.proxy
    if proxy is None:
        return report("proxy", "doctor.no_proxy")
    facts = {"proxy": proxy.address, "source": proxy.source, "login": bool(proxy.user)}
    try:
        with open_line(way_to_hub(place)):
            return report("proxy", "doctor.proxy", **facts)
    except TunnelError as error:
        if error.status in _UNREACHED:
            return report("proxy", "doctor.proxy", **facts)
        return _refused(place, error.status, proxy=proxy.address)
    except OSError:
        hub = place.membership.hub
        return report_error("proxy", PeerError("link.proxy_away", hub=hub, proxy=proxy.address))


def check_connection(place: Place) -> Finding:
    """Connect to the hub's port."""
    way, began = way_to_hub(place), time.monotonic()
    facts = {"host": way.host, "port": way.port}
    try:
        with open_line(way):
            millis = round(1000 * (time.monotonic() - began))
            return report("tcp", "doctor.tcp", millis=millis, **facts)
    except OSError as error:
        return report_failure("tcp", _closed(error), **facts, **reason_of(error))


def check_tls(place: Place) -> Finding:
    """Shake hands, believing the space's root alone; say whose certificate is there if not."""
    way, keys = way_to_hub(place), place.keys
    try:
        with open_tls(way, keys.trust()) as tls:
            der = tls.getpeercert(binary_form=True) or b""
        end = x509.load_der_x509_certificate(der).not_valid_after_utc
        days = round((end - datetime.now(UTC)).total_seconds() / _DAY_S, 1)
        return report("tls", "doctor.tls", host=way.host, days=days)
    except ssl.SSLCertVerificationError:
        return _name_stranger(way, keys.root())
    except OSError as error:
        facts = {"host": way.host, "port": way.port} | reason_of(error)
        return report_failure("tls", "doctor.tls_broken", **facts)


def check_clock(place: Place) -> Finding:
    """Hold our clock against the `Date` of an answer of the hub."""
    hub, proxy = place.membership.hub, place.proxy
    options = client_options(place.keys.trust(), proxy)
    try:
        with httpx.Client(timeout=place.timeout_s, **options) as client:
            before = place.clock.now()
            answer = client.get(f"{hub}/root")
            after = place.clock.now()
    except httpx.HTTPError as error:
        return report_error("clock", connection_error(error, hub=hub, proxy=proxy))
    told = _date_of(answer)
    if told is None:
        return report_warning("clock", "doctor.clock_unknown", hub=hub)
    # The header has whole seconds: on average half a second has passed since.
    offset = ((before + (after - before) / 2) - told).total_seconds() - 0.5
    facts = {"offset_s": round(offset, 1), "hub": hub}
    if abs(offset) > WRONG_S:
        return report_failure("clock", "doctor.clock_wrong", **facts)
    if abs(offset) > OFF_S:
        return report_warning("clock", "doctor.clock_off", **facts)
    return report("clock", "doctor.clock", **facts)


def way_to_hub(place: Place) -> Way:
    """Say how the hub's interface is reached."""
    host, port = place.hub
    return Way(host=host, port=port, proxy=place.proxy, timeout_s=place.timeout_s)


def reason_of(error: OSError) -> dict[str, str]:
    """Say in few words why a connection failed, without addresses or secrets."""
    if isinstance(error, TimeoutError):
        return {"reason": "timeout"}
    if isinstance(error, ssl.SSLError):
        return {"reason": error.reason or type(error).__name__}
    if isinstance(error, TunnelError):
        return {"reason": f"proxy: HTTP {error.status}"}
    return {"reason": error.strerror or type(error).__name__}


def _refused(place: Place, status: int, *, proxy: str) -> Finding:
    if status == LOGIN_WANTED:
        return report_error("proxy", PeerError("link.proxy_login", proxy=proxy))
    hub = place.membership.hub
    error = PeerError("link.proxy_refused", hub=hub, proxy=proxy, status=status or "–")
    return report_error("proxy", error)


def _closed(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "doctor.tcp_silent"
    if isinstance(error, ConnectionRefusedError):
        return "doctor.tcp_closed"
    return "doctor.tcp_failed"


def _name_stranger(way: Way, root: x509.Certificate) -> Finding:
    """Say what is wrong with the certificate that is shown: issuer, time, or name."""
    facts: dict[str, object] = {"host": way.host, "port": way.port}
    try:
        shown = look_at_certificate(way)
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else {"reason": "no certificate"}
        return report_failure("tls", "doctor.tls_broken", **facts, **reason)
    if not _is_issued_by(shown, root):
        issuer = shown.issuer.rfc4514_string()[:_LONGEST_NAME]
        return report_failure("tls", "doctor.tls_foreign", issuer=issuer, **facts)
    now = datetime.now(UTC)
    start, end = shown.not_valid_before_utc, shown.not_valid_after_utc
    if not start <= now <= end:
        facts |= {"now": f"{now:%Y-%m-%d %H:%M}"}
        facts |= {"start": f"{start:%Y-%m-%d %H:%M}", "end": f"{end:%Y-%m-%d %H:%M}"}
        return report_failure("tls", "doctor.tls_time", **facts)
    return report_failure("tls", "doctor.tls_name", name=common_name(shown), **facts)


def _is_issued_by(shown: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        shown.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _date_of(answer: httpx.Response) -> datetime | None:
    try:
        found = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
