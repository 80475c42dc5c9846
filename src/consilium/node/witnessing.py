"""Witnesses of one another: this node's log shown to hub and peers, theirs cosigned here.

The hub is asked by the link as soon as the log has grown. A few peers, always
the same ones for one node, are asked once a minute at most over the relay, each
for a signature with its own key: so a hub that keeps silent, or forgets, is not
the only witness. The hub's own log is fetched and cosigned in the same turn.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from consilium.dataspace.connector import Connector
from consilium.dataspace.endpoints import Asked, Route
from consilium.dataspace.wire.client import Client
from consilium.kernel.canonical import Json
from consilium.kernel.errors import ConsiliumError, PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.witnessing import Shown, Witness
from consilium.node.hub_client import HubClient

BASE = "/consilium/1"
PATH = "/witness"
PEERS = 3
"""Peers that a node asks; each of n nodes is asked by about as many."""
PERIOD_S = 60.0
_SHORT_S = 10.0
_END_S = 2.0
_LOG = logging.getLogger("consilium.witnessing")


def choose_peers(
    me: ParticipantId, others: list[ParticipantId], *, most: int = PEERS
) -> list[ParticipantId]:
    """Choose whom to ask: the same ones while they are members, spread evenly over all nodes."""

    def rank(other: ParticipantId) -> bytes:
        return hashlib.sha256(f"{me}\n{other}".encode()).digest()

    return sorted((other for other in others if other != me), key=rank)[:most]


def witness_routes(witness: Witness) -> tuple[Route, ...]:
    """Make the path by which peers have their checkpoints cosigned here.

    Discloses
    ---------
    The size of the last checkpoint that was cosigned of the asker's own log, and
    a cosignature of the next.
    """

    def take(_connector: Connector, asked: Asked) -> dict[str, Any]:
        shown = Shown.from_document(asked.document)
        return dict(witness.take(asked.caller.participant, shown).as_document())

    return (Route("POST", PATH, "WitnessError", take, base=BASE),)


class Witnessing:
    """Has this node's log cosigned, and cosigns the hub's.

    Parameters
    ----------
    client : Client
        This node's way of asking peers; knows everybody's keys.
    hub : HubClient
        This node's way of asking the hub.
    hub_id : ParticipantId
        Who the hub is.
    cosignatures : Cosignatures
        Those of our own log.
    witness : Witness
        Us, for the logs of others.
    peers : callable
        Lists the admitted members, ourselves included or not.
    period_s : float
        How long to wait between two turns.
    """

    def __init__(
        self,
        client: Client,
        hub: HubClient,
        *,
        hub_id: ParticipantId,
        cosignatures: Cosignatures,
        witness: Witness,
        peers: Callable[[], list[ParticipantId]],
        period_s: float = PERIOD_S,
    ) -> None:
        self._client = client
        self._hub = hub
        self._hub_id = hub_id
        self._cosignatures = cosignatures
        self._witness = witness
        self._peers = peers
        self._period_s = period_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witnessing", daemon=True)

    def start(self) -> None:
        """Begin to ask by ourselves."""
        self._thread.start()

    def stop(self) -> None:
        """End; a request under way is waited for, but not for long."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def show_hub(self) -> bool:
        """Have the hub cosign our present checkpoint; say whether that was still to do.

        Raises
        ------
        PeerError
            The hub is away.
        IntegrityError
            `ledger.log_shrank`, `ledger.not_consistent`: the hub has seen
            another log of ours. Stop.

        Discloses
        ---------
        The number of evidence entries, hashes over them, and the owner's signature.
        """

        def ask(document: dict[str, Json]) -> Mapping[str, Any]:
            path = "/witness/checkpoints"
            return dict(self._hub.call("POST", path, document, timeout_s=_SHORT_S))

        key = self._client.directory.key_of(self._hub_id)
        return self._cosignatures.request(self._hub_id, key=key, ask=ask)

    def show_peer(self, peer: ParticipantId) -> bool:
        """Have a peer cosign our present checkpoint; raises and discloses as `show_hub`."""

        def ask(document: dict[str, Json]) -> Mapping[str, Any]:
            status, answer = self._client.post(peer, BASE + PATH, document)
            if status != 200:
                code = str(answer.get("code", ""))[:80]
                raise PeerError("node.not_cosigned", peer=peer, status=status, rule=code)
            return answer

        key = self._client.directory.key_of(peer)
        return self._cosignatures.request(peer, key=key, ask=ask)

    def witness_hub(self) -> bool:
        """Cosign the hub's present checkpoint; say whether that was still to do.

        Raises
        ------
        IntegrityError
            `ledger.log_shrank`, `ledger.not_consistent`: the hub's log was changed.

        Discloses
        ---------
        Our cosignature, to the hub.
        """
        old = self._witness.last_size(self._hub_id)
        told = self._hub.call("GET", f"/log/proof?old={old}", timeout_s=_SHORT_S)
        shown = Shown.from_document(dict(told))
        answer = self._witness.take(self._hub_id, shown)
        if not answer.cosignature or (answer.size == old and old):
            return False
        document: Json = {"size": answer.size, "cosignature": answer.cosignature}
        self._hub.call("POST", "/log/cosignatures", document, timeout_s=_SHORT_S)
        return True

    def run_once(self) -> int:
        """Ask everybody whose turn it is; return how many cosignatures came of it."""
        try:
            peers = choose_peers(self._client.me, self._peers())
        except ConsiliumError as error:
            _LOG.info("no peer can be asked to witness: %s", error.public)
            peers = []
        found = int(self._try(self.witness_hub))
        for peer in peers:
            if not self._ended.is_set():
                found += self._try(partial(self.show_peer, peer))
        return found

    def try_hub(self) -> bool:
        """As `show_hub`, but a hub that is away is only noted in the local log."""
        return self._try(self.show_hub)

    def _try(self, work: Callable[[], bool]) -> bool:
        try:
            return work()
        except PeerError as error:
            _LOG.info("%s", error.public)
        except ConsiliumError as error:
            _LOG.error("%s", error.public)
        return False

    def _run(self) -> None:
        while not self._ended.wait(self._period_s):
            self.run_once()
