"""The evaluator against a second one, written another way: as sets of sentences, not as a table.

The oracle knows the profile by heart (docs, not code): it turns each
constraint into a predicate with its own parsing, and never shares a helper
with the product.
"""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from consilium.dataspace.evaluation import evaluate

PROFILE = "consilium:profile/1"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
PLACES = ("CN", "CN-BJ", "CN-11", "CH", "DE-BY", "C", "")
PURPOSES = ("research", "audit", "sale")
TRUTHS = {"true": True, "false": False}


# --- the oracle -----------------------------------------------------------------------


class Unknown(Exception):  # noqa: N818  (a verdict, not an error)
    """The profile does not know it."""


class Missing(Exception):  # noqa: N818
    """A fact is not there, or of another kind."""


def oracle(policy: Any, facts: dict[str, Any], later: set[str]) -> bool:
    """Say whether a use is allowed. Anything odd is no."""
    try:
        permissions, prohibitions = _open(policy)
        forbidden = [[_true(one, facts, later) for one in rule] for rule in prohibitions]
        if any(all(one == "yes" for one in rule) for rule in forbidden):
            return False
        granted = [[_true(one, facts, later) for one in rule] for rule in permissions]
    except (Unknown, Missing):
        return False
    return any("no" not in rule for rule in granted)


def _open(policy: Any) -> tuple[list[list[Any]], list[list[Any]]]:
    if type(policy) is not dict or policy.get("profile") not in (PROFILE, [PROFILE]):
        raise Unknown
    names = {"@id", "@type", "profile", "permission", "prohibition"}
    if set(policy) - names - {"target", "assigner", "assignee", "timestamp"}:
        raise Unknown
    sides = []
    for side in ("permission", "prohibition"):
        rules = policy.get(side, [])
        if type(rules) is not list:
            raise Unknown
        sides.append([_rule(rule) for rule in rules])
    return sides[0], sides[1]


def _rule(rule: Any) -> list[Any]:
    if type(rule) is not dict or set(rule) - {"action", "constraint"}:
        raise Unknown
    if rule.get("action") != "use" or type(rule.get("constraint", [])) is not list:
        raise Unknown
    return [_predicate(one) for one in rule.get("constraint", [])]


def _predicate(constraint: Any) -> Any:  # noqa: C901  (the profile on one page)
    """Return (operand, test of a fact)."""
    if type(constraint) is not dict:
        raise Unknown
    if sorted(constraint) != ["leftOperand", "operator", "rightOperand"]:
        raise Unknown
    left, how, right = (constraint[key] for key in ("leftOperand", "operator", "rightOperand"))
    if type(left) is not str or type(how) is not str:
        raise Unknown
    match (left, how):
        case ("odrl:purpose" | "odrl:recipient" | "consilium:algorithm", "eq" | "isAnyOf"):
            allowed = _words(right, single=how == "eq")
            return left, lambda fact: _word(fact) in allowed
        case ("odrl:dateTime", "lteq" | "gteq"):
            end = _instant(_value(right, "xsd:dateTime"))
            sign = 1 if how == "lteq" else -1
            return left, lambda fact: (end - _when(fact)).total_seconds() * sign >= 0
        case ("odrl:count" | "consilium:maxRounds", "lteq"):
            most = _digits(_value(right, "xsd:integer"))
            return left, lambda fact: _integer(fact) <= most
        case ("consilium:minCohortSize" | "consilium:minParticipants", "gteq"):
            least = _digits(_value(right, "xsd:integer"))
            return left, lambda fact: _integer(fact) >= least
        case ("consilium:epsilonBudget" | "consilium:delta", "lteq"):
            text = _value(right, "xsd:decimal")
            if not re.match(r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,18})?\Z", text):
                raise Unknown
            bound = Fraction(text)
            return left, lambda fact: _loss(fact) is not None and _loss(fact) <= bound
        case ("consilium:outputType", "isAnyOf"):
            kinds = _words(right, single=False)
            if kinds - {"model", "metrics", "aggregate"}:
                raise Unknown
            return left, lambda fact: _kind(fact) in kinds
        case ("consilium:secureAggregation", "eq"):
            wanted = _value(right, "xsd:boolean")
            if wanted not in TRUTHS:
                raise Unknown
            return left, lambda fact: _flag(fact) is TRUTHS[wanted]
        case ("odrl:spatial", "eq" | "isPartOf"):
            places = _words(right, single=how == "eq")
            if not all(_is_place(place) for place in places):
                raise Unknown
            if how == "eq":
                return left, lambda fact: _place(fact) in places
            return left, lambda fact: bool({_place(fact), _place(fact)[:2]} & places)
    raise Unknown


