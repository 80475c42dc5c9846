"""Examining a hub: its folder, its signer, its ports, its engine, hop by hop."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consilium.dataspace.wire.serving import ask_served
from consilium.hub.authority import Kind
from consilium.hub.settings import HubSettings, load_settings
from consilium.hub.signer import FOLDER as SIGNER
from consilium.hub.signer_socket import SignClient
from consilium.hub.upkeep import KEYS, NAMES, ROOT_FILE
from consilium.kernel.clock import Clock
from consilium.kernel.errors import StateError
from consilium.kernel.findings import (
    Check,
    Finding,
    examine,
    report,
    report_error,
    report_failure,
    report_skip,
)
from consilium.ledger.certificates import load_certificate
from consilium.ledger.examination import (
    check_certificates,
    check_database,
    check_disk,
    check_evidence,
    check_home,
    check_program,
)
from consilium.ledger.keys import SigningKey

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (what a hub may be bound to)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    home: Path
    environment: dict[str, str] = field(repr=False)
    clock: Clock
    timeout_s: float

    @property
    def settings(self) -> HubSettings:
        return load_settings(self.home, environment=self.environment)

    @property
    def keys(self) -> Path:
        return self.home / KEYS

    @property
    def database(self) -> str:
        return self.settings.hub.database or f"sqlite:///{self.home / 'hub.db'}"

    def ask(self, target: str) -> Any:
        """Ask the hub's own process; None if it does not answer."""
        return ask_served(self.home / "run" / "api.sock", target, timeout_s=self.timeout_s)


def examine_hub(
    home: Path, *, environment: Mapping[str, str], clock: Clock, timeout_s: float = 5.0
) -> Iterator[Finding]:
    """Examine a hub, whether or not it is being served.

    Parameters
    ----------
    home : Path
        The hub's folder.
    environment : mapping
        Variables of this process.
    clock : Clock
        For the certificates.
    timeout_s : float
        For each step on the network.
    """
    place = _Place(
        home=home.resolve(), environment=dict(environment), clock=clock, timeout_s=timeout_s
    )
    return examine(_checks(place))


def _checks(place: _Place) -> list[Check]:
    """List all hops; this table is the doctor's whole round."""
    known = ("home", "settings")
    return [
        Check(hop="program", run=check_program),
        Check(hop="home", run=lambda: _check_folder(place)),
        Check(hop="settings", run=lambda: _check_settings(place), needs=("home",)),
        Check(hop="disk", run=lambda: check_disk(place.home), needs=("home",)),
        Check(hop="certificate", run=lambda: _check_own(place), needs=("home",)),
        Check(hop="database", run=lambda: check_database(place.database), needs=known),
        Check(hop="evidence", run=lambda: _check_log(place), needs=("database",)),
        Check(hop="signer", run=lambda: _check_signer(place), needs=known),
        Check(hop="port", run=lambda: _check_port(place), needs=(*known, "certificate")),
        Check(hop="relay", run=lambda: _check_relay(place), needs=("port",)),
        Check(hop="engine", run=lambda: _check_engine(place), needs=("port",)),
    ]


def _check_folder(place: _Place) -> Finding:
    return check_home(place.home, answers=place.ask("/status") is not None)


def _check_settings(place: _Place) -> Finding:
    return report("settings", "doctor.hub_settings", address=place.settings.address)


def _check_own(place: _Place) -> Finding:
    files = [*(f"{name}.crt" for name in NAMES.values()), ROOT_FILE]
    found = {name: load_certificate(place.keys / name) for name in files}
    return check_certificates(found, now=place.clock.now())


def _check_log(place: _Place) -> Finding:
    key = SigningKey.load(place.keys / f"{NAMES[Kind.PARTICIPANT]}.key")
    return check_evidence(place.database, key.public)


def _check_signer(place: _Place) -> Finding:
    if place.ask("/status") is None and not (place.home / SIGNER / "sign.sock").exists():
        return report_skip("signer", "doctor.signer_quiet")
    standing = SignClient(place.home / SIGNER).list_standing()
    return report("signer", "doctor.signer", members=len(standing))


def _check_port(place: _Place) -> Finding:
    """Shake hands with ourselves as a hospital would, on this machine."""
    hub = place.settings.hub
    ports = {"port": hub.port, "engine_port": hub.engine_port}
    if place.ask("/status") is None:
        for port in ports.values():
            if _is_taken(hub.listen, port):
                return report_error(
                    "port", StateError("boundary.port_taken", port=port, host=hub.listen)
                )
        return report_skip("port", "doctor.port_free", **ports)
    host = _ANYWHERE.get(hub.listen, hub.listen)
    facts = {"host": host, "port": hub.port}
    trust = ssl.create_default_context(cafile=str(place.keys / ROOT_FILE))
    try:
        with (
            closing(socket.create_connection((host, hub.port), timeout=place.timeout_s)) as line,
            trust.wrap_socket(line, server_hostname=hub.host),
        ):
            return report("port", "doctor.port", **facts)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return report_failure("port", "doctor.port_broken", reason=reason, **facts)


def _check_relay(place: _Place) -> Finding:
    members = [one for one in place.ask("/members") or () if one["state"] == "admitted"]
    online = sum(bool(one["online"]) for one in members)
    return report("relay", "doctor.relay_members", online=online, members=len(members))


def _check_engine(place: _Place) -> Finding:
    hub, status = place.settings.hub, place.ask("/status") or {}
    child = status.get("engine", {})
    facts = {"port": hub.engine_port, "restarts": child.get("restarts", 0)}
    host = _ANYWHERE.get(hub.listen, hub.listen)
    if not child.get("running") or not _is_listening(host, hub.engine_port, place.timeout_s):
        facts["log"] = str(place.home / "engine" / "console.log")
        return report_failure("engine", "doctor.hub_engine_down", **facts)
    return report("engine", "doctor.hub_engine", sites=len(status.get("sites", ())), **facts)


def _is_taken(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _is_listening(host: str, port: int, timeout_s: float) -> bool:
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError:
        return False
    return True
