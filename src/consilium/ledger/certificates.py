"""Certificates: requests for them, reading them, and checking them against one root.

A space has one root certificate, and everything else is issued by it directly:
a chain has two links and no more. A node takes part with two keys, an Ed25519
key that signs what the hospital says and an RSA key that the engine wants
(reference: NVIDIA FLARE signs with RSA-PSS). Both stay where they were made;
only requests travel.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.clock import write_time
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
)
from consilium.kernel.identifiers import ParticipantId, participant_id
from consilium.ledger.files import write_new
from consilium.ledger.keys import PublicKey

PARTICIPANT_USE = x509.ObjectIdentifier("2.25.139094660080833845031614263029464691793")
"""Extended key usage of participants: signs messages of the space, opens no TLS."""
CLIENT_USE = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_USE = ExtendedKeyUsageOID.SERVER_AUTH

RSA_BITS = 2048
_OTHERS = 0o077
_GREATEST = 1 << 16

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey
KeyHalf = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a participant's certificate says, once it has been checked by the root.

    `location` is a country or a region of one (ISO 3166, `CN` or `CN-BJ`); empty
    if the certificate names none.
    """

    participant: ParticipantId
    name: str
    title: str
    key: PublicKey
    not_after: datetime
    location: str = ""


# --- private keys ---------------------------------------------------------------------


def create_rsa_key(path: Path) -> rsa.RSAPrivateKey:
    """Make an RSA-2048 key in a new file that only its owner can read.

    Raises
    ------
    StateError
        `ledger.key_exists`: a key is never overwritten.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    _keep(key, path)
    return key


def create_ec_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Make an EC P-256 key in a new file that only its owner can read.

    Raises
    ------
    StateError
        `ledger.key_exists`: a key is never overwritten.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    _keep(key, path)
    return key


def load_private_key(path: Path) -> PrivateKey:
    """Read a key file made here or by `SigningKey.create`.

    Raises
    ------
    NotFoundError
        `ledger.no_key`.
    InputError
        `ledger.key_exposed` if others can read it; `link.bad_key_file` if it
        holds no key of the three kinds in use.
    """
    try:
        with path.open("rb") as stream:
            exposed = os.fstat(stream.fileno()).st_mode & _OTHERS
            pem = stream.read(_GREATEST)
    except OSError as error:
        raise NotFoundError("ledger.no_key", path=str(path)) from error
    if exposed:
        raise InputError("ledger.key_exposed", path=str(path))
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError("link.bad_key_file", path=str(path)) from error
    if not isinstance(key, PrivateKey):
        raise InputError("link.bad_key_file", path=str(path))
    return key


def _keep(key: PrivateKey, path: Path) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        write_new(path, pem, mode=0o600)
    except FileExistsError as error:
        raise StateError("ledger.key_exists", path=str(path)) from error


# --- requests -------------------------------------------------------------------------


def request_certificate(key: PrivateKey, *, name: str) -> str:
    """Write a certificate request (PKCS 10, PEM) for a key and a name.

    The request proves that its sender holds the key. For RSA and Ed25519 the
    same key and name always give the same text, so a request can be repeated.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    algorithm = None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode("ascii")


def read_request(pem: str, *, name: str) -> KeyHalf:
    """Return the key of a request that proves it and bears this name.

    Only key and name are looked at: whatever else a request asks for (other
    names, rights, lifetimes) has no effect.

    Raises
    ------
    InputError
        `link.bad_request` if it cannot be read or does not prove its key.
    DeniedError
        `link.request_name` if it bears another name.
    """
    if len(pem) > _GREATEST:
        raise InputError("link.bad_request", name=name)
    try:
        request = x509.load_pem_x509_csr(pem.encode("ascii"))
        proven = request.is_signature_valid
        key = request.public_key()
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError("link.bad_request", name=name) from error
    if not proven or not isinstance(key, KeyHalf):
        raise InputError("link.bad_request", name=name)
    if [attribute.value for attribute in names] != [name]:
        raise DeniedError("link.request_name", name=name)
    return key


# --- certificates ---------------------------------------------------------------------


def read_certificate(pem: str | bytes) -> x509.Certificate:
    """Read one certificate in PEM. Nothing about it is checked yet.

    Raises
    ------
    InputError
        `link.bad_certificate`.
    """
    data = pem.encode("utf-8") if isinstance(pem, str) else pem
    try:
        if len(data) > _GREATEST:
            raise ValueError("too long")
        return x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise InputError("link.bad_certificate") from error


