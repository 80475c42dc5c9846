"""The space's certificate authority: five kinds of certificate, and nothing else.

The table `PROFILES` is the whole policy of what a certificate may say. Names,
uses and lifetimes come from here and from the signer's records; from a request
only the key is taken. Whoever holds the root key can invent members, so this
code runs in the signer's process alone (docs/trust.md).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

from consilium.kernel.canonical import Digest, Json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import InputError, IntegrityError
from consilium.kernel.identifiers import participant_id
from consilium.ledger.certificates import (
    CLIENT_USE,
    PARTICIPANT_USE,
    SERVER_USE,
    KeyHalf,
    certificate_key,
    create_ec_key,
    key_digest,
    load_certificate,
    load_private_key,
    root_fingerprint,
    verify_root,
    write_certificate,
)
from consilium.ledger.files import write_atomic

SKEW = timedelta(minutes=10)
"""Certificates begin this much earlier, so that a clock that is behind accepts them."""
SUBMITTER_ROLE = "lead"
"""The engine's role that may submit jobs and cannot administer; its rights stand in the kit."""

_KEY = "ca.key"
_ROOT = "root.crt"


class Kind(StrEnum):
    """What a certificate is for."""

    PARTICIPANT = "participant"
    SITE = "site"
    ENGINE_SERVER = "engine-server"
    SUBMITTER = "submitter"
    HTTPS = "https"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a kind of certificate needs and says."""

    key: type[KeyHalf]
    uses: tuple[x509.ObjectIdentifier, ...]
    enciphers: bool = False
    role: str = ""
    named_hosts: bool = False


PROFILES: dict[Kind, Profile] = {
    Kind.PARTICIPANT: Profile(key=Ed25519PublicKey, uses=(PARTICIPANT_USE,)),
    Kind.SITE: Profile(key=rsa.RSAPublicKey, uses=(CLIENT_USE,), enciphers=True),
    Kind.ENGINE_SERVER: Profile(
        key=rsa.RSAPublicKey, uses=(SERVER_USE, CLIENT_USE), enciphers=True, named_hosts=True
    ),
    Kind.SUBMITTER: Profile(
        key=rsa.RSAPublicKey, uses=(CLIENT_USE,), enciphers=True, role=SUBMITTER_ROLE
    ),
    Kind.HTTPS: Profile(key=ec.EllipticCurvePublicKey, uses=(SERVER_USE,), named_hosts=True),
}
"""The engine signs and enciphers with RSA; participants sign with Ed25519."""


class Authority:
    """Issues certificates under one root.

    Parameters
    ----------
    key : EllipticCurvePrivateKey
        The root's key.
    root : x509.Certificate
        Its certificate.
    space : str
        The space's name; every certificate's organisation.
    clock : Clock
        For the beginning of validity.
    """

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, root: x509.Certificate, *, space: str, clock: Clock
    ) -> None:
        self._key = key
        self._clock = clock
        self.root = root
        self.space = space

    @classmethod
    def create(cls, folder: Path, *, space: str, days: float, clock: Clock) -> Authority:
        """Make a root key and its certificate in a folder of the signer's own.

        Raises
        ------
        StateError
            `ledger.key_exists`: a root is never overwritten.
        """
        key = create_ec_key(folder / _KEY)
        root = _self_sign(key, space=space, start=clock.now(), life=timedelta(days=days))
        write_atomic(folder / _ROOT, write_certificate(root).encode("ascii"), mode=0o644)
        return cls(key, root, space=space, clock=clock)

    @classmethod
    def load(cls, folder: Path, *, space: str, clock: Clock) -> Authority:
        """Open the authority of a folder.

        Raises
        ------
        NotFoundError
            `ledger.no_key`, `link.no_certificate`.
        IntegrityError
            `link.bad_root` if key and certificate do not belong together.
        """
        key = load_private_key(folder / _KEY)
        root = load_certificate(folder / _ROOT)
        verify_root(root)
        belongs = certificate_key(root) == key.public_key()
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not belongs:
            raise IntegrityError("link.bad_root")
        return cls(key, root, space=space, clock=clock)

    @property
    def fingerprint(self) -> Digest:
        """Fingerprint of the root's key, as join tokens carry it."""
        return root_fingerprint(self.root)

    def issue(
        self,
        kind: Kind,
        key: KeyHalf,
        *,
        name: str,
        hours: float,
        title: str = "",
        location: str = "",
        hosts: Sequence[str] = (),
    ) -> x509.Certificate:
        """Issue one certificate.

        Parameters
        ----------
        kind : Kind
            Says everything but key, name and lifetime.
        key : public key
            From a request that proved it.
        name : str
            Checked by the caller against its own records, never the request's word.
        hours : float
            Lifetime; cut at the root's end.
        title : str, optional
            Display name of a participant, at most 64 characters.
        location : str, optional
            Country or region of a participant, as `check_location` gives it.
        hosts : sequence of str, optional
            Names and addresses of a server.

        Raises
        ------
        InputError
            `link.request_key` if the key is not of the kind's type or too weak.
        """
        profile = PROFILES[kind]
        _check_key(key, profile, name=name)
        now = self._clock.now()
        life = timedelta(hours=hours)
        subject = self._subject(profile, kind=kind, name=name, title=title)
        if kind is Kind.PARTICIPANT and location:
            subject += _place(location)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(self.root.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - min(SKEW, life / 10), self.root.not_valid_before_utc))
            .not_valid_after(min(now + life, self.root.not_valid_after_utc))
        )
        for extension, critical in self._extensions(profile, key):
            builder = builder.add_extension(extension, critical=critical)
        names = self._names(kind, name=name, hosts=hosts if profile.named_hosts else ())
        return builder.add_extension(names, critical=False).sign(self._key, hashes.SHA256())

    def _subject(
        self, profile: Profile, *, kind: Kind, name: str, title: str
    ) -> list[x509.NameAttribute[str]]:
        attributes = [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.space),
        ]
        if kind is Kind.PARTICIPANT and title:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, title))
        if profile.role:
            attributes.append(x509.NameAttribute(NameOID.UNSTRUCTURED_NAME, profile.role))
        return attributes

    def _extensions(self, profile: Profile, key: KeyHalf) -> list[tuple[x509.ExtensionType, bool]]:
        issuer = self._key.public_key()
        return [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(enciphers=profile.enciphers), True),
            (x509.ExtendedKeyUsage(profile.uses), False),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), False),
        ]

    def _names(self, kind: Kind, *, name: str, hosts: Sequence[str]) -> x509.SubjectAlternativeName:
        if kind is Kind.PARTICIPANT:
            did = participant_id(self.space, name)
            return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(did)])
        if kind is Kind.SUBMITTER:
            return x509.SubjectAlternativeName([x509.RFC822Name(name)])
        return x509.SubjectAlternativeName([_host_name(host) for host in hosts or (name,)])


