"""Masks and sealed boxes: everything secret of a secure sum is derived here.

Two sites agree on a pairwise seed by X25519; HKDF binds it to the plan (study,
segment, attempt, round, model, roster) and to the pair; AES-256 in counter mode
makes as much mask of it as the update is long. One adds it, the other
subtracts it. A self mask comes from a seed of the site's own.
"""

from __future__ import annotations

import hashlib

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consilium.federation.secure.encoding import Ring
from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.errors import IntegrityError
from consilium.kernel.identifiers import ParticipantId

_CHUNK = 1 << 20
"""Bytes of mask made at once; a site needs no second vector of the update's size."""
_ZEROS = bytes(_CHUNK)
_NONCE = bytes(12)
"""Each sealing key is used for one box, so the nonce may be constant."""


def commit_seed(seed: bytes, *, plan: Digest, site: ParticipantId) -> Digest:
    """Fingerprint a self seed of 32 bytes, so that a recovered one can be checked.

    Discloses
    ---------
    Nothing of a seed that is random.
    """
    return digest_of(_label("commitment", plan, site) + seed)


def pair_seed(
    own: X25519PrivateKey, peer: bytes, *, plan: Digest, pair: tuple[ParticipantId, ParticipantId]
) -> bytes:
    """Derive the 32-byte seed that two sites share in one round.

    Parameters
    ----------
    own : X25519PrivateKey
        One site's masking key of this round.
    peer : bytes
        The other's public key, 32 bytes.
    plan : Digest
        Of the sum.
    pair : pair of participants
        In any order.

    Raises
    ------
    IntegrityError
        `secure.bad_key` for a public key of low order.

    Discloses
    ---------
    The pair's mask, to whoever holds one of the two private keys.

    Sources
    -------
    RFC 7748 (X25519), RFC 5869 (HKDF-SHA-256).
    """
    return _derive(_exchange(own, peer), _label("pair", plan, *sorted(pair)))


def self_seed(seed: bytes, *, plan: Digest, site: ParticipantId) -> bytes:
    """Derive the key of a self mask from the shared seed.

    Discloses
    ---------
    The site's self mask, to whoever holds its seed.
    """
    return _derive(seed, _label("self", plan, site))


def add_mask(vector: Ring, seed: bytes, *, negative: bool = False) -> None:
    """Add a seed's mask to a vector in place, or subtract it, modulo the ring.

    Parameters
    ----------
    vector : array of shape (n,), uint32 or uint64, little-endian
        Changed in place.
    seed : bytes
        32; never used for another vector.
    negative : bool
        Subtract.

    Discloses
    ---------
    Nothing: without the seed the vector looks uniform (AES-256 in counter mode).

    Sources
    -------
    NIST SP 800-38A, section 6.5.
    """
    cipher = Cipher(AES256(seed), CTR(bytes(16))).encryptor()
    step = _CHUNK // vector.itemsize
    for start in range(0, vector.size, step):
        part = vector[start : start + step]
        stream = cipher.update(memoryview(_ZEROS)[: part.nbytes])
        mask = np.frombuffer(stream, dtype=vector.dtype)
        (np.subtract if negative else np.add)(part, mask, out=part)


def seal_box(
    text: bytes,
    *,
    own: X25519PrivateKey,
    peer: bytes,
    plan: Digest,
    way: tuple[ParticipantId, ParticipantId],
) -> bytes:
    """Encrypt shares from one site to another: 16 bytes longer than the text.

    Both keys stand in signed announcements, so that an opened box also proves
    who sealed it. `way` is sender, receiver.

    Raises
    ------
    IntegrityError
        `secure.bad_key`.

    Discloses
    ---------
    To the receiver, the text; to the hub, its length.

    Sources
    -------
    RFC 8439 (ChaCha20-Poly1305).
    """
    label = _label("box", plan, *way)
    return ChaCha20Poly1305(_derive(_exchange(own, peer), label)).encrypt(_NONCE, text, label)


def open_box(
    box: bytes,
    *,
    own: X25519PrivateKey,
    peer: bytes,
    plan: Digest,
    way: tuple[ParticipantId, ParticipantId],
) -> bytes:
    """Decrypt a box sealed for us; `way` is sender, receiver.

    Raises
    ------
    IntegrityError
        `secure.bad_box`, `secure.bad_key`.

    Discloses
    ---------
    Nothing beyond this site.
    """
    label = _label("box", plan, *way)
    try:
        return ChaCha20Poly1305(_derive(_exchange(own, peer), label)).decrypt(_NONCE, box, label)
    except InvalidTag as error:
        raise IntegrityError("secure.bad_box", site=way[0]) from error


def _exchange(own: X25519PrivateKey, peer: bytes) -> bytes:
    try:
        return own.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError as error:
        raise IntegrityError("secure.bad_key") from error


def _derive(secret: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label).derive(secret)


def _label(use: str, plan: Digest, *sites: ParticipantId) -> bytes:
    # Digests of fixed length: no two lists of names give the same bytes.
    parts = ("consilium-secure-sum-1", use, plan, *sites)
    return b"".join(hashlib.sha256(part.encode()).digest() for part in parts)
