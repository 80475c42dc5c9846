"""Each term of the vocabulary: what it allows, what it refuses, how it may be written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from consilium.dataspace.policy import (
    PROFILE,
    agreement_of,
    check_policy,
    evaluate,
    is_same_rules,
    offer_for,
    policy_of,
    terms_of,
)
from consilium.dataspace.records import Terms
from consilium.dataspace.vocabulary import OPERANDS
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import DeniedError, InputError, texts
from consilium.kernel.identifiers import AgreementId, DatasetId, OfferId, ParticipantId

TERMS = Terms(
    purposes=("research",),
    not_after="2027-01-01T00:00:00Z",
    count=3,
    max_rounds=20,
    min_cohort=50,
    recipients=(ParticipantId("did:web:x:north"),),
    algorithms=(Digest("sha256:aa"),),
)


def number(value: str) -> dict[str, str]:
    return {"@value": value, "@type": "xsd:integer"}


def moment(value: str) -> dict[str, str]:
    return {"@value": value, "@type": "xsd:dateTime"}


def decimal(value: str) -> dict[str, str]:
    return {"@value": value, "@type": "xsd:decimal"}


def truth(value: str) -> dict[str, str]:
    return {"@value": value, "@type": "xsd:boolean"}


def policy(operand: str, operator: str, right: Any, **more: Any) -> dict[str, Any]:
    term = {"leftOperand": operand, "operator": operator, "rightOperand": right}
    return {"profile": PROFILE, "permission": [{"action": "use", "constraint": [term]}], **more}


NOW = datetime(2026, 11, 23, tzinfo=UTC)
CASES: list[tuple[str, str, Any, Any, Any]] = [
    # operand, operator, right operand, a fact that it allows, one that it refuses
    ("odrl:purpose", "eq", "research", "research", "marketing"),
    ("odrl:purpose", "isAnyOf", ["research", "audit"], "audit", "Research"),
    ("odrl:dateTime", "lteq", moment("2027-01-01T00:00:00Z"), NOW, "2027-01-01T00:00:01Z"),
    ("odrl:dateTime", "gteq", moment("2026-01-01T00:00:00+08:00"), NOW, "2025-12-31T15:59:59Z"),
    ("odrl:count", "lteq", number("3"), 3, 4),
    ("consilium:maxRounds", "lteq", number("20"), 20, 21),
    ("consilium:minCohortSize", "gteq", number("50"), 50, 49),
    ("odrl:recipient", "isAnyOf", ["did:web:x:north"], "did:web:x:north", "did:web:x:nort"),
    ("odrl:recipient", "eq", "did:web:x:north", "did:web:x:north", "did:web:x:south"),
    ("consilium:algorithm", "isAnyOf", ["sha256:aa"], "sha256:aa", "sha256:ab"),
    ("consilium:minParticipants", "gteq", number("3"), 3, 2),
    ("consilium:epsilonBudget", "lteq", decimal("2.5"), Decimal("2.5"), Decimal("2.500001")),
    ("consilium:epsilonBudget", "lteq", decimal("0.3"), 0.3, float("inf")),
    ("consilium:delta", "lteq", decimal("0.00001"), 1e-05, 2e-05),
    ("consilium:delta", "lteq", decimal("0"), 0, 1e-12),
    ("consilium:outputType", "isAnyOf", ["model", "metrics"], "metrics", "aggregate"),
    ("consilium:secureAggregation", "eq", truth("true"), True, False),
    ("consilium:secureAggregation", "eq", truth("false"), False, True),
    ("odrl:spatial", "eq", "CN", "CN", "CN-BJ"),
    ("odrl:spatial", "isPartOf", "CN", "CN-BJ", "CH"),
    ("odrl:spatial", "isPartOf", ["CN-BJ", "CN-11"], "CN-11", "CN-31"),
    ("odrl:spatial", "isPartOf", ["CN-BJ"], "CN-BJ", "CN"),
]


@pytest.mark.parametrize(("operand", "operator", "right", "good", "bad"), CASES)
def test_each_term_allows_and_refuses(
    operand: str, operator: str, right: Any, good: Any, bad: Any
) -> None:
    written = policy(operand, operator, right)
    assert evaluate(written, {operand: good}).allowed
    refused = evaluate(written, {operand: bad})
    assert (refused.allowed, refused.rule) == (False, operand)
    assert refused.code == OPERANDS[operand].code
    assert texts()[refused.code]["family"] == "denied"
    assert evaluate(written, {}).code == "dataspace.fact_missing"


def test_every_term_of_the_vocabulary_is_covered_here() -> None:
    assert {case[0] for case in CASES} == OPERANDS.keys()


NUMERIC = ("odrl:count", "consilium:maxRounds")
ODD_NUMBERS: list[Any] = [
    3,
    "3",
    number("-1"),
    number("03"),
    number("3.0"),
    number("1e3"),
    number(""),
    number(" 3"),
    number("٣"),
    number("9999999999"),
    {"@value": 3, "@type": "xsd:integer"},
    {"@value": "3", "@type": "xsd:string"},
    {"@value": "3"},
    number("3") | {"@language": "en"},
    ["3"],
    None,
    True,
]
ODD_TIMES: list[Any] = [
    "2027-01-01T00:00:00Z",
    moment("soon"),
    moment(""),
    moment("0001-01-01T00:00:00+23:59"),
    number("3"),
    None,
]
ODD_DECIMALS: list[Any] = [
    2.5,
    "2.5",
    decimal("2,5"),
    decimal("-1"),
    decimal("+1"),
    decimal("1e3"),
    decimal(".5"),
    decimal("5."),
    decimal("02.5"),
    decimal("INF"),
    decimal("NaN"),
    decimal("\u0663"),
    number("3"),
    {"@value": 2.5, "@type": "xsd:decimal"},
    None,
]
ODD_TRUTHS: list[Any] = [True, "true", truth("1"), truth("yes"), truth("True"), number("1"), None]
ODD_OUTPUTS: list[Any] = ["weights", ["model", "weights"], [], ["Model"], None, {"@id": "model"}]
ODD_PLACES: list[Any] = ["cn", "CHN", "CN-", "CN-BEIJING", "China", ["CN", ""], [], None, 86]
ODD_WORDS: list[Any] = ["", [], [""], ["a", 7], 7, None, {"@id": "x"}, [["a"]]]


@pytest.mark.parametrize(
    ("operand", "operator", "right"),
    [(name, "lteq", odd) for name in NUMERIC for odd in ODD_NUMBERS]
    + [("odrl:dateTime", "lteq", odd) for odd in ODD_TIMES]
    + [("odrl:purpose", "isAnyOf", odd) for odd in ODD_WORDS]
    + [("odrl:purpose", "eq", ["research"]), ("odrl:spatial", "eq", ["CN"])]
    + [("odrl:recipient", "isAnyOf", odd) for odd in ODD_WORDS]
    + [("consilium:algorithm", "isAnyOf", odd) for odd in ODD_WORDS]
    + [("consilium:minCohortSize", "gteq", odd) for odd in ODD_NUMBERS]
    + [("consilium:minParticipants", "gteq", odd) for odd in ODD_NUMBERS]
    + [("consilium:epsilonBudget", "lteq", odd) for odd in ODD_DECIMALS]
    + [("consilium:delta", "lteq", odd) for odd in ODD_DECIMALS]
    + [("consilium:outputType", "isAnyOf", odd) for odd in ODD_OUTPUTS]
    + [("consilium:secureAggregation", "eq", odd) for odd in ODD_TRUTHS]
    + [("odrl:spatial", "isPartOf", odd) for odd in ODD_PLACES],
)
def test_a_term_that_is_written_otherwise_is_denied(
    operand: str, operator: str, right: Any
) -> None:
    written = policy(operand, operator, right)
    assert evaluate(written, {operand: 1}).code == "dataspace.unknown_term"
    with pytest.raises(DeniedError):
        check_policy(written)


FINE = policy("odrl:count", "lteq", number("3"))
TERM = FINE["permission"][0]["constraint"][0]
UNKNOWN: list[Any] = [
    None,
    [],
    {},
    FINE | {"profile": "https://other.example/profile"},
    FINE | {"profile": [PROFILE, "other"]},
    {key: value for key, value in FINE.items() if key != "profile"},
    FINE | {"obligation": [{"action": "use"}]},
    FINE | {"inheritFrom": "urn:x"},
    FINE | {"permission": {"action": "use"}},
    FINE | {"permission": [{"action": "read"}]},
    FINE | {"permission": [{"action": ["use"]}]},
    FINE | {"permission": [{"constraint": []}]},
    FINE | {"permission": [{"action": "use", "duty": []}]},
    FINE | {"permission": [{"action": "use", "constraint": {}}]},
    FINE | {"permission": [{"action": "use", "constraint": [{"and": [TERM]}]}]},
    FINE | {"prohibition": [{"action": "sell"}]},
    policy("odrl:spatial", "eq", "Beijing"),
    policy("odrl:spatial", "isAnyOf", ["CN"]),
    policy("odrl:event", "eq", "CN"),
    policy("purpose", "eq", "research"),
    policy("http://www.w3.org/ns/odrl/2/purpose", "eq", "research"),
    policy("odrl:purpose", "isNoneOf", ["marketing"]),
    policy("odrl:count", "gteq", number("3")),
    policy("odrl:count", "lt", number("3")),
    policy("consilium:minCohortSize", "lteq", number("3")),
    FINE | {"permission": [{"action": "use", "constraint": [TERM | {"unit": "x"}]}]},
]


@pytest.mark.parametrize("written", UNKNOWN)
def test_what_the_profile_does_not_know_is_denied(written: Any) -> None:
    assert evaluate(written, {"odrl:count": 1}).code == "dataspace.unknown_term"
    with pytest.raises(DeniedError):
        check_policy(written)


def test_one_unknown_term_spoils_a_policy_that_would_allow() -> None:
    spoilt = FINE | {"permission": [*FINE["permission"], {"action": "sell"}]}
    assert evaluate(FINE, {"odrl:count": 1}).allowed
    assert not evaluate(spoilt, {"odrl:count": 1}).allowed


def test_without_a_permission_nothing_is_allowed() -> None:
    for empty in ({"profile": PROFILE}, {"profile": PROFILE, "permission": []}):
        assert evaluate(empty, {}).code == "dataspace.not_permitted"


def test_a_second_permission_may_grant_what_the_first_refuses() -> None:
    other = policy("odrl:count", "lteq", number("9"))["permission"]
    both = FINE | {"permission": [*FINE["permission"], *other]}
    assert evaluate(both, {"odrl:count": 9}).allowed
    assert evaluate(both, {"odrl:count": 10}).rule == "odrl:count"


def test_a_prohibition_wins_where_it_applies() -> None:
    term = {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": "insurance"}
    written = FINE | {"prohibition": [{"action": "use", "constraint": [term]}]}
    facts = {"odrl:count": 1, "odrl:purpose": "insurance"}
    assert evaluate(written, facts).code == "dataspace.prohibited"
    assert evaluate(written, facts | {"odrl:purpose": "research"}).allowed
    assert evaluate(written, {"odrl:count": 1}).code == "dataspace.fact_missing"


def test_what_another_gate_judges_neither_grants_nor_refuses() -> None:
    written = policy_of(TERMS, offer=OfferId("urn:uuid:o"))
    facts = {"odrl:purpose": "research"}
    later = OPERANDS.keys() - facts.keys()
    assert evaluate(written, facts, later=later).allowed
    assert not evaluate(written, {"odrl:purpose": "other"}, later=later).allowed
    prohibited = written | {"prohibition": [{"action": "use", "constraint": [TERM]}]}
    assert evaluate(prohibited, facts, later=later).allowed


@pytest.mark.parametrize("fact", ["3", 3.0, True, None, [3]])
def test_a_fact_of_another_kind_counts_as_missing(fact: Any) -> None:
    assert evaluate(FINE, {"odrl:count": fact}).code == "dataspace.fact_missing"


def test_a_refusal_can_be_raised() -> None:
    with pytest.raises(DeniedError) as refused:
        evaluate(FINE, {"odrl:count": 4}).require()
    assert (refused.value.code, refused.value.rule) == ("dataspace.count_used_up", "odrl:count")
    evaluate(FINE, {"odrl:count": 3}).require()


@pytest.mark.parametrize(
    "changes",
    [
        {"purposes": ()},
        {"recipients": ()},
        {"algorithms": ()},
        {"count": 0},
        {"max_rounds": 0},
        {"min_cohort": 0},
        {"not_after": "next year"},
        {"not_after": ""},
    ],
)
def test_terms_that_could_allow_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        policy_of(replace(TERMS, **changes), offer=OfferId("urn:uuid:o"))


def test_terms_are_read_only_from_a_policy_that_says_each_once() -> None:
    written = policy_of(TERMS, offer=OfferId("urn:uuid:o"))
    (permission,) = written["permission"]
    terms = permission["constraint"]
    for constraint in (terms[:-1], [*terms, terms[0]], [*terms[1:], terms[0] | {"operator": "eq"}]):
        changed = written | {"permission": [permission | {"constraint": constraint}]}
        with pytest.raises((InputError, DeniedError)):
            terms_of(changed)
    for changed in (
        written | {"permission": [permission, permission]},
        written | {"prohibition": [{"action": "use"}]},
    ):
        with pytest.raises(InputError):
            terms_of(changed)


def test_an_agreement_says_what_the_offer_said() -> None:
    offer = offer_for(policy_of(TERMS, offer=OfferId("urn:uuid:o")), target=DatasetId("urn:uuid:d"))
    agreement = agreement_of(
        offer,
        agreement=AgreementId("urn:uuid:a"),
        assigner=ParticipantId("did:web:x:south"),
        assignee=ParticipantId("did:web:x:north"),
        timestamp="2026-11-23T08:00:00Z",
    )
    assert is_same_rules(offer, agreement)
    assert agreement["@type"] == "Agreement"
    assert agreement["target"] == "urn:uuid:d"
    assert terms_of(agreement) == terms_of(offer)
    assert not is_same_rules(offer, offer | {"prohibition": [{"action": "use"}]})