def describe_certificate(certificate: x509.Certificate) -> dict[str, Json]:
    """Give what evidence keeps of a certificate: serial number, key digest, end."""
    return {
        "serial": f"{certificate.serial_number:x}",
        "key": key_digest(certificate_key(certificate)),
        "expires": write_time(certificate.not_valid_after_utc),
    }


def submitter_name(space: str) -> str:
    """Return the e-mail-shaped name that the engine wants of who submits jobs."""
    return f"submitter@{space}"


def engine_server_name(space: str) -> str:
    """Return the name that the engine's server proves to sites; no member can bear it."""
    return f"engine.{space}"


def _place(location: str) -> list[x509.NameAttribute[str]]:
    country, _, region = location.partition("-")
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, country)]
    if region:
        attributes.append(x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, location))
    return attributes


def _self_sign(
    key: ec.EllipticCurvePrivateKey, *, space: str, start: datetime, life: timedelta
) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"{space} root"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, space),
        ]
    )
    use = _key_usage(signs_certificates=True)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - SKEW)
        .not_valid_after(start + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(use, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage(*, enciphers: bool = False, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=enciphers,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _check_key(key: KeyHalf, profile: Profile, *, name: str) -> None:
    fits = isinstance(key, profile.key)
    if isinstance(key, rsa.RSAPublicKey):
        fits = fits and 2048 <= key.key_size <= 4096 and key.public_numbers().e == 65537
    if isinstance(key, ec.EllipticCurvePublicKey):
        fits = fits and isinstance(key.curve, ec.SECP256R1)
    if not fits:
        raise InputError("link.request_key", name=name)
