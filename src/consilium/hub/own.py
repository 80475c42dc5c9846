"""The hub's own certificates: issued at `init`, renewed by the signer's own clock.

The operator brings four public keys once. From then on the signer keeps their
certificates fresh by itself, for those keys and no others, and the hub's
serving process picks them up. So a hub that has been taken over can use the
submitter's key while it lasts, and get no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from sqlalchemy import insert, select, update

from consilium.hub.authority import (
    Authority,
    Kind,
    describe_certificate,
    engine_server_name,
    submitter_name,
)
from consilium.hub.settings import HubSettings
from consilium.hub.store import SIGNER_OWN
from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, write_time
from consilium.ledger.certificates import (
    KeyHalf,
    certificate_key,
    read_certificate,
    renewal_due,
    write_certificate,
)
from consilium.ledger.database import Database
from consilium.ledger.jointokens import HUB

_NAME_LENGTH = 64


class OwnCertificates:
    """Issues and renews what the hub itself needs.

    Parameters
    ----------
    authority : Authority
        The root key.
    database : Database
        The signer's own.
    settings : HubSettings
        Names, hosts and lifetimes.
    clock : Clock
        For renewal.
    """

    def __init__(
        self, authority: Authority, database: Database, *, settings: HubSettings, clock: Clock
    ) -> None:
        self._authority = authority
        self._database = database
        self._settings = settings
        self._clock = clock

    def issue(self, kind: Kind, key: KeyHalf) -> x509.Certificate:
        """Issue a certificate for a key that the operator brings. No socket leads here."""
        space, times = self._authority.space, self._settings.signer
        name, hours = {
            Kind.PARTICIPANT: (HUB, times.server_hours),
            Kind.HTTPS: (self._settings.hub.host[:_NAME_LENGTH], times.server_hours),
            Kind.ENGINE_SERVER: (engine_server_name(space), times.server_hours),
            Kind.SUBMITTER: (submitter_name(space), times.submitter_hours),
        }[kind]
        title, hosts = self._settings.hub.title, self._settings.hosts
        certificate = self._authority.issue(
            kind, key, name=name, hours=hours, title=title, hosts=hosts
        )
        self._keep(kind, certificate)
        return certificate

    def renew_due(self) -> list[Kind]:
        """Renew what is due, or names other hosts than the settings do; for the same keys."""
        renewed = []
        for kind, certificate, hosts in self._rows():
            if self._clock.now() >= renewal_due(certificate) or hosts != self._settings.hosts:
                self.issue(kind, certificate_key(certificate))
                renewed.append(kind)
        return renewed

    def next_renewal(self) -> datetime | None:
        """Return when `renew_due` has something to do; `None` if there is nothing."""
        return min((renewal_due(certificate) for _, certificate, _ in self._rows()), default=None)

    def list_present(self, facts: Mapping[str, Any]) -> dict[str, Json]:  # noqa: ARG002  (a verb)
        """Give the present certificates, PEM by kind."""
        return {kind: write_certificate(certificate) for kind, certificate, _ in self._rows()}

    def _rows(self) -> list[tuple[Kind, x509.Certificate, tuple[str, ...]]]:
        with self._database.read() as connection:
            rows = connection.execute(select(SIGNER_OWN).order_by(SIGNER_OWN.c.kind)).all()
        return [
            (Kind(row.kind), read_certificate(row.certificate), tuple(json.loads(row.hosts)))
            for row in rows
        ]

    def _keep(self, kind: Kind, certificate: x509.Certificate) -> None:
        table = SIGNER_OWN
        row = {
            "hosts": json.dumps(self._settings.hosts),
            "certificate": write_certificate(certificate),
            "issued": write_time(self._clock.now()),
        }
        with self._database.write() as tx:
            changed = tx.execute(update(table).where(table.c.kind == kind.value).values(**row))
            if not changed.rowcount:
                tx.execute(insert(table), {"kind": kind.value, **row})
            tx.record("signer.issued", kind.value, describe_certificate(certificate))
