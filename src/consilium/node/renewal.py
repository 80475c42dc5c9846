"""Certificates of this node: checking what the hub hands over, and renewing in time.

Keys stay; only certificates are replaced, each by one rename, so that nothing
needs a restart. A third of the lifetime is left for trying again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cryptography import x509

from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import InputError, IntegrityError, PeerError
from consilium.ledger.certificates import (
    CLIENT_USE,
    certificate_key,
    common_name,
    earliest_renewal,
    identify_participant,
    load_certificate,
    load_private_key,
    read_certificate,
    request_certificate,
    verify_certificate,
)
from consilium.ledger.files import write_atomic
from consilium.ledger.jointokens import HUB, RENEWAL
from consilium.ledger.statements import sign_statement
from consilium.node.hub_client import HubClient
from consilium.node.membership import (
    ENGINE_CERTIFICATE,
    ENGINE_KEY,
    HUB_CERTIFICATE,
    PARTICIPANT_CERTIFICATE,
    KeyFolder,
    Membership,
)

_PATIENCE_S = 15.0
CERTIFICATES = {
    "participant": PARTICIPANT_CERTIFICATE,
    "engine": ENGINE_CERTIFICATE,
    "hub": HUB_CERTIFICATE,
}
"""Files of the certificates that an answer of the hub holds."""


class Renewal:
    """Renews this node's certificates.

    Parameters
    ----------
    membership : Membership
        Who this node is.
    keys : KeyFolder
        Where keys and certificates lie.
    hub : HubClient
        Passes the request on to the signer.
    clock : Clock
        For knowing when.
    on_renewal : callable
        Called after the files were swapped; copies the engine's into its kit.
    """

    def __init__(
        self,
        membership: Membership,
        keys: KeyFolder,
        *,
        hub: HubClient,
        clock: Clock,
        on_renewal: Callable[[], None],
    ) -> None:
        self._membership = membership
        self._keys = keys
        self._hub = hub
        self._clock = clock
        self._on_renewal = on_renewal

    def due(self) -> datetime:
        """Return when to renew: a third of the shorter lifetime is left."""
        names = (PARTICIPANT_CERTIFICATE, ENGINE_CERTIFICATE)
        return earliest_renewal([load_certificate(self._keys.path / name) for name in names])

    def renew(self) -> None:
        """Renew now.

        Raises
        ------
        PeerError
            The hub or its signer is away; try again.
        DeniedError
            `hub.member_revoked` and the like.
        IntegrityError
            `link.untrusted_certificate`: what came back is not ours.

        Discloses
        ---------
        Two public keys and the time, to the hub.
        """
        document: Json = {"statement": self._request()}
        answer = self._hub.call("POST", "/renew", document, signed=False, timeout_s=_PATIENCE_S)
        member = self._membership
        try:
            check_certificates(
                answer,
                self._keys,
                root=self._keys.root(),
                space=member.space,
                name=member.name,
                now=self._clock.now(),
            )
        except (KeyError, TypeError, InputError) as error:
            raise PeerError("link.hub_answer", hub=member.hub, status=200) from error
        write_certificates(answer, self._keys)
        self._on_renewal()

    def _request(self) -> str:
        name = self._membership.name
        key = self._keys.signing_key()
        engine = load_private_key(self._keys.path / ENGINE_KEY)
        facts: dict[str, Json] = {
            "space": self._membership.space,
            "member": name,
            "time": write_time(self._clock.now()),
            "csr_participant": request_certificate(key.ed25519, name=name),
            "csr_engine": request_certificate(engine, name=name),
        }
        return sign_statement(key, RENEWAL, facts)


def check_certificates(
    answer: Mapping[str, Any],
    keys: KeyFolder,
    *,
    root: x509.Certificate,
    space: str,
    name: str,
    now: datetime,
) -> None:
    """Return if an answer's certificates are for our name and our keys, under our root.

    Raises
    ------
    IntegrityError
        `link.untrusted_certificate`.
    DeniedError
        `link.certificate_expired`; also if our clock is far off.
    InputError, KeyError
        Something is missing or no certificate.
    """
    mine = identify_participant(read_certificate(answer["participant"]), root, space=space, now=now)
    hub = identify_participant(read_certificate(answer["hub"]), root, space=space, now=now)
    site = read_certificate(answer["engine"])
    verify_certificate(site, root, use=CLIENT_USE, now=now)
    fits = {
        "participant": mine.name == name and mine.key == keys.signing_key().public,
        "hub": hub.name == HUB,
        "engine": common_name(site) == name
        and certificate_key(site) == load_private_key(keys.path / ENGINE_KEY).public_key(),
    }
    for what, holds in fits.items():
        if not holds:
            raise IntegrityError("link.untrusted_certificate", name=f"{name} ({what})")


def write_certificates(answer: Mapping[str, Any], keys: KeyFolder) -> None:
    """Write what `check_certificates` has passed; each file is swapped by one rename."""
    for what, file in CERTIFICATES.items():
        write_atomic(keys.path / file, str(answer[what]).encode("ascii"), mode=0o644)
