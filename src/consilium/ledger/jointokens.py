"""Join tokens: what a hospital is handed so that it can enter a space.

A token names the space, the member, the hub's address and the fingerprint of
the root key, so that the node knows whom it talks to before it trusts anybody.
Its secret is the seed of an Ed25519 key which only signs the join request. The
hub, which passes that request on to the signer, never sees the secret and
cannot put keys of its own into the request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consilium.kernel.canonical import Digest, canonical_bytes, read_json
from consilium.kernel.clock import Clock, read_time
from consilium.kernel.errors import ConsiliumError, DeniedError, InputError
from consilium.kernel.identifiers import ParticipantId, is_location, participant_id
from consilium.ledger.keys import SigningKey

VERSION = 1
JOIN = "join"
"""Kind of the statement by which a token is redeemed."""
RENEWAL = "renewal"
"""Kind of the statement by which a member asks for fresh certificates."""
HUB = "hub"
"""The member name under which the hub itself speaks."""
TITLE_LENGTH = 64

_GREATEST = 4096
_SECRET_BYTES = 32
_SUM_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """One invitation into a space, for one member, once."""

    v: int
    space: str
    member: str
    title: str
    hub: str
    fingerprint: Digest
    secret: str
    expires: str
    location: str = ""

    @property
    def key(self) -> SigningKey:
        """Give the key that signs the join request."""
        return SigningKey(Ed25519PrivateKey.from_private_bytes(_decode(self.secret)))

    @property
    def participant(self) -> ParticipantId:
        """Name the participant that the token admits."""
        return participant_id(self.space, self.member)

    def as_text(self) -> str:
        """Write the token as one word of base64url over canonical JSON."""
        facts = {key: value for key, value in asdict(self).items() if value != ""}
        return _encode(canonical_bytes({**facts, "sum": _checksum(facts)}))

    def check_time(self, clock: Clock) -> None:
        """Return while the token is valid.

        Raises
        ------
        DeniedError
            `link.token_expired`.
        """
        if clock.now() > read_time(self.expires):
            raise DeniedError("link.token_expired", member=self.member, expires=self.expires)


def new_secret() -> str:
    """Make the secret of a token: 32 random bytes, base64url."""
    return _encode(secrets.token_bytes(_SECRET_BYTES))


def read_token(text: str) -> JoinToken:
    """Read a token as it was pasted; line breaks and blanks within do no harm.

    Raises
    ------
    InputError
        `link.token_damaged` if it is cut, mistyped or no token;
        `link.token_version` if it is of a later kind.
    """
    word = "".join(text.split())
    if len(word) > _GREATEST:
        raise InputError("link.token_damaged")
    try:
        facts = read_json(_decode(word))
    except (ConsiliumError, ValueError) as error:
        raise InputError("link.token_damaged") from error
    if not isinstance(facts, dict):
        raise InputError("link.token_damaged")
    if facts.get("v") != VERSION:
        raise InputError("link.token_version")
    said = facts.pop("sum", None)
    try:
        if said != _checksum(facts):
            raise ValueError("the checksum differs")
        token = JoinToken(**facts)
        _check_fields(token)
    except (ConsiliumError, ValueError, TypeError, AttributeError) as error:
        raise InputError("link.token_damaged") from error
    return token


def check_title(title: str) -> str:
    """Return a display name without outer blanks, if a certificate can carry it.

    Raises
    ------
    InputError
        `link.bad_title`.
    """
    tidy = title.strip()
    if not tidy or len(tidy) > TITLE_LENGTH or not tidy.isprintable():
        raise InputError("link.bad_title", limit=TITLE_LENGTH)
    return tidy


def check_location(location: object) -> str:
    """Return a member's country or region (ISO 3166, `CN` or `CN-BJ`), or "" for none.

    Raises
    ------
    InputError
        `link.bad_location`.
    """
    if not isinstance(location, str) or (location and not is_location(location)):
        raise InputError("link.bad_location")
    return location


def check_hub_address(address: str) -> str:
    """Return a hub's address without a closing stroke, if it is `https://host[:port]`.

    Raises
    ------
    InputError
        `link.bad_address`.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise InputError("link.bad_address", address=address) from error
    named = parts.scheme == "https" and parts.hostname and parts.username is None
    if not named or parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
        raise InputError("link.bad_address", address=address)
    return address.rstrip("/")


def _check_fields(token: JoinToken) -> None:
    if any(not isinstance(value, str) for key, value in asdict(token).items() if key != "v"):
        raise ValueError("not text")
    participant_id(token.space, token.member)
    check_hub_address(token.hub)
    read_time(token.expires)
    check_location(token.location)
    if len(_decode(token.secret)) != _SECRET_BYTES or check_title(token.title) != token.title:
        raise ValueError("wrong length")


def _checksum(facts: dict[str, object]) -> str:
    return hashlib.sha256(canonical_bytes(facts)).hexdigest()[:_SUM_DIGITS]  # type: ignore[arg-type]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
