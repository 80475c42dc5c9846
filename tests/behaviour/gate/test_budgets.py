"""Budgets: exact, shared by every kind of computation, spent before anything happens."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from benchmarks.budgets import (
    FITTING,
    PLACES,
    count_dataset_shares,
    count_places,
    count_shares,
    opened,
    postgres_place,
    prepare,
    sqlite_place,
    terms_of_count,
)

from consilium.dataspace.records import PrivacyBudget
from consilium.gate.budgets import Remaining, charge_epsilon, find_remaining
from consilium.gate.spending import list_budgets
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import DeniedError, InputError
from consilium.kernel.identifiers import AgreementId, DatasetId, StudyId
from consilium.ledger.database import Database

World = Any
DATASET = DatasetId("urn:uuid:dataset")
ONE, OTHER = AgreementId("urn:uuid:one"), AgreementId("urn:uuid:other")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    place: AbstractContextManager[str] = sqlite_place()
    if request.param == "postgresql":
        if not os.environ.get("CONSILIUM_TEST_POSTGRES"):
            explain = "CONSILIUM_TEST_POSTGRES names no PostgreSQL server"
            pytest.fail(explain) if os.environ.get("CI") else pytest.skip(explain)
        place = postgres_place()
    with place as found:
        yield found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Give a database with one dataset (ε 2, δ 0.001) and two agreements on it (ε 1; none)."""
    with opened(url) as [found]:
        terms, budget = terms_of_count(), PrivacyBudget(epsilon=2.0, delta=1e-3)
        limited = replace(terms, epsilon=1.0, delta=1e-5)
        prepare(found, agreement=ONE, terms=limited, budget=budget)
        prepare(found, agreement=OTHER, terms=terms, budget=budget)
        yield found


def charge(database: Database, reference: str, **how: Any) -> Remaining:
    given = {"agreement": ONE, "dataset": DATASET, "epsilon": 0.25, "use": "statistics"} | how
    with database.write() as tx:
        return charge_epsilon(tx, reference=reference, clock=SystemClock(), **given)


def refuse(database: Database, reference: str, code: str, **how: Any) -> None:
    before = list_all(database)
    with pytest.raises(DeniedError) as refusal:
        charge(database, reference, **how)
    assert refusal.value.code == code
    assert list_all(database) == before


def list_all(database: Database) -> Any:
    with database.read() as connection:
        return list_budgets(connection), database.evidence.size


def test_a_charge_is_written_with_evidence_and_what_is_left_is_told(database: Database) -> None:
    left = charge(database, "q1", delta=1e-6)
    assert (left.epsilon, left.agreement.left_epsilon, left.dataset.left_epsilon) == (
        0.75,
        0.75,
        1.75,
    )
    assert left.agreement.left_delta == 9e-06
    assert left.delta == 9e-06
    [entry] = database.evidence.entries(limit=10, kind="budget.charged")
    assert entry.facts == {
        "agreement": ONE,
        "use": "statistics",
        "reference": "q1",
        "epsilon_millionths": 250_000,
        "delta_e12": 1_000_000,
    }


def test_the_same_computation_is_charged_once(database: Database) -> None:
    first = charge(database, "q1")
    assert charge(database, "q1") == first
    refuse(database, "q1", "gate.charged_otherwise", epsilon=0.1)
    refuse(database, "q1", "gate.charged_otherwise", delta=1e-9)
    assert charge(database, "q1", use="evaluation").epsilon == 0.5


def test_all_kinds_of_computation_draw_on_one_budget(database: Database) -> None:
    for use in ("training", "statistics", "evaluation", "catalogue"):
        charge(database, "q", use=use)
    refuse(database, "q2", "gate.epsilon_used_up", epsilon=1e-6)
    with database.read() as connection:
        left = find_remaining(connection, agreement=ONE, dataset=DATASET)
    assert (left.epsilon, left.dataset.left_epsilon) == (0.0, 1.0)


def test_a_datasets_budget_binds_agreements_that_have_none(database: Database) -> None:
    charge(database, "q", agreement=OTHER, epsilon=1.5)
    refuse(database, "q1", "gate.epsilon_used_up", epsilon=0.6)
    assert charge(database, "q2", epsilon=0.5).epsilon == 0.0
    refuse(database, "q3", "gate.epsilon_used_up", agreement=OTHER, epsilon=1e-6)


def test_delta_is_a_budget_of_its_own(database: Database) -> None:
    refuse(database, "q1", "gate.epsilon_used_up", epsilon=0.01, delta=1.1e-5)
    refuse(database, "q2", "gate.epsilon_used_up", agreement=OTHER, epsilon=0.01, delta=2e-3)
    charge(database, "q3", epsilon=0.01, delta=1e-5)


def test_sums_are_exact_where_floats_are_not(database: Database) -> None:
    for number in range(10):
        left = charge(database, f"q{number}", epsilon=0.1)
    assert left.epsilon == 0.0
    refuse(database, "q", "gate.epsilon_used_up", epsilon=1e-9)


def test_what_is_no_loss_is_refused(database: Database) -> None:
    odd: tuple[dict[str, Any], ...] = (
        {"epsilon": 0.0},
        {"epsilon": -1.0},
        {"epsilon": float("inf")},
        {"epsilon": float("nan")},
        {"delta": 1.0},
        {"delta": -1e-9},
        {"delta": float("nan")},
        {"use": "sale"},
    )
    for how in odd:
        with pytest.raises(InputError):
            charge(database, "q", **how)


def test_a_charge_stands_on_an_agreement_of_ours_and_its_dataset(database: Database) -> None:
    refuse(database, "q", "gate.no_agreement", agreement="urn:uuid:none")
    refuse(database, "q", "gate.other_dataset", dataset="urn:uuid:none")


@pytest.mark.parametrize(
    ("measure", "wanted"),
    [(count_places, PLACES), (count_shares, FITTING), (count_dataset_shares, FITTING)],
)
def test_of_many_claims_at_once_exactly_as_many_pass_as_fit(
    url: str, measure: Any, wanted: int
) -> None:
    claims = 16 if wanted == PLACES else FITTING + 4
    with opened(url, writers=2 if url.startswith("postgresql") else 1) as databases:
        found = measure(databases, claims)
    assert found.is_exact
    assert found.granted == wanted


def test_of_many_studies_at_the_gate_at_once_exactly_count_are_admitted(world: World) -> None:
    world.set_terms(count=3, max_rounds=1_000)
    plans = [
        replace(world.study, study=StudyId(f"urn:uuid:study-{number}")) for number in range(10, 22)
    ]
    for plan in plans:
        world.start_transfer(plan)
    orders = [world.order(study=plan) for plan in plans]
    codes: list[str] = []

    def admit(order: bytes) -> None:
        try:
            world.gate.admit(order)
            codes.append("")
        except DeniedError as refusal:
            codes.append(refusal.code)

    threads = [threading.Thread(target=admit, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [""] * 3 + ["dataspace.count_used_up"] * 9
    assert len(world.evidence("admission.granted")) == 3
    assert len(world.evidence("admission.refused")) == 9
