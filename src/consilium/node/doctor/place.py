"""What the checks of a node look at; each part is read when a check needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from consilium.dataspace.wire.serving import ask_served
from consilium.kernel.clock import Clock
from consilium.node.hub_client import Caller
from consilium.node.membership import KEYS, KeyFolder, Membership, load_membership
from consilium.node.proxy import Proxy
from consilium.node.settings import NodeSettings, load_node_settings

_HTTPS = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One node's folder, seen from outside its process.

    Parameters
    ----------
    home : Path
        Absolute.
    environment : dict
        Variables of this process.
    clock : Clock
        Held against the hub's.
    timeout_s : float
        For each step on the network.
    """

    home: Path
    environment: dict[str, str] = field(repr=False)
    clock: Clock
    timeout_s: float

    @property
    def membership(self) -> Membership:
        """Which hub, under which name."""
        return load_membership(self.home)

    @property
    def settings(self) -> NodeSettings:
        """The node's settings."""
        return load_node_settings(self.home, environment=self.environment)

    @property
    def keys(self) -> KeyFolder:
        """The node's keys and certificates."""
        return KeyFolder(self.home / KEYS)

    @property
    def proxy(self) -> Proxy | None:
        """The proxy in force on the way to the hub."""
        rules = self.settings.proxies(self.home, environment=self.environment)
        return rules.find(self.membership.hub)

    @property
    def hub(self) -> tuple[str, int]:
        """Host and port of the hub's interface."""
        parts = urlsplit(self.membership.hub)
        return parts.hostname or "", parts.port or _HTTPS

    @property
    def database(self) -> str:
        """URL of the node's database."""
        return self.settings.url(self.home)

    @property
    def caller(self) -> Caller:
        """Signs requests to the hub."""
        return Caller(membership=self.membership, key=self.keys.signing_key(), clock=self.clock)

    def status(self) -> dict[str, Any] | None:
        """Ask the node's own process how it is; None if it does not answer."""
        found = ask_served(self.home / "run" / "api.sock", "/status", timeout_s=self.timeout_s)
        return found if isinstance(found, dict) else None
