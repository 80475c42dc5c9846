"""The signer's rules: who is admitted, renewed and revoked, and on what proof.

1. A new name is admitted by a token alone. A token is for one name, once, until
   it expires; the same request may be repeated, so that a crash costs nothing.
2. A join request is signed with the token's own key, a renewal with the member's
   present key. The hub passes both on and cannot alter either.
3. Only existing names that are not revoked are renewed.
4. Nothing here makes a server's or a submitter's certificate; those are in
   `consilium.hub.own`, out of the hub's reach.
5. Every act, and every refusal for a reason of trust, is an entry of the
   signer's own evidence log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update

from consilium.hub.authority import Authority, Kind, describe_certificate
from consilium.hub.settings import HubSettings
from consilium.hub.store import SIGNER_MEMBERS, SIGNER_TOKENS, Standing
from consilium.kernel.canonical import Json, canonical_bytes, digest_of
from consilium.kernel.clock import Clock, read_time, write_time
from consilium.kernel.errors import (
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
)
from consilium.kernel.identifiers import check_name, participant_id
from consilium.ledger.certificates import (
    certificate_key,
    read_certificate,
    read_request,
    write_certificate,
)
from consilium.ledger.database import Database, Transaction
from consilium.ledger.jointokens import (
    HUB,
    JOIN,
    RENEWAL,
    VERSION,
    JoinToken,
    check_location,
    check_title,
    new_secret,
)
from consilium.ledger.keys import PublicKey
from consilium.ledger.statements import peek_statement, verify_statement

RESERVED = frozenset({HUB, "admin", "client", "engine", "root", "server", "signer", "submitter"})
"""Names that no member can bear, because hub, signer or engine speak under them."""
RENEWAL_WINDOW = timedelta(minutes=15)
"""How far a renewal's time may be from the signer's clock."""
LONGEST_TOKEN_HOURS = 24.0 * 30
TELLING = frozenset(
    {
        "hub.token_used",
        "hub.token_other_member",
        "hub.name_taken",
        "hub.member_revoked",
        "hub.renewal_time",
        "hub.renewal_older",
        "ledger.bad_signature",
        "link.request_name",
        "link.token_expired",
    }
)
"""Refusals that are kept as evidence: somebody held something of ours, and misused it."""

Facts = Mapping[str, Any]


class Signer:
    """Admits, renews and revokes members.

    Parameters
    ----------
    authority : Authority
        The root key.
    database : Database
        The signer's own.
    settings : HubSettings
        Lifetimes, the hub's address and names.
    clock : Clock
        For expiry.
    """

    def __init__(
        self, authority: Authority, database: Database, *, settings: HubSettings, clock: Clock
    ) -> None:
        self._authority = authority
        self._database = database
        self._settings = settings
        self._clock = clock

    # --- verbs of the operator ------------------------------------------------------

    def mint(self, facts: Facts) -> dict[str, Json]:
        """Make a join token for a new member.

        Raises
        ------
        InputError
            `kernel.bad_name`, `hub.reserved_name`, `link.bad_title`, `hub.bad_hours`,
            `link.bad_location`.
        StateError
            `hub.name_taken`.
        """
        member, title = check_name(_text(facts, "member")), check_title(_text(facts, "title"))
        location = check_location(facts.get("location", ""))
        hours = self._settings.signer.token_hours if facts.get("hours") is None else facts["hours"]
        if member in RESERVED:
            raise InputError("hub.reserved_name", name=member)
        if not isinstance(hours, (int, float)) or not 0 < hours <= LONGEST_TOKEN_HOURS:
            raise InputError("hub.bad_hours", limit=int(LONGEST_TOKEN_HOURS))
        now = self._clock.now()
        token = JoinToken(
            v=VERSION,
            space=self._authority.space,
            member=member,
            title=title,
            hub=self._settings.address,
            fingerprint=self._authority.fingerprint,
            secret=new_secret(),
            expires=write_time(now + timedelta(hours=hours)),
            location=location,
        )
        row = {"member": member, "title": title, "minted": write_time(now), "location": location}
        row |= {"id": token.key.public.text, "expires": token.expires}
        with self._database.write() as tx:
            self._check_free(tx, member)
            tx.execute(insert(SIGNER_TOKENS), row)
            tx.record(
                "signer.minted",
                self._did(member),
                {"token": token.key.public.fingerprint, "expires": token.expires, **_by(facts)},
            )
        return {"token": token.as_text(), "member": member, "expires": token.expires}

    def list_tokens(self, facts: Facts) -> dict[str, Json]:  # noqa: ARG002  (a verb)
        """List tokens and what became of them."""
        now = self._clock.now()
        query = select(SIGNER_TOKENS).order_by(SIGNER_TOKENS.c.minted)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return {
            "tokens": [
                {
                    "token": PublicKey.from_text(row.id).fingerprint,
                    "member": row.member,
                    "title": row.title,
                    "minted": row.minted,
                    "expires": row.expires,
                    "state": _token_state(row, now),
                }
                for row in rows
            ]
        }

    def revoke(self, facts: Facts) -> dict[str, Json]:
        """End a member's right to certificates. What it holds dies within its lifetime.

        Raises
        ------
        NotFoundError
            `hub.no_member`.
        """
        member = _text(facts, "member")
        table = SIGNER_MEMBERS
        with self._database.write() as tx:
            changed = tx.execute(
                update(table).where(table.c.name == member).values(state=Standing.REVOKED.value)
            )
            if not changed.rowcount:
                raise NotFoundError("hub.no_member", member=member)
            reason = _text(facts, "reason")[:200]
            tx.record("signer.revoked", self._did(member), {"reason": reason, **_by(facts)})
        return {}

    # --- verbs of the hub -----------------------------------------------------------

    def list_standing(self, facts: Facts) -> dict[str, Json]:  # noqa: ARG002  (a verb)
        """Say for every name ever admitted whether it still is."""
        query = select(SIGNER_MEMBERS.c.name, SIGNER_MEMBERS.c.state)
        with self._database.read() as connection:
            return {row.name: row.state for row in connection.execute(query)}

    def redeem(self, facts: Facts) -> dict[str, Json]:
        """Admit a new member on a request signed with its token's key.

        Raises
        ------
        DeniedError
            `hub.token_unknown`, `hub.token_used`, `link.token_expired`,
            `hub.token_other_member`, `link.request_name`.
        StateError
            `hub.name_taken`.
        InputError, IntegrityError
            The statement or a request in it is not what it should be.
        """
        return self._guarded(_text(facts, "statement"), self._redeem)

    def renew(self, facts: Facts) -> dict[str, Json]:
        """Issue fresh certificates for a member on proof of its present key.

        Raises
        ------
        DeniedError
            `hub.not_admitted`, `hub.member_revoked`, `hub.renewal_time`,
            `hub.renewal_older`, `link.request_name`.
        InputError, IntegrityError
            The statement or a request in it is not what it should be.
        """
        return self._guarded(_text(facts, "statement"), self._renew)

    def _guarded(
        self, statement: str, act: Callable[[Transaction, str], dict[str, Json]]
    ) -> dict[str, Json]:
        try:
            with self._database.write() as tx:
                return act(tx, statement)
        except (DeniedError, IntegrityError, StateError) as error:
            if error.code in TELLING:
                self._record_refusal(statement, error.code)
            raise

    def _record_refusal(self, statement: str, code: str) -> None:
        facts: dict[str, Json] = {"code": code, "request": digest_of(statement.encode())}
        with self._database.write() as tx:
            tx.record("signer.refused", "", facts)

    def _redeem(self, tx: Transaction, statement: str) -> dict[str, Json]:
        # 1. The token is ours, and its own key signed this request.
        said = peek_statement(statement)
        table = SIGNER_TOKENS
        row = tx.execute(select(table).where(table.c.id == _text(said, "token"))).first()
        if row is None:
            raise DeniedError("hub.token_unknown")
        said = verify_statement(statement, JOIN, PublicKey.from_text(row.id))
        # 2. It is for this member of this space.
        if (said.get("space"), said.get("member")) != (self._authority.space, row.member):
            raise DeniedError("hub.token_other_member", member=row.member)
        # 3. Not used, unless by this very request; not expired; the name is free.
        request = digest_of(statement.encode())
        again = row.used is not None and row.request == request
        if row.used is not None and not (again and self._is_unrenewed(tx, row)):
            raise DeniedError("hub.token_used", member=row.member, used=row.used)
        if self._clock.now() > read_time(row.expires):
            raise DeniedError("link.token_expired", member=row.member, expires=row.expires)
        if again:
            answer: dict[str, Json] = json.loads(row.answer)
            return answer
        self._check_free(tx, row.member)
        # 4. Issue, and keep what was answered.
        now = write_time(self._clock.now())
        answer = self._admit(tx, said, token=row, since=now)
        tx.execute(
            update(table)
            .where(table.c.id == row.id)
            .values(used=now, request=request, answer=_packed(answer))
        )
        facts: dict[str, Json] = {"token": PublicKey.from_text(row.id).fingerprint}
        tx.record("signer.admitted", self._did(row.member), facts | _certified(answer))
        return answer

    def _renew(self, tx: Transaction, statement: str) -> dict[str, Json]:
        # 1. The name exists and is not revoked.
        member = _text(peek_statement(statement), "member")
        row = self._check_standing(tx, member)
        table = SIGNER_MEMBERS
        # 2. The last request again: its answer may have been lost on the way.
        request = digest_of(statement.encode())
        if row.request == request:
            answer: dict[str, Json] = json.loads(row.answer)
            return answer
        # 3. The present key signed it, for this space, now, and after the last one.
        said = verify_statement(statement, RENEWAL, PublicKey.from_text(row.key))
        self._check_renewal(said, row)
        # 4. Issue, and keep what was answered.
        answer = self._issue_pair(said, name=member, title=row.title, location=row.location)
        values = {"renewed": said["time"], "request": request, "answer": _packed(answer)}
        values["key"] = _participant_key(answer).text
        tx.execute(update(table).where(table.c.name == member).values(**values))
        tx.record("signer.renewed", self._did(member), _certified(answer))
        return answer

    def _check_renewal(self, said: Facts, row: Row[Any]) -> None:
        if said.get("space") != self._authority.space:
            raise DeniedError("hub.not_admitted", member=row.name)
        try:
            time = read_time(_text(said, "time"))
        except ValueError as error:
            raise InputError("hub.bad_call") from error
        if abs(time - self._clock.now()) > RENEWAL_WINDOW:
            minutes = int(RENEWAL_WINDOW.total_seconds() // 60)
            raise DeniedError("hub.renewal_time", member=row.name, minutes=minutes)
        if time <= read_time(row.renewed):
            raise DeniedError("hub.renewal_older", member=row.name)

    # --- shared steps ---------------------------------------------------------------

    def _did(self, member: str) -> str:
        return participant_id(self._authority.space, member)

    def _check_free(self, tx: Transaction, member: str) -> None:
        table = SIGNER_MEMBERS
        state = tx.execute(select(table.c.state).where(table.c.name == member)).scalar()
        if state == Standing.ADMITTED:
            raise StateError("hub.name_taken", member=member, now=state, wanted="free")

    def _is_unrenewed(self, tx: Transaction, token: Row[Any]) -> bool:
        """Say whether a used token's member still has what it got; then it may ask again."""
        return bool(self._check_standing(tx, token.member).renewed == token.used)

    def _check_standing(self, tx: Transaction, member: str) -> Row[Any]:
        table = SIGNER_MEMBERS
        row = tx.execute(select(table).where(table.c.name == member)).first()
        if row is None:
            raise DeniedError("hub.not_admitted", member=member[:40])
        if row.state != Standing.ADMITTED:
            raise DeniedError("hub.member_revoked", member=member)
        return row

    def _issue_pair(self, said: Facts, *, name: str, title: str, location: str) -> dict[str, Json]:
        times = self._settings.signer
        participant = self._authority.issue(
            Kind.PARTICIPANT,
            read_request(_text(said, "csr_participant"), name=name),
            name=name,
            title=title,
            location=location,
            hours=times.participant_hours,
        )
        site = self._authority.issue(
            Kind.SITE,
            read_request(_text(said, "csr_engine"), name=name),
            name=name,
            hours=times.site_hours,
        )
        return {
            "name": name,
            "title": title,
            "participant": write_certificate(participant),
            "engine": write_certificate(site),
        }

    def _admit(
        self, tx: Transaction, said: Facts, *, token: Row[Any], since: str
    ) -> dict[str, Json]:
        """Issue for a name that is free, and enter it; a revoked one begins anew."""
        name, known = token.member, {"title": token.title, "location": token.location}
        answer = self._issue_pair(said, name=name, **known)
        table = SIGNER_MEMBERS
        row = {**known, "state": Standing.ADMITTED.value, "since": since, "renewed": since}
        row |= {"key": _participant_key(answer).text, "request": "", "answer": ""}
        changed = tx.execute(update(table).where(table.c.name == name).values(**row))
        if not changed.rowcount:
            tx.execute(insert(table), {"name": name, **row})
        return answer


def _text(facts: Facts, key: str) -> str:
    value = facts.get(key)
    if not isinstance(value, str):
        raise InputError("hub.bad_call")
    return value


def _by(facts: Facts) -> dict[str, Json]:
    """Say which user of the machine asked, where a socket told."""
    return {"by": facts["by"]} if isinstance(facts.get("by"), int) else {}


def _packed(value: Json) -> str:
    return canonical_bytes(value).decode("utf-8")


def _participant_key(answer: Mapping[str, Json]) -> PublicKey:
    key = certificate_key(read_certificate(str(answer["participant"])))
    return PublicKey(key.public_bytes_raw())  # type: ignore[union-attr]


def _certified(answer: Mapping[str, Json]) -> dict[str, Json]:
    return {
        kind: describe_certificate(read_certificate(str(answer[kind])))
        for kind in ("participant", "engine")
    }


def _token_state(row: Row[Any], now: datetime) -> str:
    if row.used is not None:
        return "used"
    return "expired" if now > read_time(row.expires) else "open"
