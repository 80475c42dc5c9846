"""Many claims at once on one budget: exactly as many pass as it holds, and none is lost.

    python -m benchmarks.budgets [--quick]

Every claim is a thread of its own; all wait at one gate and start together.
Places of a study count and shares of a privacy budget are claimed as the gate
claims them. Afterwards the tables, the evidence and what each thread was told
must say the same. SQLite always; PostgreSQL where `CONSILIUM_TEST_POSTGRES`
names a server, also from several `Database` objects as from several processes.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from consilium.dataspace.policy import agreement_of, evaluate, offer_for, policy_of
from consilium.dataspace.records import (
    Agreement,
    Dataset,
    Negotiation,
    PrivacyBudget,
    Role,
    Terms,
)
from consilium.dataspace.store import add
from consilium.dataspace.vocabulary import COUNT, OPERANDS
from consilium.gate.budgets import charge_epsilon, claim_study
from consilium.gate.store import CHARGES, STUDIES
from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.clock import SystemClock, write_time
from consilium.kernel.errors import ConsiliumError, DeniedError
from consilium.kernel.identifiers import (
    AgreementId,
    DatasetId,
    OfferId,
    ParticipantId,
    ProcessId,
    StudyId,
)
from consilium.ledger.database import Database, Transaction, open_database
from consilium.ledger.keys import SigningKey

POSTGRES = "CONSILIUM_TEST_POSTGRES"
CLAIMS, QUICK_CLAIMS = 1_000, 100
PLACES = 10
EPSILON, SHARE = 1.0, 0.013
"""A budget, and what one claim asks of it: 76 of them fit, and 0.012 is left."""
FITTING = 76
WAIT_S = 600.0

_PROVIDER, _CONSUMER = ParticipantId("did:web:x:south"), ParticipantId("did:web:x:north")
_DATASET = DatasetId("urn:uuid:dataset")
_CLOCK = SystemClock()

Claim = Callable[[Transaction, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What many claims came to: told, in the table, and in the evidence."""

    what: str
    claims: int
    writers: int
    granted: int
    refused: int
    kept: int
    proved: int
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Whether nothing was lost or granted twice: all three counts agree."""
        told = self.granted + self.refused == self.claims
        return told and self.granted == self.kept == self.proved


def prepare(database: Database, *, agreement: str, terms: Terms, budget: PrivacyBudget) -> None:
    """Put a dataset and an agreement on it into a database."""
    policy = agreement_of(
        offer_for(policy_of(terms, offer=OfferId("urn:uuid:offer")), target=_DATASET),
        agreement=AgreementId(agreement),
        assigner=_PROVIDER,
        assignee=_CONSUMER,
        timestamp=write_time(_CLOCK.now()),
    )
    pid = ProcessId(f"{agreement}-negotiation")
    records = (_negotiation(pid, policy), _agreement(agreement, pid, policy, terms))
    with database.read() as connection:
        known = connection.execute(sa.text("SELECT count(*) FROM datasets")).scalar_one()
    with database.write() as tx:
        for record in records if known else (_dataset(terms, budget), *records):
            add(tx, record)


def claim_place(tx: Transaction, number: int) -> None:
    """Claim a study's place under the agreement `urn:uuid:count`, as admission does."""
    study, agreement = StudyId(f"urn:uuid:study-{number}"), AgreementId("urn:uuid:count")
    digest = digest_of(study.encode())
    now = write_time(_CLOCK.now())
    place = claim_study(tx, agreement=agreement, study=study, digest=digest, now=now)
    policy = policy_of(terms_of_count(), offer=OfferId("urn:uuid:offer"))
    evaluate(policy, {COUNT: place}, later=OPERANDS.keys() - {COUNT}).require()
    tx.record("claim.place", study, {"place": place})


def charge_share(agreement: str, use: str) -> Claim:
    """Make a claim on the privacy budget of an agreement."""

    def claim(tx: Transaction, number: int) -> None:
        charge_epsilon(
            tx,
            agreement=AgreementId(agreement),
            dataset=_DATASET,
            epsilon=SHARE,
            use=use,
            reference=f"{agreement}-{number}",
            clock=_CLOCK,
        )

    return claim