def _true(predicate: Any, facts: dict[str, Any], later: set[str]) -> str:
    left, test = predicate
    if left in later:
        return "open"
    if left not in facts:
        raise Missing
    return "yes" if test(facts[left]) else "no"


def _words(right: Any, *, single: bool) -> set[str]:
    found = [right] if type(right) is str else ([] if single or type(right) is not list else right)
    if not found or not all(type(one) is str and one for one in found):
        raise Unknown
    return set(found)


def _value(right: Any, kind: str) -> str:
    if type(right) is not dict or sorted(right) != ["@type", "@value"]:
        raise Unknown
    if right["@type"] != kind or type(right["@value"]) is not str:
        raise Unknown
    return right["@value"]


def _digits(text: str) -> int:
    if text != "0" and not re.match(r"^[1-9][0-9]{0,8}\Z", text):
        raise Unknown
    return int(text)


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None or found.astimezone(UTC).year < 1000:
            raise Unknown
    except (ValueError, OverflowError):
        raise Unknown from None
    return found


def _when(fact: Any) -> datetime:
    if isinstance(fact, datetime) and fact.tzinfo is not None:
        return fact
    raise Missing


def _word(fact: Any) -> str:
    if isinstance(fact, str) and fact:
        return fact
    raise Missing


def _integer(fact: Any) -> int:
    if type(fact) is int:
        return fact
    raise Missing


def _loss(fact: Any) -> Fraction | None:
    """Return a loss; None stands for one without bound."""
    if type(fact) not in (int, float, Decimal) or fact != fact or fact < 0:
        raise Missing
    if fact == float("inf"):
        return None
    return Fraction(str(fact))


def _kind(fact: Any) -> str:
    if fact in ("model", "metrics", "aggregate"):
        return str(fact)
    raise Missing


def _flag(fact: Any) -> bool:
    if fact is True or fact is False:
        return fact
    raise Missing


def _is_place(text: Any) -> bool:
    return type(text) is str and re.match(r"^[A-Z][A-Z](-[A-Z0-9]{1,3})?\Z", text) is not None


def _place(fact: Any) -> str:
    if _is_place(fact):
        return str(fact)
    raise Missing


# --- what is drawn --------------------------------------------------------------------


