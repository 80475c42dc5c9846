"""The benchmark of decisions, made small."""

from __future__ import annotations

from benchmarks.policy import BAR_MS, measure, uses

from consilium.dataspace.vocabulary import OPERANDS


def test_a_decision_takes_far_less_than_a_millisecond() -> None:
    found = measure(500)
    assert found.p50_ms < BAR_MS
    assert found.decisions == 500


def test_the_benchmark_spoils_every_term_once() -> None:
    facts, allowed = next(uses())
    assert allowed
    assert facts.keys() == OPERANDS.keys()
    assert len(list(uses())) == len(OPERANDS) + 1
