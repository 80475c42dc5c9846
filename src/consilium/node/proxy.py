"""The proxy between this hospital and its hub: which one is in force, and its login.

The node's own setting comes first, then the variables that everybody knows
(`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`). The password lies in a file; it is in
no sentence, no log, no command line and no job's environment.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from consilium.kernel.errors import InputError, NotFoundError

DIRECT = "direct"
"""Setting that uses no proxy, whatever the environment says."""
LEAST_REFUSAL, LOGIN_WANTED = 400, 407

_VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")
_OTHERS = 0o077
_LONGEST_LOGIN = 1024
_DEFAULT_PORT = 3128


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One HTTP proxy, with the login for it. `source` says where it was named."""

    host: str
    port: int
    source: str
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """Host and port, for sentences; never the login."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The proxy as the engine's library wants it, login included. A secret."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        return f"http://{login}{self.address}"

    @property
    def authorization(self) -> str:
        """Value of the header `Proxy-Authorization`; empty without a login. A secret."""
        if not self.user:
            return ""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode('ascii')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRules:
    """What this hospital says about its proxy.

    Parameters
    ----------
    setting : str
        `http://host:port`, `direct`, or empty for what the environment says.
    login : str
        Path of a file with `user:password`, for the proxy of `setting`.
    environment : mapping
        The variables of the process.
    """

    setting: str = ""
    login: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def find(self, url: str) -> Proxy | None:
        """Return the proxy through which an address is reached; None for the direct way.

        Raises
        ------
        InputError
            `node.bad_proxy`, `node.proxy_password`, `node.bad_proxy_login`.
        NotFoundError
            `node.no_proxy_login`.
        """
        if self.setting == DIRECT:
            return None
        if self.setting:
            proxy = _read(self.setting, source="node.proxy")
            if proxy.password:
                raise InputError("node.proxy_password", source=proxy.source)
            return _log_in(proxy, Path(self.login)) if self.login else proxy
        source = next((name for name in _VARIABLES if self.environment.get(name)), "")
        host = urlsplit(url).hostname or ""
        if not source or _is_loopback(host) or self._excepts(host):
            return None
        return _read(self.environment[source], source=source)

    def _excepts(self, host: str) -> bool:
        """Say whether `NO_PROXY` names this host: itself, a domain above it, a network, or all."""
        listed = next((self.environment[it] for it in _EXCEPTIONS if it in self.environment), "")
        words = [word.strip().lower() for word in listed.split(",") if word.strip()]
        return any(word == "*" or _is_below(host, word) or _is_within(host, word) for word in words)


def client_options(trust: ssl.SSLContext, proxy: Proxy | None) -> dict[str, Any]:
    """Give what every HTTP client of a node is made with.

    Nothing else is taken from the environment: neither other proxies nor a
    login for the hub's host.
    """
    through = None
    if proxy is not None:
        login = (proxy.user, proxy.password) if proxy.user else None
        through = httpx.Proxy(f"http://{proxy.address}", auth=login)
    return {"verify": trust, "trust_env": False, "proxy": through}


def refusal_of(error: httpx.ProxyError) -> int | None:
    """Return the status by which a proxy refused to connect; None if it gave none."""
    word = str(error).partition(" ")[0]
    return int(word) if word.isdecimal() else None


def _read(text: str, *, source: str) -> Proxy:
    """Read `http://user:password@host:port`; all but the host may be missing."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORT
    except ValueError as error:
        raise InputError("node.bad_proxy", source=source) from error
    if parts.scheme != "http" or not host or parts.path not in {"", "/"} or parts.query:
        raise InputError("node.bad_proxy", source=source)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Proxy(host=host, port=port, source=source, user=user, password=password)


def _log_in(proxy: Proxy, path: Path) -> Proxy:
    """Add the login of a file that only its owner can read."""
    try:
        with path.open("rb") as stream:
            exposed = os.fstat(stream.fileno()).st_mode & _OTHERS
            text = stream.read(_LONGEST_LOGIN).decode("utf-8")
    except OSError as error:
        raise NotFoundError("node.no_proxy_login", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("node.bad_proxy_login", path=str(path)) from error
    user, colon, password = text.strip().partition(":")
    if exposed or not user or not colon or not text.strip().isprintable():
        raise InputError("node.bad_proxy_login", path=str(path))
    return Proxy(
        host=proxy.host, port=proxy.port, source=proxy.source, user=user, password=password
    )


def _is_loopback(host: str) -> bool:
    return host == "localhost" or _is_within(host, "127.0.0.0/8") or host == "::1"


def _is_below(host: str, word: str) -> bool:
    domain = word.removeprefix("*").lstrip(".")
    return host.lower() == domain or host.lower().endswith(f".{domain}")


def _is_within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
