"""Conformance runs: a counterpart that signs nothing, on this machine only.

The protocol's own test kits know no keys. For them a door may be opened on a
loopback address at which authentication is off. Whoever comes through it is
one participant, `ANYBODY`; what it opens never touches a member's process, and
a transfer of its own passes no gate, because nobody can sign a study for it.
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import httpx

from consilium.dataspace.wire.builders import BASE
from consilium.dataspace.wire.tokens import Caller
from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.errors import InputError, PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import PublicKey

ANYBODY = ParticipantId("urn:consilium:anybody")
"""No member can have this identifier: theirs begin with `did:web:`."""
_TIMEOUT_S = 10.0


def is_loopback(host: str) -> bool:
    """Tell whether an address reaches this machine only; names are not believed."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def anybody(key: PublicKey) -> Caller:
    """Return the caller that stands for everybody without a token.

    Discloses
    ---------
    Nothing.
    """
    return Caller(participant=ANYBODY, key=key, token="")


class OpenClient:
    """Asks the unsigned counterpart at the address that it gave, if that is on this machine.

    Parameters
    ----------
    callback : str
        The address from its opening message.
    """

    def __init__(self, callback: str) -> None:
        self._callback = callback.rstrip("/")

    def get(self, peer: ParticipantId, path: str) -> tuple[int, dict[str, Any]]:
        """Read something; raises as `post` does."""
        return self._ask(peer, "GET", path, b"")

    def post(
        self, peer: ParticipantId, path: str, document: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Send a document without a signature.

        Raises
        ------
        PeerError
            `dataspace.unreachable`, `dataspace.bad_answer`.

        Discloses
        ---------
        The document, to a program on this machine.
        """
        return self._ask(peer, "POST", path, canonical_bytes(document))

    def _ask(
        self, peer: ParticipantId, method: str, path: str, body: bytes
    ) -> tuple[int, dict[str, Any]]:
        if not is_loopback(urlsplit(self._callback).hostname or ""):
            raise PeerError("dataspace.unreachable", peer=peer, retryable=False)
        url = self._callback + path.removeprefix(BASE)
        headers = {"Content-Type": "application/json"}
        try:
            reply = httpx.request(
                method, url, content=body, headers=headers, timeout=_TIMEOUT_S, trust_env=False
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PeerError("dataspace.unreachable", peer=peer) from error
        try:
            found = read_json(reply.content) if reply.content else {}
        except InputError as error:
            raise PeerError("dataspace.bad_answer", peer=peer, retryable=False) from error
        return reply.status_code, found if isinstance(found, dict) else {}