def claim_together(databases: Sequence[Database], claims: Sequence[Claim]) -> list[bool]:
    """Let all claims start at once, spread over the databases; tell which were granted.

    Raises
    ------
    ConsiliumError, SQLAlchemyError
        Whatever a claim met besides a refusal.
    """
    gate = threading.Barrier(len(claims))
    granted: list[bool | Exception] = [False] * len(claims)

    def run(number: int) -> None:
        gate.wait(timeout=WAIT_S)
        try:
            with databases[number % len(databases)].write() as tx:
                claims[number](tx, number)
            granted[number] = True
        except DeniedError:
            granted[number] = False
        except (ConsiliumError, SQLAlchemyError) as error:  # told to the caller, below
            granted[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(claims))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in granted:
        if isinstance(one, Exception):
            raise one
    return [bool(one) for one in granted]


def count_places(databases: Sequence[Database], claims: int) -> Counted:
    """Claim ten places many times at once."""
    prepare(
        databases[0],
        agreement="urn:uuid:count",
        terms=terms_of_count(),
        budget=PrivacyBudget(epsilon=1e6, delta=0.5),
    )
    begun = time.perf_counter()
    granted = claim_together(databases, [claim_place] * claims)
    seconds = time.perf_counter() - begun
    kept = _number(databases[0], STUDIES, "claim.place")
    return _counted("places of count = 10", databases, granted, kept, seconds)


def count_shares(databases: Sequence[Database], claims: int) -> Counted:
    """Claim shares of one agreement's privacy budget many times at once."""
    terms = replace(terms_of_count(), epsilon=EPSILON, delta=0.0)
    large = PrivacyBudget(epsilon=1e6, delta=0.5)
    prepare(databases[0], agreement="urn:uuid:epsilon", terms=terms, budget=large)
    begun = time.perf_counter()
    share = charge_share("urn:uuid:epsilon", "statistics")
    granted = claim_together(databases, [share] * claims)
    seconds = time.perf_counter() - begun
    kept = _number(databases[0], CHARGES, "budget.charged")
    return _counted("shares of an agreement's ε", databases, granted, kept, seconds)


def count_dataset_shares(databases: Sequence[Database], claims: int) -> Counted:
    """Claim shares of one dataset's budget, under three agreements and for four uses at once."""
    small = PrivacyBudget(epsilon=EPSILON, delta=0.0)
    names = [f"urn:uuid:epsilon-{number}" for number in range(3)]
    for name in names:
        prepare(databases[0], agreement=name, terms=terms_of_count(), budget=small)
    uses = ("training", "statistics", "evaluation", "catalogue")
    all_claims = [charge_share(names[n % 3], uses[n % 4]) for n in range(claims)]
    begun = time.perf_counter()
    granted = claim_together(databases, all_claims)
    seconds = time.perf_counter() - begun
    kept = _number(databases[0], CHARGES, "budget.charged")
    return _counted("shares of a dataset's ε", databases, granted, kept, seconds)


def terms_of_count() -> Terms:
    """Give terms with ten places and no limit on privacy loss."""
    return Terms(
        purposes=("research",),
        not_after="2999-01-01T00:00:00Z",
        count=PLACES,
        max_rounds=100,
        min_cohort=10,
        recipients=(_CONSUMER,),
        algorithms=(Digest("sha256:" + "a" * 64),),
    )


MEASURES: tuple[tuple[Callable[[Sequence[Database], int], Counted], int], ...] = (
    (count_places, PLACES),
    (count_shares, FITTING),
    (count_dataset_shares, FITTING),
)
"""Each measure, and how many claims must pass."""


@contextmanager
def opened(url: str, *, writers: int = 1) -> Iterator[list[Database]]:
    """Open a database so many times, each as its own process would."""
    key = SigningKey.generate()
    with ExitStack() as stack:
        found = []
        for _ in range(writers):
            one = open_database(url, key=key, clock=_CLOCK, origin=_PROVIDER, wait_s=WAIT_S)
            stack.callback(one.close)
            found.append(one)
        yield found


