"""Signed statements: one form for everything that a participant signs.

A statement is a compact JWS (RFC 7515) whose header and payload are canonical
JSON, so that one meaning has one text. The header is not read but rebuilt from
what the caller expects and compared: no algorithm is ever taken from a
message.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from consilium.kernel.canonical import Json, canonical_bytes, read_json
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError
from consilium.ledger.keys import PublicKey, SigningKey


def sign_statement(key: SigningKey, kind: str, facts: Mapping[str, Json]) -> str:
    """Sign facts as a statement of one kind.

    Parameters
    ----------
    key : SigningKey
        Who says it.
    kind : str
        What it is, for instance `study`; part of what is signed, so that a
        statement of one kind cannot be shown as another.
    facts : mapping
        Anything that canonical JSON can hold.

    Returns
    -------
    str
        ASCII; the same for the same key, kind and facts.

    Raises
    ------
    InputError
        `kernel.not_canonical`.
    """
    signed = f"{_header(kind, key.public)}.{_encode(canonical_bytes(facts))}"
    return f"{signed}.{_encode(key.sign(signed.encode('ascii')))}"


def verify_statement(text: str, kind: str, key: PublicKey) -> dict[str, Any]:
    """Return the facts of a statement of this kind, signed by this key.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature` if anything about it is not as `sign_statement`
        would have written it.
    """
    try:
        signed, _, signature = text.rpartition(".")
        key.verify(signed.encode("ascii"), _decode(signature))
        facts = peek_statement(text)
        if text != f"{_header(kind, key)}.{_encode(canonical_bytes(facts))}.{signature}":
            raise InputError("ledger.not_a_statement")
    except (ConsiliumError, ValueError) as error:
        raise IntegrityError("ledger.bad_signature", key=key.fingerprint) from error
    return facts


def peek_statement(text: str) -> dict[str, Any]:
    """Return the facts of a statement without checking who signed it.

    For finding out whose key to check with; never for acting on.

    Raises
    ------
    InputError
        `ledger.not_a_statement`.
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise InputError("ledger.not_a_statement")
    try:
        facts = read_json(_decode(parts[1]))
    except (ConsiliumError, ValueError) as error:
        raise InputError("ledger.not_a_statement") from error
    if not isinstance(facts, dict):
        raise InputError("ledger.not_a_statement")
    return facts


def _header(kind: str, key: PublicKey) -> str:
    return _encode(
        canonical_bytes({"alg": "EdDSA", "kid": key.fingerprint, "typ": f"consilium-{kind}"})
    )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decode(text: str) -> bytes:
    """Decode unpadded base64url; ValueError unless it is what `_encode` writes."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if _encode(data) != text:
        raise ValueError("not the only form")
    return data
