"""Two ways to reach a peer: over HTTP, and within one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx

from consilium.dataspace.ports import Transport, WireReply, WireRequest
from consilium.dataspace.wire.encoding import unpack
from consilium.kernel.errors import PeerError
from consilium.kernel.identifiers import ParticipantId

ANSWER_HEADER = "Consilium-Answer"
LARGEST_ANSWER = 1 << 24
"""Bytes of an answer that are taken in; a catalogue of some thousand datasets."""


class HttpTransport:
    """Posts to each participant's protocol root, directly or through the hub's relay.

    Parameters
    ----------
    root_of : callable
        Gives the URL of a participant's protocol root. It comes from the space,
        never from a message, so that no peer can direct our requests.
    client : httpx.Client
        With its timeouts and trusted roots set.
    """

    def __init__(self, root_of: Callable[[ParticipantId], str], *, client: httpx.Client) -> None:
        self._root_of = root_of
        self._client = client

    def send(self, participant: ParticipantId, request: WireRequest) -> WireReply:
        """Deliver once.

        Raises
        ------
        PeerError
            `dataspace.unreachable`.

        Discloses
        ---------
        The request as it stands, to the peer and to whoever carries it.
        """
        headers = {
            "Authorization": f"Bearer {request.token}",
            "Content-Type": "application/json",
            "Accept-Encoding": "gzip",
        }
        url = self._root_of(participant).rstrip("/") + request.path
        try:
            with self._client.stream(
                request.method, url, content=request.body, headers=headers, follow_redirects=False
            ) as reply:
                body = _read_body(participant, reply)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = type(error).__name__
            raise PeerError("dataspace.unreachable", peer=participant, detail=reason) from error
        token = reply.headers.get(ANSWER_HEADER, "")
        return WireReply(status=reply.status_code, body=body, token=token)


def _read_body(participant: ParticipantId, reply: httpx.Response) -> bytes:
    encoding = reply.headers.get("Content-Encoding", "")
    try:
        return unpack(reply.iter_raw(), encoding=encoding, limit=LARGEST_ANSWER)
    except ValueError as error:
        raise PeerError("dataspace.bad_answer", peer=participant, retryable=False) from error


class LocalTransport:
    """Hands requests to connectors in this process; for our own data, notebooks and tests.

    Parameters
    ----------
    doors : mapping
        How each participant here answers; may be filled later.
    otherwise : Transport, optional
        Takes what is for anybody else.
    """

    def __init__(
        self,
        doors: Mapping[ParticipantId, Callable[[WireRequest], WireReply]],
        *,
        otherwise: Transport | None = None,
    ) -> None:
        self._doors = doors
        self._otherwise = otherwise

    def send(self, participant: ParticipantId, request: WireRequest) -> WireReply:
        """Deliver once; raises as the transport behind it does.

        Discloses
        ---------
        The request as it stands, to the peer.
        """
        door = self._doors.get(participant)
        if door is not None:
            return door(request)
        if self._otherwise is not None:
            return self._otherwise.send(participant, request)
        raise PeerError("dataspace.unreachable", peer=participant)