@contextmanager
def postgres_place() -> Iterator[str]:
    """Give the URL of an empty schema on the test server."""
    name = f"consilium_bench_{secrets.token_hex(6)}"
    address = sa.make_url(os.environ[POSTGRES]).set(drivername="postgresql+psycopg")
    admin = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    try:
        placed = address.update_query_dict({"options": f"-csearch_path={name}"})
        yield placed.render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))
        admin.dispose()


@contextmanager
def sqlite_place() -> Iterator[str]:
    """Give the URL of an empty file."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'node.db'}"


def _number(database: Database, table: sa.Table, kind: str) -> tuple[int, int]:
    with database.read() as connection:
        kept = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    return int(kept), len(database.evidence.entries(limit=10_000, kind=kind))


def _counted(
    what: str,
    databases: Sequence[Database],
    granted: Sequence[bool],
    kept: tuple[int, int],
    seconds: float,
) -> Counted:
    return Counted(
        what=what,
        claims=len(granted),
        writers=len(databases),
        granted=sum(granted),
        refused=len(granted) - sum(granted),
        kept=kept[0],
        proved=kept[1],
        seconds=round(seconds, 3),
    )


def _dataset(terms: Terms, budget: PrivacyBudget) -> Dataset:
    return Dataset(
        id=_DATASET,
        name="hearts",
        title="Hearts",
        schema={},
        quality={},
        governance={},
        public=False,
        fingerprint=digest_of(b"source"),
        arrays=digest_of(b"arrays"),
        n_train=60,
        n_test=40,
        terms=terms,
        offer=OfferId("urn:uuid:offer"),
        created=write_time(datetime(2026, 1, 1, tzinfo=UTC)),
        budget=budget,
    )


def _negotiation(pid: ProcessId, policy: dict[str, Any]) -> Negotiation:
    return Negotiation(
        pid=pid,
        peer_pid=ProcessId("urn:uuid:peer"),
        role=Role.PROVIDER,
        peer=_CONSUMER,
        peer_key="",
        state="FINALIZED",
        dataset=_DATASET,
        offer=OfferId("urn:uuid:offer"),
        policy=policy,
        agreement=AgreementId(policy["@id"]),
        callback="",
        code="",
        reason="",
        created="",
        updated="",
    )


def _agreement(name: str, pid: ProcessId, policy: dict[str, Any], terms: Terms) -> Agreement:
    return Agreement(
        id=AgreementId(name),
        role=Role.PROVIDER,
        dataset=_DATASET,
        provider=_PROVIDER,
        consumer=_CONSUMER,
        provider_key="",
        consumer_key="",
        policy=policy,
        terms=terms,
        negotiation=pid,
        state="FINALIZED",
        agreed="",
    )


def main() -> int:
    """Measure, print a line each, and one JSON object at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the claims")
    claims = QUICK_CLAIMS if parser.parse_args().quick else CLAIMS
    places: list[tuple[str, Callable[[], Any], int]] = [("sqlite", sqlite_place, 1)]
    if os.environ.get(POSTGRES):
        places += [("postgresql", postgres_place, 1), ("postgresql", postgres_place, 4)]
    rows: list[dict[str, Any]] = []
    for kind, place, writers in places:
        for measure, wanted in MEASURES:
            with place() as url, opened(url, writers=writers) as databases:
                found = measure(databases, claims)
            met = found.is_exact and found.granted == wanted
            rows.append({"database": kind, **asdict(found), "wanted": wanted, "met": met})
            print(
                f"{kind:<10} {found.what:<28} {found.claims} claims, {writers} writer(s): "
                f"{found.granted} granted (wanted {wanted}), {found.kept} kept, "
                f"{found.proved} proved, {found.seconds:.1f} s  {'ok' if met else 'WRONG'}"
            )
    print(json.dumps({"budgets": rows, "met": all(row["met"] for row in rows)}))
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
