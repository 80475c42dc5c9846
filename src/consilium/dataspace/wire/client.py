"""Asking a peer: sign the request, send it, and believe only the peer's own answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consilium.dataspace.ports import Directory, Transport, WireRequest
from consilium.dataspace.wire.tokens import check_answer, make_token
from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.clock import Clock
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError, PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import SigningKey

_FAILURE = 400
"""From here on a status tells of a failure."""


def _say_nothing(_peer: ParticipantId, _error: ConsiliumError) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One participant's way of asking the others.

    `refused` hears of each answer that somebody else gave in a peer's name: one
    signed otherwise, or one that reports success without any signature. An
    unsigned failure is no news, whoever carries messages may be in trouble.
    """

    me: ParticipantId
    key: SigningKey
    clock: Clock
    directory: Directory
    transport: Transport
    refused: Callable[[ParticipantId, ConsiliumError], object] = _say_nothing

    def get(self, peer: ParticipantId, path: str) -> tuple[int, dict[str, Any]]:
        """Read something; raises as `post` does."""
        return self._ask(peer, "GET", path, b"")

    def post(
        self, peer: ParticipantId, path: str, document: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Send a document; return the status and the document that came back.

        Raises
        ------
        PeerError
            `dataspace.unreachable`, `dataspace.no_answer`, `dataspace.unsigned_answer`,
            `dataspace.bad_answer`.
        IntegrityError
            `dataspace.forged_answer`.
        NotFoundError
            `dataspace.unknown_participant`.

        Discloses
        ---------
        The document, to the peer; and to whoever carries it.
        """
        return self._ask(peer, "POST", path, canonical_bytes(document))

    def _ask(
        self, peer: ParticipantId, method: str, path: str, body: bytes
    ) -> tuple[int, dict[str, Any]]:
        peer_key = self.directory.key_of(peer)
        token = make_token(
            self.key,
            issuer=self.me,
            audience=peer,
            method=method,
            path=path,
            body=body,
            clock=self.clock,
        )
        reply = self.transport.send(
            peer, WireRequest(method=method, path=path, token=token, body=body)
        )
        try:
            check_answer(
                reply.token,
                key=peer_key,
                issuer=peer,
                request=token,
                status=reply.status,
                body=reply.body,
            )
        except (IntegrityError, PeerError) as error:
            if isinstance(error, IntegrityError) or reply.status < _FAILURE:
                self.refused(peer, error)
            raise
        return reply.status, _read_object(peer, reply.body)


def _read_object(peer: ParticipantId, body: bytes) -> dict[str, Any]:
    try:
        found = read_json(body)
    except InputError as error:
        raise PeerError("dataspace.bad_answer", peer=peer, retryable=False) from error
    if not isinstance(found, dict):
        raise PeerError("dataspace.bad_answer", peer=peer, retryable=False)
    return found
