"""Cosignatures: what a witness says about another's checkpoint (C2SP cosignature/v1).

A cosignature says that at this time, by the witness's clock, this checkpoint
was the largest that it had seen of the log, and that it was consistent with
the one before. It is a line below the checkpoint, beside the owner's own::

    — did:web:example:hub <key hash, time and signature, base64>
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.notes import find_signature, note_body, signature_line

_COSIGNATURE = b"\x04"
_TIME = struct.Struct(">Q")
_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """One witness's word on one checkpoint, checked.

    Parameters
    ----------
    witness : str
        The witness's identifier.
    key : PublicKey
        What it was checked with.
    moment : datetime
        When, by the witness's clock.
    """

    witness: str
    key: PublicKey
    moment: datetime


def cosign(key: SigningKey, witness: str, checkpoint: str, *, moment: datetime) -> str:
    """Sign a checkpoint as its witness; the caller has checked it.

    Returns
    -------
    str
        The line to put below the checkpoint, newline included.
    """
    seconds = int(moment.timestamp())
    signed = key.sign(_message(checkpoint, seconds))
    return signature_line(witness, _COSIGNATURE, key.public, _TIME.pack(seconds) + signed)


def verify_cosignature(text: str, witness: str, key: PublicKey) -> Cosignature:
    """Return what a witness says, by a checkpoint with its line below.

    Raises
    ------
    InputError
        `ledger.not_a_checkpoint`.
    IntegrityError
        `ledger.bad_signature`.
    """
    blob = find_signature(text, witness, kind=_COSIGNATURE, key=key)
    if blob is None or len(blob) != _TIME.size + _SIGNATURE_BYTES:
        raise IntegrityError("ledger.bad_signature", key=key.fingerprint)
    seconds = int(_TIME.unpack_from(blob)[0])
    key.verify(_message(text, seconds), blob[_TIME.size :])
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError("ledger.not_a_checkpoint") from error
    return Cosignature(witness=witness, key=key, moment=moment)


def _message(checkpoint: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{note_body(checkpoint)}".encode()