def load_certificate(path: Path) -> x509.Certificate:
    """Read a certificate file.

    Raises
    ------
    NotFoundError
        `link.no_certificate`.
    InputError
        `link.bad_certificate`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFoundError("link.no_certificate", path=str(path)) from error
    return read_certificate(data)


def write_certificate(certificate: x509.Certificate) -> str:
    """Write a certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def key_digest(key: KeyHalf) -> Digest:
    """Fingerprint a public key: SHA-256 over its SubjectPublicKeyInfo (RFC 5280)."""
    return digest_of(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def certificate_key(certificate: x509.Certificate) -> KeyHalf:
    """Return a certificate's key, if it is of a kind in use.

    Raises
    ------
    InputError
        `link.bad_certificate`.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError("link.bad_certificate") from error
    if not isinstance(key, KeyHalf):
        raise InputError("link.bad_certificate")
    return key


def root_fingerprint(root: x509.Certificate) -> Digest:
    """Fingerprint the key of a root certificate, as join tokens carry it."""
    return key_digest(certificate_key(root))


def common_name(certificate: x509.Certificate) -> str:
    """Return the one name that a certificate is for; empty if it has none or several."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def verify_root(root: x509.Certificate) -> None:
    """Return if a certificate is a root: an authority for one level, signed by itself.

    Raises
    ------
    IntegrityError
        `link.bad_root`.
    """
    try:
        root.verify_directly_issued_by(root)
        limits = root.extensions.get_extension_for_class(x509.BasicConstraints).value
        use = root.extensions.get_extension_for_class(x509.KeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise IntegrityError("link.bad_root") from error
    if not limits.ca or limits.path_length != 0 or not use.key_cert_sign:
        raise IntegrityError("link.bad_root")


def verify_certificate(
    certificate: x509.Certificate,
    root: x509.Certificate,
    *,
    use: x509.ObjectIdentifier,
    now: datetime,
) -> None:
    """Return if the root issued this certificate for this use and it is valid now.

    Parameters
    ----------
    certificate, root : x509.Certificate
        The leaf, and the space's root, trusted already.
    use : ObjectIdentifier
        One of `PARTICIPANT_USE`, `CLIENT_USE`, `SERVER_USE`.
    now : datetime
        Aware.

    Raises
    ------
    IntegrityError
        `link.untrusted_certificate`.
    DeniedError
        `link.certificate_expired`, also when it is not valid yet.
    """
    name = common_name(certificate)
    # 1. Issued by the root itself; 2. a leaf; 3. for this use; 4. valid now.
    try:
        certificate.verify_directly_issued_by(root)
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise IntegrityError("link.untrusted_certificate", name=name) from error
    if limits.ca or use not in uses:
        raise IntegrityError("link.untrusted_certificate", name=name)
    for moment in (certificate, root):
        if not moment.not_valid_before_utc <= now <= moment.not_valid_after_utc:
            raise DeniedError(
                "link.certificate_expired",
                name=common_name(moment),
                start=write_time(moment.not_valid_before_utc),
                end=write_time(moment.not_valid_after_utc),
            )


def identify_participant(
    certificate: x509.Certificate, root: x509.Certificate, *, space: str, now: datetime
) -> Identity:
    """Return who a participant's certificate speaks for, checked by the root alone.

    Raises
    ------
    IntegrityError
        `link.untrusted_certificate`.
    DeniedError
        `link.certificate_expired`.
    """
    verify_certificate(certificate, root, use=PARTICIPANT_USE, now=now)
    name = common_name(certificate)
    key = certificate_key(certificate)
    try:
        participant = participant_id(space, name)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        said = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ConsiliumError, ValueError, x509.ExtensionNotFound) as error:
        raise IntegrityError("link.untrusted_certificate", name=name) from error
    if said != [participant] or not isinstance(key, Ed25519PublicKey):
        raise IntegrityError("link.untrusted_certificate", name=name)
    titles = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return Identity(
        participant=participant,
        name=name,
        title=str(titles[0].value) if titles else name,
        key=PublicKey(key.public_bytes_raw()),
        not_after=certificate.not_valid_after_utc,
        location=location_in(certificate),
    )


def location_in(certificate: x509.Certificate) -> str:
    """Return the region (ST) or else the country (C) that a subject names; empty for none."""
    for kind in (NameOID.STATE_OR_PROVINCE_NAME, NameOID.COUNTRY_NAME):
        said = certificate.subject.get_attributes_for_oid(kind)
        if said:
            return str(said[0].value)
    return ""


def renewal_due(certificate: x509.Certificate) -> datetime:
    """Return the moment when a third of a certificate's life is left."""
    end = certificate.not_valid_after_utc
    return end - (end - certificate.not_valid_before_utc) / 3


def earliest_renewal(certificates: Sequence[x509.Certificate]) -> datetime:
    """Return the first of the moments when one of these should be renewed."""
    return min(renewal_due(certificate) for certificate in certificates)
