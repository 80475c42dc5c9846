"""Checkpoints: the signed note that fixes a log's size and root.

The form is C2SP's (tlog-checkpoint over signed-note, Ed25519), so any witness
that knows it can hold, compare and cosign ours::

    did:web:example:tiantan
    42
    <root, base64>

    — did:web:example:tiantan <key hash and signature, base64>

A log that is not hashed with SHA-256 says so in an extension line after the
root, so that the name is signed too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.algorithms import (
    ED25519,
    HASH_BYTES,
    SHA256,
    TreeHash,
    check_signature,
    get_hash,
)
from consilium.ledger.keys import PublicKey, SigningKey

_ED25519 = b"\x01"
_KEY_HASH_BYTES = 4
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_ORIGIN = re.compile(r"[^\s+]{1,200}")
_ALGORITHMS = re.compile(r"consilium hash=([a-z0-9]{1,20}) signature=([a-z0-9]{1,20})")
_LONGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log's owner signed: so many entries, with this root.

    Parameters
    ----------
    origin : str
        Which log; for us the participant's identifier.
    size : int
        Number of entries.
    root : bytes of length 32
        Merkle tree hash.
    text : str
        The whole signed note.
    tree : TreeHash
        What the log is hashed with.
    """

    origin: str
    size: int
    root: bytes
    text: str
    tree: TreeHash = SHA256


def check_origin(origin: str) -> str:
    """Return `origin` if it can name a log: no white space, no plus sign.

    Raises
    ------
    InputError
        `ledger.bad_origin`.
    """
    if not _ORIGIN.fullmatch(origin) or not origin.isprintable():
        raise InputError("ledger.bad_origin")
    return origin


def sign_checkpoint(
    key: SigningKey, origin: str, *, size: int, root: bytes, tree: TreeHash = SHA256
) -> Checkpoint:
    """Sign a tree's size and root as a note."""
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode('ascii')}\n"
    if tree != SHA256:
        body += f"consilium hash={tree.name} signature={ED25519}\n"
    line = signature_line(origin, _ED25519, key.public, key.sign(body.encode("utf-8")))
    return Checkpoint(origin, size, root, f"{body}\n{line}", tree)


def signature_line(name: str, kind: bytes, key: PublicKey, signature: bytes) -> str:
    """Write the line of a signed note that holds one signature."""
    blob = base64.b64encode(key_hash(name, kind, key) + signature).decode("ascii")
    return f"\u2014 {name} {blob}\n"


def read_checkpoint(text: str) -> Checkpoint:
    """Read a note without checking who signed it.

    Extension lines of others after the root, and signatures of witnesses, are
    allowed, as C2SP says.

    Raises
    ------
    InputError
        `ledger.not_a_checkpoint`; `ledger.unknown_algorithm` if it names a
        hash or signature that we do not know.
    """
    lines = note_body(text).split("\n")
    try:
        origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
        plain = base64.b64encode(root).decode("ascii") == lines[2]
    except (IndexError, ValueError, binascii.Error) as error:
        raise InputError("ledger.not_a_checkpoint") from error
    if not (plain and _ORIGIN.fullmatch(origin) and _SIZE.fullmatch(size)):
        raise InputError("ledger.not_a_checkpoint")
    if len(root) != HASH_BYTES:
        raise InputError("ledger.not_a_checkpoint")
    return Checkpoint(origin, int(size), root, text, _read_algorithms(lines[3:]))


def verify_checkpoint(text: str, key: PublicKey) -> Checkpoint:
    """Read a note that this key has signed under the log's own name.

    Raises
    ------
    InputError
        `ledger.not_a_checkpoint`.
    IntegrityError
        `ledger.bad_signature`.
    """
    checkpoint = read_checkpoint(text)
    verify_note(text, checkpoint.origin, key)
    return checkpoint


def verify_note(text: str, name: str, key: PublicKey) -> str:
    """Return the text of a signed note that this key has signed under this name.

    Signatures of others are passed over, as C2SP signed-note says.

    Raises
    ------
    InputError
        `ledger.not_a_checkpoint`.
    IntegrityError
        `ledger.bad_signature`.
    """
    body = note_body(text)
    signature = find_signature(text, name, kind=_ED25519, key=key)
    if signature is None:
        raise IntegrityError("ledger.bad_signature", key=key.fingerprint)
    key.verify(body.encode("utf-8"), signature)
    return body


def find_signature(text: str, name: str, *, kind: bytes, key: PublicKey) -> bytes | None:
    """Return what a note bears of one signer, unchecked; None if it bears nothing of it.

    `kind` is C2SP's byte for what is signed and how: 1 a note, 4 a cosignature.

    Raises
    ------
    InputError
        `ledger.not_a_checkpoint`.
    """
    wanted = key_hash(name, kind, key)
    for signer, blob in _signatures(text[len(note_body(text)) + 1 :]):
        if signer == name and blob[:_KEY_HASH_BYTES] == wanted:
            return blob[_KEY_HASH_BYTES:]
    return None


def list_signers(text: str) -> list[str]:
    """List the names under a note, unchecked."""
    return [name for name, _ in _signatures(text[len(note_body(text)) + 1 :])]


def _read_algorithms(extensions: list[str]) -> TreeHash:
    for line in extensions:
        if line.startswith("consilium "):
            found = _ALGORITHMS.fullmatch(line)
            if found is None:
                raise InputError("ledger.not_a_checkpoint")
            check_signature(found[2])
            return get_hash(found[1])
    return SHA256


def note_body(text: str) -> str:
    """Return what is signed: everything to the last empty line, newline included."""
    body, gap, _ = text.rpartition("\n\n")
    lone = any("\ud800" <= letter <= "\udfff" for letter in text[:_LONGEST])
    if lone or not gap or len(text) > _LONGEST or not text.endswith("\n"):
        raise InputError("ledger.not_a_checkpoint")
    return f"{body}\n"


def _signatures(lines: str) -> list[tuple[str, bytes]]:
    found = []
    for line in lines.removesuffix("\n").split("\n"):
        mark, _, rest = line.partition(" ")
        name, _, blob = rest.partition(" ")
        try:
            data = base64.b64decode(blob, validate=True)
        except (ValueError, binascii.Error) as error:
            raise InputError("ledger.not_a_checkpoint") from error
        found.append((name, data))
        if mark != "\u2014" or base64.b64encode(data).decode("ascii") != blob:
            raise InputError("ledger.not_a_checkpoint")
    return found


def key_hash(name: str, kind: bytes, key: PublicKey) -> bytes:
    """Return the four bytes by which a signature line names its key."""
    data = name.encode("utf-8") + b"\n" + kind + key.raw
    return hashlib.sha256(data).digest()[:_KEY_HASH_BYTES]