def typed(kind: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.builds(lambda value: {"@value": value, "@type": kind}, values)


SMALL = typed("xsd:integer", st.sampled_from(["0", "1", "2", "3", "03", "-1"]))
AMOUNT = typed("xsd:decimal", st.sampled_from(["0", "0.5", "1", "1.000001", "2.50", ".5", "1e1"]))
MOMENT = typed(
    "xsd:dateTime", st.sampled_from(["2026-11-23T00:00:00Z", "2026-11-22T23:59:59Z", "soon"])
)
FLAG = typed("xsd:boolean", st.sampled_from(["true", "false", "1"]))
ODD: st.SearchStrategy[Any] = st.sampled_from([None, 3, "", [], {}, ["x", 1], True, 0.5])


def lists(words: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from(words) | st.lists(st.sampled_from(words), max_size=3)


RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "odrl:purpose": lists(PURPOSES),
    "odrl:recipient": lists(PURPOSES),
    "consilium:algorithm": lists(PURPOSES),
    "odrl:dateTime": MOMENT,
    "odrl:count": SMALL,
    "consilium:maxRounds": SMALL,
    "consilium:minCohortSize": SMALL,
    "consilium:minParticipants": SMALL,
    "consilium:epsilonBudget": AMOUNT,
    "consilium:delta": AMOUNT,
    "consilium:outputType": lists(("model", "metrics", "aggregate", "rows")),
    "consilium:secureAggregation": FLAG,
    "odrl:spatial": lists(PLACES),
}
HOW = {
    "odrl:dateTime": ("lteq", "gteq"),
    "odrl:count": ("lteq",),
    "consilium:maxRounds": ("lteq",),
    "consilium:minCohortSize": ("gteq",),
    "consilium:minParticipants": ("gteq",),
    "consilium:epsilonBudget": ("lteq",),
    "consilium:delta": ("lteq",),
    "consilium:outputType": ("isAnyOf",),
    "consilium:secureAggregation": ("eq",),
    "odrl:spatial": ("eq", "isPartOf"),
}
FACT: dict[str, st.SearchStrategy[Any]] = {
    "odrl:purpose": st.sampled_from(PURPOSES),
    "odrl:recipient": st.sampled_from(PURPOSES),
    "consilium:algorithm": st.sampled_from(PURPOSES),
    "odrl:dateTime": st.just(NOW),
    "odrl:count": st.integers(0, 4),
    "consilium:maxRounds": st.integers(0, 4),
    "consilium:minCohortSize": st.integers(0, 4),
    "consilium:minParticipants": st.integers(0, 4),
    "consilium:epsilonBudget": st.sampled_from(
        [0, 0.5, 1, Decimal("1.0000005"), 2.5, float("inf"), Decimal("Infinity"), float("nan")]
    ),
    "consilium:delta": st.sampled_from([0, 0.5, Decimal("1e-12"), -1]),
    "consilium:outputType": st.sampled_from(["model", "metrics", "aggregate", "rows"]),
    "consilium:secureAggregation": st.booleans(),
    "odrl:spatial": st.sampled_from(PLACES),
}


@st.composite
def constraints(draw: st.DrawFn) -> Any:
    operand = draw(st.sampled_from(sorted(RIGHT)))
    usual = draw(st.integers(0, 11)) > 0
    right = draw(RIGHT[operand] if usual else ODD)
    operators = HOW.get(operand, ("eq", "isAnyOf")) if usual else ("eq", "lt", "isNoneOf", None)
    how = draw(st.sampled_from(operators))
    found = {"leftOperand": operand, "operator": how, "rightOperand": right}
    return found if draw(st.integers(0, 25)) else {**found, "unit": "x"}


RULES = st.lists(
    st.builds(
        lambda action, terms: {"action": action, "constraint": terms},
        st.sampled_from(["use"] * 15 + ["sell"]),
        st.lists(constraints(), max_size=4),
    ),
    max_size=2,
)
POLICIES = st.builds(
    lambda profile, permission, prohibition: {
        "profile": profile,
        "permission": permission,
        "prohibition": prohibition,
    },
    st.sampled_from([PROFILE] * 9 + [[PROFILE], "other"]),
    RULES,
    st.just([]) | RULES,
)


@st.composite
def uses(draw: st.DrawFn) -> dict[str, Any]:
    facts = {name: draw(values) for name, values in FACT.items()}
    for gone in draw(st.lists(st.sampled_from(sorted(facts)), max_size=1)):
        facts[gone] = draw(ODD)
    return facts


LATER = st.sets(st.sampled_from(sorted(RIGHT)), max_size=4)


# --- the properties -------------------------------------------------------------------


@settings(max_examples=300)
@given(policy=POLICIES, facts=uses(), later=LATER)
def test_two_evaluators_written_apart_say_the_same(
    policy: Any, facts: dict[str, Any], later: set[str]
) -> None:
    assert evaluate(policy, facts, later=later).allowed == oracle(policy, facts, later)


@settings(max_examples=50)
@given(policy=POLICIES, facts=uses(), later=LATER)
def test_a_decision_is_pure(policy: Any, facts: dict[str, Any], later: set[str]) -> None:
    before = copy.deepcopy((policy, facts, sorted(later)))
    first = evaluate(policy, facts, later=later)
    assert evaluate(copy.deepcopy(policy), dict(facts), later=set(later)) == first
    assert str((policy, facts, sorted(later))) == str(before)


@settings(max_examples=80)
@given(policy=POLICIES, facts=uses(), later=LATER, data=st.data())
def test_a_further_constraint_on_a_permission_never_allows_more(
    policy: Any, facts: dict[str, Any], later: set[str], data: st.DataObject
) -> None:
    tighter = copy.deepcopy(policy)
    if tighter["permission"]:
        data.draw(st.sampled_from(tighter["permission"]))["constraint"].append(
            data.draw(constraints())
        )
    if evaluate(tighter, facts, later=later).allowed:
        assert evaluate(policy, facts, later=later).allowed


@settings(max_examples=80)
@given(policy=POLICIES, facts=uses(), later=LATER, rule=RULES)
def test_a_further_prohibition_never_allows_more_and_a_bare_one_refuses_all(
    policy: Any, facts: dict[str, Any], later: set[str], rule: list[Any]
) -> None:
    stricter = {**policy, "prohibition": [*policy["prohibition"], *rule]}
    if evaluate(stricter, facts, later=later).allowed:
        assert evaluate(policy, facts, later=later).allowed
    bare = {**policy, "prohibition": [*policy["prohibition"], {"action": "use"}]}
    assert not evaluate(bare, facts, later=later).allowed


@settings(max_examples=50)
@given(policy=POLICIES, facts=uses(), data=st.data())
def test_a_fact_that_is_withheld_never_allows_more(
    policy: Any, facts: dict[str, Any], data: st.DataObject
) -> None:
    fewer = dict(facts)
    del fewer[data.draw(st.sampled_from(sorted(facts)))]
    if evaluate(policy, fewer).allowed:
        assert evaluate(policy, facts).allowed
