"""A signer without its process, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from consilium.hub.authority import Authority
from consilium.hub.own import OwnCertificates
from consilium.hub.settings import HubSettings, build_settings
from consilium.hub.signing import Signer
from consilium.kernel.clock import HeldClock, write_time
from consilium.ledger.certificates import request_certificate
from consilium.ledger.database import Database, open_database
from consilium.ledger.jointokens import JOIN, RENEWAL, JoinToken, read_token
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
START = datetime(2026, 1, 15, 8, tzinfo=UTC)


def make_settings(**others: Any) -> HubSettings:
    given = {"hub.space": "glioma", "hub.title": "胶质瘤空间", "hub.host": "hub.example.org"}
    return build_settings([("the test", {**given, **others})])


class Bench:
    """A signer, its database and its clock."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = HeldClock(START)
        self.settings = make_settings(**settings)
        self.authority = Authority.create(folder, space="glioma", days=3650, clock=self.clock)
        self.database = self._open(folder)
        self.signer = Signer(
            self.authority, self.database, settings=self.settings, clock=self.clock
        )
        self.own = OwnCertificates(
            self.authority, self.database, settings=self.settings, clock=self.clock
        )

    def _open(self, folder: Path) -> Database:
        url = f"sqlite:///{folder / 'signer.db'}"
        origin = "did:web:glioma:signer"
        return open_database(url, key=SigningKey.generate(), clock=self.clock, origin=origin)

    def mint(self, member: str = "tiantan", **facts: Any) -> JoinToken:
        answer = self.signer.mint({"member": member, "title": "天坛医院", **facts})
        return read_token(str(answer["token"]))

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.database.evidence.entries()]

    def admit(self, member: str = "tiantan") -> tuple[SigningKey, dict[str, Any]]:
        key = SigningKey.generate()
        return key, redeem(self, join_request(self.mint(member), key))


def redeem(bench: Bench, statement: str) -> dict[str, Any]:
    return dict(bench.signer.redeem({"statement": statement}))


def join_request(token: JoinToken, key: SigningKey, **others: Any) -> str:
    name = token.member
    facts = {
        "space": token.space,
        "member": name,
        "token": token.key.public.text,
        "csr_participant": request_certificate(key.ed25519, name=name),
        "csr_engine": request_certificate(RSA, name=name),
    }
    return sign_statement(token.key, JOIN, {**facts, **others})


def renewal_request(
    bench: Bench, signer: SigningKey, *, member: str = "tiantan", **others: Any
) -> Mapping[str, Any]:
    facts = {
        "space": "glioma",
        "member": member,
        "time": write_time(bench.clock.now()),
        "csr_participant": request_certificate(signer.ed25519, name=member),
        "csr_engine": request_certificate(RSA, name=member),
    }
    return {"statement": sign_statement(signer, RENEWAL, {**facts, **others})}
