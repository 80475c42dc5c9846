"""Keeps the hub's own certificates and its view of the members' standing up to date.

The signer renews by its own clock; the hub's process only fetches what is
there and swaps files, so that nothing restarts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from consilium.hub.authority import Kind
from consilium.hub.members import Members
from consilium.hub.store import Standing
from consilium.kernel.clock import Clock
from consilium.kernel.errors import ConsiliumError, IntegrityError, PeerError
from consilium.ledger.certificates import (
    certificate_key,
    earliest_renewal,
    load_certificate,
    load_private_key,
    read_certificate,
)
from consilium.ledger.files import write_atomic

KEYS = "keys"
ROOT_FILE = "root.crt"
NAMES: dict[Kind, str] = {
    Kind.PARTICIPANT: "hub",
    Kind.HTTPS: "https",
    Kind.ENGINE_SERVER: "engine-server",
    Kind.SUBMITTER: "submitter",
}
"""The hub's own keys and certificates: `keys/<name>.key`, `keys/<name>.crt`."""

_SHORTEST_SLEEP_S = 0.3
_LOG = logging.getLogger("consilium.hub.upkeep")


class Source(Protocol):
    """What is asked of the signer."""

    def list_own(self) -> dict[str, Any]:
        """Give the hub's own certificates, PEM by kind."""
        ...

    def list_standing(self) -> dict[str, Any]:
        """Give every member's standing by name."""
        ...


class Upkeep:
    """Fetches fresh certificates and revocations from the signer.

    Parameters
    ----------
    signer : Source
        The signer's hub side.
    members : Members
        Told about revocations.
    keys : Path
        The hub's key folder.
    on_renewal : callable
        Called with the kind after a certificate's file was swapped.
    on_revocation : callable
        Called with a member's name after it was revoked.
    on_standing : callable
        Called each time with the names of all who are revoked, to bar them
        elsewhere too; may fail while that is away, and is called again.
    clock : Clock
        For knowing when to look.
    longest_s : float, optional
        Longest time between two looks.
    """

    def __init__(
        self,
        signer: Source,
        members: Members,
        *,
        keys: Path,
        on_renewal: Callable[[Kind], None],
        on_revocation: Callable[[str], None],
        clock: Clock,
        on_standing: Callable[[frozenset[str]], None] = lambda _names: None,
        longest_s: float = 5.0,
    ) -> None:
        self._signer = signer
        self._members = members
        self._keys = keys
        self._on_renewal = on_renewal
        self._on_revocation = on_revocation
        self._on_standing = on_standing
        self._clock = clock
        self._longest_s = longest_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep")

    def start(self) -> None:
        """Begin to look after things, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the thread has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_once(self) -> list[Kind]:
        """Fetch once; return the kinds of certificate that were swapped.

        Raises
        ------
        PeerError
            `hub.signer_away`.
        IntegrityError
            `link.untrusted_certificate` if a certificate is not for our key.
        """
        own = self._signer.list_own()
        swapped = [kind for kind, name in NAMES.items() if self._swap(name, own.get(kind))]
        for kind in swapped:
            self._on_renewal(kind)
        standing = self._signer.list_standing()
        for name in self._members.apply_standing(standing):
            self._on_revocation(name)
        revoked = {name for name, state in standing.items() if state == Standing.REVOKED}
        self._tell_standing(frozenset(revoked))
        return swapped

    def _tell_standing(self, revoked: frozenset[str]) -> None:
        try:
            self._on_standing(revoked)
        except PeerError as error:
            if revoked:
                _LOG.info("revoked members are not barred everywhere yet: %s", error.public)

    def _swap(self, name: str, pem: object) -> bool:
        path = self._keys / f"{name}.crt"
        if not isinstance(pem, str) or path.read_text(encoding="ascii") == pem:
            return False
        key = load_private_key(self._keys / f"{name}.key").public_key()
        if certificate_key(read_certificate(pem)) != key:
            raise IntegrityError("link.untrusted_certificate", name=name)
        write_atomic(path, pem.encode("ascii"), mode=0o644)
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._sleep_s()):
            try:
                self.run_once()
            except ConsiliumError as error:
                _LOG.warning("upkeep: %s", error.public)

    def _sleep_s(self) -> float:
        present = [load_certificate(self._keys / f"{name}.crt") for name in NAMES.values()]
        due = (earliest_renewal(present) - self._clock.now()).total_seconds()
        return min(max(due, _SHORTEST_SLEEP_S), max(self._longest_s, _SHORTEST_SLEEP_S))
