"""The evaluator: total, closed, default deny."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.dataspace.policy import (
    ALGORITHM,
    COUNT,
    MAX_ROUNDS,
    MIN_COHORT,
    PROFILE,
    PURPOSE,
    RECIPIENT,
    TIME,
    check_policy,
    evaluate,
    policy_of,
    terms_of,
)
from consilium.dataspace.records import Terms
from consilium.dataspace.vocabulary import OPERANDS, OUTPUTS
from consilium.kernel.canonical import Digest
from consilium.kernel.clock import write_time
from consilium.kernel.errors import DeniedError, InputError, texts
from consilium.kernel.identifiers import OfferId, ParticipantId

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
WORDS = st.text(min_size=1, max_size=12)
NUMBERS = st.integers(1, 999_999_999)
TERMS = st.builds(
    Terms,
    purposes=st.lists(WORDS, min_size=1, max_size=3, unique=True).map(lambda x: tuple(sorted(x))),
    not_after=st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC)).map(write_time),
    count=NUMBERS,
    max_rounds=NUMBERS,
    min_cohort=NUMBERS,
    recipients=st.lists(WORDS.map(ParticipantId), min_size=1, max_size=3, unique=True).map(
        lambda x: tuple(sorted(x))
    ),
    algorithms=st.lists(WORDS.map(Digest), min_size=1, max_size=3, unique=True).map(
        lambda x: tuple(sorted(x))
    ),
    min_participants=st.none() | NUMBERS,
    outputs=st.sets(st.sampled_from(OUTPUTS)).map(lambda x: tuple(sorted(x))),
    secure_aggregation=st.none() | st.booleans(),
    spatial=st.sets(st.sampled_from(["CN", "CN-BJ", "DE"])).map(lambda x: tuple(sorted(x))),
)
LOSSES = st.tuples(
    st.integers(1, 10**12).map(lambda millionths: millionths / 10**6),
    st.integers(0, 10**12 - 1).map(lambda parts: parts / 10**12),
)
"""Values of the protocol's JSON that may stand where a policy stands."""

SLOTS = st.sampled_from([*OPERANDS, "odrl:event", "purpose", "", "@id"])
CONSTRAINT = st.fixed_dictionaries(
    {
        "leftOperand": SLOTS | JSON,
        "operator": st.sampled_from(["eq", "isAnyOf", "lteq", "gteq", "lt", "neq"]) | JSON,
        "rightOperand": st.just({"@value": "3", "@type": "xsd:integer"}) | JSON,
    }
)
RULE = st.fixed_dictionaries(
    {"action": st.just("use") | JSON, "constraint": st.lists(CONSTRAINT | JSON, max_size=3) | JSON}
)
POLICY = st.fixed_dictionaries(
    {
        "profile": st.just(PROFILE) | JSON,
        "permission": st.lists(RULE | JSON, max_size=3) | JSON,
        "prohibition": st.lists(RULE | JSON, max_size=2) | JSON,
    }
)
FACTS = st.dictionaries(st.sampled_from(sorted(OPERANDS)), JSON, max_size=7)


@given(policy=POLICY | JSON, facts=FACTS, later=st.sets(st.sampled_from(sorted(OPERANDS))))
def test_any_policy_and_any_facts_give_a_decision_with_words(
    policy: Any, facts: dict[str, Any], later: set[str]
) -> None:
    decision = evaluate(policy, facts, later=later)
    assert decision.allowed == (decision.code == "")
    if not decision.allowed:
        assert texts()[decision.code]["family"] == "denied"
        with pytest.raises(DeniedError):
            decision.require()


@given(policy=POLICY | JSON, facts=FACTS)
def test_what_is_outside_the_profile_is_never_allowed(policy: Any, facts: dict[str, Any]) -> None:
    try:
        check_policy(policy)
    except DeniedError:
        assert not evaluate(policy, facts, later=OPERANDS).allowed


@given(terms=TERMS, loss=st.none() | LOSSES)
def test_terms_survive_their_way_through_a_policy(
    terms: Terms, loss: tuple[float, float] | None
) -> None:
    if loss is not None:
        terms = replace(terms, epsilon=loss[0], delta=loss[1])
    assert terms_of(policy_of(terms, offer=OfferId("urn:uuid:o"))) == terms


@given(terms=TERMS, data=st.data())
def test_a_use_within_the_terms_is_allowed_and_one_outside_is_not(
    terms: Terms, data: st.DataObject
) -> None:
    policy = policy_of(terms, offer=OfferId("urn:uuid:o"))
    facts: dict[str, Any] = {
        PURPOSE: data.draw(st.sampled_from(terms.purposes)),
        TIME: terms.not_after,
        COUNT: data.draw(st.integers(1, terms.count)),
        MAX_ROUNDS: data.draw(st.integers(1, terms.max_rounds)),
        MIN_COHORT: data.draw(st.integers(terms.min_cohort, 10**9)),
        RECIPIENT: data.draw(st.sampled_from(terms.recipients)),
        ALGORITHM: data.draw(st.sampled_from(terms.algorithms)),
    }
    spoilt = data.draw(st.sampled_from(sorted(facts)))
    if terms.min_participants:
        facts["consilium:minParticipants"] = terms.min_participants
    if terms.outputs:
        facts["consilium:outputType"] = terms.outputs[0]
    if terms.secure_aggregation is not None:
        facts["consilium:secureAggregation"] = terms.secure_aggregation
    if terms.spatial:
        facts["odrl:spatial"] = terms.spatial[0]
    assert evaluate(policy, facts).allowed
    beyond: dict[str, Any] = {
        COUNT: terms.count + 1,
        MAX_ROUNDS: terms.max_rounds + 1,
        MIN_COHORT: terms.min_cohort - 1,
        TIME: "9999-12-31T23:59:59.999999Z",
    }
    outside = facts | {spoilt: beyond.get(spoilt, "\x00nobody")}
    decision = evaluate(policy, outside)
    if outside[spoilt] != facts[spoilt]:
        assert (decision.allowed, decision.rule) == (False, spoilt)
    missing = {name: fact for name, fact in facts.items() if name != spoilt}
    assert evaluate(policy, missing).code == "dataspace.fact_missing"
    assert evaluate(policy, missing, later={spoilt}).allowed
    prohibited = policy | {"prohibition": [{"action": "use"}]}
    assert evaluate(prohibited, facts).code == "dataspace.prohibited"


@given(policy=POLICY | JSON)
def test_terms_of_gives_terms_or_one_of_our_errors(policy: Any) -> None:
    with contextlib.suppress(InputError, DeniedError):
        assert isinstance(terms_of(policy), Terms)
