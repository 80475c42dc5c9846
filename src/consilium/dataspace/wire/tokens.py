"""Short tokens that sign a request, and the answer to it, end to end.

Messages pass through the hub's relay. The relay can delay them, but each
request names its method, path and body digest under the sender's key, and each
answer names the request it answers, so neither can be altered, swapped or
invented on the way. The claims are those of a self-issued ID token (`iss`,
`sub`, `aud`, `jti`, `iat`, `exp`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from consilium.dataspace.wire.replays import ReplayGuard
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import Clock
from consilium.kernel.errors import (
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
    PeerError,
)
from consilium.kernel.identifiers import ParticipantId, new_urn
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement

LIFETIME_S = 120
MAX_LIFETIME_S = 300
SKEW_S = 60
"""How far two hospitals' clocks may be apart."""

REQUEST = "request"
ANSWER = "answer"
_NOT_THERE = frozenset({502, 503, 504})
"""What a relay or proxy answers in the place of somebody who is away."""


class TokenError(DeniedError):
    """The caller did not prove who it is."""

    http_status: ClassVar[int] = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request, as proven by its token."""

    participant: ParticipantId
    key: PublicKey
    token: str


def make_token(
    key: SigningKey,
    *,
    issuer: ParticipantId,
    audience: ParticipantId,
    method: str,
    path: str,
    body: bytes,
    clock: Clock,
) -> str:
    """Sign one request to one participant.

    Discloses
    ---------
    The sender's identifier, the receiver's, the path and the body's digest.
    """
    now = int(clock.now().timestamp())
    return sign_statement(
        key,
        REQUEST,
        {
            "iss": issuer,
            "sub": issuer,
            "aud": audience,
            "jti": new_urn(),
            "iat": now,
            "exp": now + LIFETIME_S,
            "method": method.upper(),
            "path": path,
            "body": digest_of(body),
        },
    )


def check_token(
    text: str,
    *,
    key_of: Callable[[ParticipantId], PublicKey],
    audience: ParticipantId,
    method: str,
    path: str,
    body: bytes,
    clock: Clock,
    seen: ReplayGuard,
) -> ParticipantId:
    """Return who signed this request, for this receiver, now and for the first time.

    Raises
    ------
    TokenError
        `dataspace.bad_token`; its rule says what did not hold.

    Discloses
    ---------
    Nothing.
    """
    return authenticate(
        text,
        key_of=key_of,
        audience=audience,
        asked=(method, path, body),
        clock=clock,
        seen=seen,
    ).participant


def authenticate(
    text: str,
    *,
    key_of: Callable[[ParticipantId], PublicKey],
    audience: ParticipantId,
    asked: tuple[str, str, bytes],
    clock: Clock,
    seen: ReplayGuard,
) -> Caller:
    """Check a token as `check_token` does, and keep what proves the request.

    Parameters
    ----------
    asked : tuple of (str, str, bytes)
        Method, path and body as they arrived.

    Raises
    ------
    TokenError
        `dataspace.bad_token`.

    Discloses
    ---------
    Nothing.
    """
    issuer, key, claims = _open(text, key_of)
    method, path, body = asked
    _check_claims(claims, audience=audience, wanted=(method.upper(), path, digest_of(body)))
    _check_times(claims, clock=clock, seen=seen)
    return Caller(participant=issuer, key=key, token=text)


def _open(
    text: str, key_of: Callable[[ParticipantId], PublicKey]
) -> tuple[ParticipantId, PublicKey, dict[str, Any]]:
    try:
        issuer = peek_statement(text).get("iss")
        if not isinstance(issuer, str):
            raise TokenError("dataspace.bad_token", rule="token-shape")
        key = key_of(ParticipantId(issuer))
        return ParticipantId(issuer), key, verify_statement(text, REQUEST, key)
    except InputError as error:
        raise TokenError("dataspace.bad_token", rule="token-shape") from error
    except NotFoundError as error:
        raise TokenError("dataspace.bad_token", rule="token-issuer") from error
    except IntegrityError as error:
        raise TokenError("dataspace.bad_token", rule="token-signature") from error


def make_answer(
    key: SigningKey, *, issuer: ParticipantId, request: str, status: int, body: bytes
) -> str:
    """Sign the answer to one request, named by its token.

    Discloses
    ---------
    The answerer's identifier, the status and the body's digest.
    """
    return sign_statement(key, ANSWER, _answer_facts(issuer, request, status=status, body=body))


def check_answer(
    text: str, *, key: PublicKey, issuer: ParticipantId, request: str, status: int, body: bytes
) -> None:
    """Check that the participant itself answered this very request.

    Raises
    ------
    PeerError
        `dataspace.no_answer` (retryable) if somebody in between says that the
        participant is not there, `dataspace.unsigned_answer` (retryable) if they
        say anything else.
    IntegrityError
        `dataspace.forged_answer` if the answer is signed, but not as it arrived.

    Discloses
    ---------
    Nothing.
    """
    if not text:
        if status in _NOT_THERE:
            raise PeerError("dataspace.no_answer", peer=issuer, status=status)
        raise PeerError("dataspace.unsigned_answer", peer=issuer, status=status)
    try:
        claims = verify_statement(text, ANSWER, key)
    except (InputError, IntegrityError) as error:
        raise IntegrityError("dataspace.forged_answer", peer=issuer) from error
    if claims != _answer_facts(issuer, request, status=status, body=body):
        raise IntegrityError("dataspace.forged_answer", peer=issuer)


def _answer_facts(
    issuer: ParticipantId, request: str, *, status: int, body: bytes
) -> dict[str, str | int]:
    return {
        "iss": issuer,
        "request": digest_of(request.encode()),
        "status": status,
        "body": digest_of(body),
    }


def _check_claims(
    claims: dict[str, Any], *, audience: ParticipantId, wanted: tuple[str, str, str]
) -> None:
    rules = {
        "token-subject": claims.get("sub") == claims.get("iss"),
        "token-audience": claims.get("aud") == audience,
        "token-request": (claims.get("method"), claims.get("path"), claims.get("body")) == wanted,
    }
    for rule, holds in rules.items():
        if not holds:
            raise TokenError("dataspace.bad_token", rule=rule)


def _check_times(claims: dict[str, Any], *, clock: Clock, seen: ReplayGuard) -> None:
    issued, expires, token_id = claims.get("iat"), claims.get("exp"), claims.get("jti")
    if not (isinstance(issued, int) and isinstance(expires, int) and isinstance(token_id, str)):
        raise TokenError("dataspace.bad_token", rule="token-shape")
    now = int(clock.now().timestamp())
    alive = issued - SKEW_S <= now <= expires + SKEW_S
    if not alive or expires - issued > MAX_LIFETIME_S:
        raise TokenError("dataspace.bad_token", rule="token-time")
    if not seen.claim(str(claims["iss"]), token_id, expires=expires + SKEW_S, now=now):
        raise TokenError("dataspace.bad_token", rule="token-replayed")
