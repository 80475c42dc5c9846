"""Ed25519 keys: who a participant is when a message, statement or checkpoint is signed.

A key is made where it is used and never travels. The file is PKCS 8 in PEM,
readable by its owner alone; a key file that others can read is refused.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError, StateError
from consilium.ledger.files import write_new

_KEY_BYTES = 32
_OTHERS = 0o077


class PublicKey:
    """The half that everybody may know; it checks signatures.

    Parameters
    ----------
    raw : bytes
        The 32 bytes of the Ed25519 public key (RFC 8032).

    Raises
    ------
    InputError
        `ledger.bad_public_key`.
    """

    __slots__ = ("_key", "raw")

    def __init__(self, raw: bytes) -> None:
        try:
            self._key = Ed25519PublicKey.from_public_bytes(raw)
        except ValueError as error:
            raise InputError("ledger.bad_public_key") from error
        self.raw = bytes(raw)

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        """Read a key from the form that `text` gives.

        Raises
        ------
        InputError
            `ledger.bad_public_key`.
        """
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise InputError("ledger.bad_public_key") from error
        key = cls(raw)
        if key.text != text:
            raise InputError("ledger.bad_public_key")
        return key

    @property
    def text(self) -> str:
        """Give the 32 bytes as base64url without padding, 43 characters."""
        return base64.urlsafe_b64encode(self.raw).decode("ascii").rstrip("=")

    @property
    def fingerprint(self) -> Digest:
        """Give the SHA-256 of the 32 bytes, as `sha256:<hex>`."""
        return digest_of(self.raw)

    @property
    def ed25519(self) -> Ed25519PublicKey:
        """Give the library's object, for certificates."""
        return self._key

    def verify(self, data: bytes, signature: bytes) -> None:
        """Return if `signature` is this key's over `data`.

        Raises
        ------
        IntegrityError
            `ledger.bad_signature`.
        """
        try:
            self._key.verify(signature, data)
        except InvalidSignature as error:
            raise IntegrityError("ledger.bad_signature", key=self.fingerprint) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"PublicKey({self.text!r})"


class SigningKey:
    """The half that stays in one place; it signs.

    Parameters
    ----------
    private : Ed25519PrivateKey
        From `generate`, `create` or `load`.
    """

    __slots__ = ("_private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a key that lives in memory only."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def create(cls, path: Path) -> SigningKey:
        """Make a key and write it to a new file that only its owner can read.

        Raises
        ------
        StateError
            `ledger.key_exists` if the file is there already: a key is never
            overwritten; `ledger.disk_full`, `ledger.cannot_write`.
        """
        key = cls.generate()
        pem = key.ed25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            write_new(path, pem, mode=0o600)
        except FileExistsError as error:
            raise StateError("ledger.key_exists", path=str(path)) from error
        return key

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a key file made by `create`.

        Raises
        ------
        NotFoundError
            `ledger.no_key`.
        InputError
            `ledger.key_exposed` if others can read the file;
            `ledger.bad_key` if it holds no Ed25519 key.
        """
        try:
            with path.open("rb") as stream:
                exposed = os.fstat(stream.fileno()).st_mode & _OTHERS
                pem = stream.read(1 << 16)
        except OSError as error:
            raise NotFoundError("ledger.no_key", path=str(path)) from error
        if exposed:
            raise InputError("ledger.key_exposed", path=str(path))
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InputError("ledger.bad_key", path=str(path)) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise InputError("ledger.bad_key", path=str(path))
        return cls(private)

    @property
    def ed25519(self) -> Ed25519PrivateKey:
        """Give the library's object, for certificate requests."""
        return self._private

    def sign(self, data: bytes) -> bytes:
        """Sign bytes: 64 bytes, the same for the same key and data (RFC 8032)."""
        return self._private.sign(data)

    def derive(self, purpose: str) -> bytes:
        """Give 32 secret bytes for one purpose, always the same (HKDF-SHA256, RFC 5869)."""
        info = f"consilium {purpose}".encode()
        kdf = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info)
        return kdf.derive(self._private.private_bytes_raw())

    def __repr__(self) -> str:
        return f"SigningKey({self.public.fingerprint!r})"
