"""Asking the hub: signed requests over TLS that believes the space's root alone."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from consilium.dataspace.wire.tokens import make_token
from consilium.kernel.canonical import Json, canonical_bytes, read_json
from consilium.kernel.clock import Clock
from consilium.kernel.errors import (
    ConsiliumError,
    InputError,
    IntegrityError,
    PeerError,
    error_from_record,
)
from consilium.ledger.keys import SigningKey
from consilium.node.membership import Membership
from consilium.node.proxy import LOGIN_WANTED, Proxy, client_options, refusal_of

TIMEOUT_S = 40.0
"""Longer than the hub's longest poll."""
_RETRYABLE = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Signs requests to the hub and reads its answers; sends nothing itself."""

    membership: Membership
    key: SigningKey
    clock: Clock

    def prepare(
        self, method: str, target: str, document: Json = None, *, signed: bool = True
    ) -> httpx.Request:
        """Write a request. `target` is path and query; the token names it as it is sent."""
        body = b"" if document is None else canonical_bytes(document)
        request = httpx.Request(method, f"{self.membership.hub}{target}", content=body)
        request.headers["content-type"] = "application/json"
        if signed:
            token = make_token(
                self.key,
                issuer=self.membership.participant,
                audience=self.membership.hub_participant,
                method=method,
                path=request.url.raw_path.decode("ascii"),
                body=body,
                clock=self.clock,
            )
            request.headers["authorization"] = f"Bearer {token}"
        return request

    def read(self, response: httpx.Response) -> Any:
        """Return the JSON of an answer.

        Raises
        ------
        ConsiliumError
            As the hub reported it; a `PeerError` that can be retried says so.
        PeerError
            `link.hub_answer` if it is no answer of a hub.
        """
        return read_answer(response, hub=self.membership.hub)


class HubClient:
    """Calls the hub's routes for this member; safe to use from many threads.

    Parameters
    ----------
    caller : Caller
        Signs.
    trust : ssl.SSLContext
        The space's root.
    proxy : Proxy, optional
        Through which the hub is reached.
    """

    def __init__(
        self, caller: Caller, *, trust: ssl.SSLContext, proxy: Proxy | None = None
    ) -> None:
        self._caller = caller
        self._proxy = proxy
        self._client = httpx.Client(timeout=TIMEOUT_S, **client_options(trust, proxy))

    def call(
        self,
        method: str,
        target: str,
        document: Json = None,
        *,
        signed: bool = True,
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        """Send one request and return the JSON of its answer (`None` if there is none).

        Raises
        ------
        PeerError
            `link.hub_away`, `link.hub_answer`, `link.proxy_login` and the like.
        IntegrityError
            `link.hub_untrusted`.
        ConsiliumError
            Whatever the hub refused with.
        """
        request = self._caller.prepare(method, target, document, signed=signed)
        request.extensions["timeout"] = httpx.Timeout(timeout_s).as_dict()
        try:
            response = self._client.send(request)
        except httpx.HTTPError as error:
            hub = self._caller.membership.hub
            raise connection_error(error, hub=hub, proxy=self._proxy) from error
        return self._caller.read(response)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def read_answer(response: httpx.Response, *, hub: str) -> Any:
    """Return the JSON of a hub's answer, or raise what it reported."""
    if response.is_success and not response.content:
        return None
    try:
        value = read_json(response.content)
    except InputError as error:
        raise PeerError("link.hub_answer", hub=hub, status=response.status_code) from error
    if response.is_success:
        return value
    if not isinstance(value, Mapping) or "code" not in value:
        raise PeerError("link.hub_answer", hub=hub, status=response.status_code)
    reported = error_from_record(dict(value))
    if isinstance(reported, PeerError):
        reported.retryable = response.status_code in _RETRYABLE
    raise reported


def connection_error(
    error: httpx.HTTPError, *, hub: str, proxy: Proxy | None = None
) -> ConsiliumError:
    """Say what a failed connection means: nobody there, or somebody not to be believed."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return IntegrityError("link.hub_untrusted", hub=hub, detail=str(cause))
        cause = cause.__cause__ or cause.__context__
    if proxy is not None and isinstance(error, httpx.ProxyError):
        return _refusal(refusal_of(error), hub=hub, proxy=proxy)
    if proxy is not None and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return PeerError("link.proxy_away", hub=hub, proxy=proxy.address)
    return PeerError("link.hub_away", hub=hub, reason=type(error).__name__)


def _refusal(status: int | None, *, hub: str, proxy: Proxy) -> PeerError:
    if status == LOGIN_WANTED:
        return PeerError("link.proxy_login", proxy=proxy.address)
    return PeerError("link.proxy_refused", hub=hub, proxy=proxy.address, status=status or "–")
