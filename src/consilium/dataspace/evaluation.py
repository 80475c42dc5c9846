"""What a policy allows: read by the closed vocabulary, judged by one pure function.

Whatever the vocabulary does not know is refused, when an offer is made as well
as when one is asked for. Nothing is allowed unless a permission grants it, and
a prohibition wins over every permission.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from consilium.dataspace.vocabulary import COMPARE, OPERANDS, PROFILE, USE, Operand
from consilium.kernel.errors import DeniedError

_POLICY_KEYS = frozenset(
    {"@id", "@type", "profile", "target", "assigner", "assignee", "timestamp"}
    | {"permission", "prohibition"}
)
_RULE_KEYS = frozenset({"action", "constraint"})
_CONSTRAINT_KEYS = frozenset({"leftOperand", "operator", "rightOperand"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a use is allowed; if not, which rule refused it and by which code."""

    allowed: bool
    rule: str
    code: str = ""

    def require(self) -> None:
        """Do nothing if allowed.

        Raises
        ------
        DeniedError
            With the decision's code and rule.
        """
        if not self.allowed:
            raise DeniedError(self.code, rule=self.rule)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint: its row of the vocabulary, its operator, its right side as read."""

    operand: Operand
    operator: str
    right: Any


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy as read: rules, each a tuple of constraints that all must hold."""

    permissions: tuple[tuple[Constraint, ...], ...]
    prohibitions: tuple[tuple[Constraint, ...], ...]


class _RefusedError(Exception):
    """A policy cannot be judged: `rule` names the term, `code` the reason."""

    def __init__(self, code: str, rule: str) -> None:
        self.code, self.rule = code, rule[:80]
        super().__init__(code)


def check_policy(policy: object) -> None:
    """Refuse a policy that is not wholly within the profile.

    Raises
    ------
    DeniedError
        `dataspace.unknown_term`; its rule names what is not known.

    Discloses
    ---------
    Nothing.
    """
    rules_of(policy)


def rules_of(policy: object) -> Rules:
    """Read a policy's permissions and prohibitions; refuses as `check_policy`.

    Discloses
    ---------
    Nothing.
    """
    try:
        return _read_policy(policy)
    except _RefusedError as error:
        raise DeniedError(error.code, rule=error.rule) from None


def evaluate(policy: object, facts: Mapping[str, Any], *, later: Collection[str] = ()) -> Decision:
    """Decide whether a use with these facts is allowed under a policy.

    Pure and total: any policy and any facts give a decision, never an error.

    Parameters
    ----------
    policy : object
        An ODRL offer or agreement as it came off the wire.
    facts : mapping of str to value
        What is true of the use, by operand. `odrl:dateTime` is a moment (aware
        datetime or ISO 8601); `odrl:count` the number of uses, this one
        included; `consilium:maxRounds` the rounds asked for or begun;
        `consilium:minCohortSize` the patients computed on.
    later : collection of str, optional
        Operands that another gate judges: they neither grant nor refuse here.

    Returns
    -------
    Decision
        Denied with `dataspace.unknown_term` if the profile does not know
        something, `dataspace.fact_missing` if any fact is missing and not `later`,
        `dataspace.prohibited`, `dataspace.not_permitted`, or the code of the
        first term that does not hold.

    Discloses
    ---------
    Nothing.
    """
    try:
        return _judge(_read_policy(policy), facts, later)
    except _RefusedError as error:
        return Decision(allowed=False, rule=error.rule, code=error.code)


def _judge(rules: Rules, facts: Mapping[str, Any], later: Collection[str]) -> Decision:
    """Judge every constraint, then the rules: so the order of writing decides nothing."""
    prohibited = [_answers(rule, facts, later) for rule in rules.prohibitions]
    permitted = [_answers(rule, facts, later) for rule in rules.permissions]
    if any(all(answer is True for answer in answers) for answers in prohibited):
        return Decision(allowed=False, rule="prohibition", code="dataspace.prohibited")
    if not permitted:
        return Decision(allowed=False, rule="permission", code="dataspace.not_permitted")
    if any(False not in answers for answers in permitted):
        return Decision(allowed=True, rule="permission")
    refused = rules.permissions[0][permitted[0].index(False)].operand
    return Decision(allowed=False, rule=refused.name, code=refused.code)


def _answers(
    rule: tuple[Constraint, ...], facts: Mapping[str, Any], later: Collection[str]
) -> list[bool | None]:
    return [_holds(item, facts, later) for item in rule]


def _holds(item: Constraint, facts: Mapping[str, Any], later: Collection[str]) -> bool | None:
    """Say whether a constraint holds; None if another gate judges it."""
    if item.operand.name in later:
        return None
    try:
        fact = item.operand.fact(facts[item.operand.name])
    except (KeyError, ValueError) as error:
        raise _RefusedError("dataspace.fact_missing", item.operand.name) from error
    return COMPARE[item.operator](fact, item.right)


def _read_policy(policy: object) -> Rules:
    if not isinstance(policy, dict):
        raise _unknown("policy")
    _refuse_others(policy, _POLICY_KEYS)
    if policy.get("profile") not in (PROFILE, [PROFILE]):
        raise _unknown("profile")
    return Rules(_read_rules(policy, "permission"), _read_rules(policy, "prohibition"))


def _read_rules(policy: dict[str, Any], kind: str) -> tuple[tuple[Constraint, ...], ...]:
    rules = policy.get(kind, [])
    if not isinstance(rules, list):
        raise _unknown(kind)
    return tuple(_read_rule(rule) for rule in rules)


def _read_rule(rule: object) -> tuple[Constraint, ...]:
    if not isinstance(rule, dict):
        raise _unknown("rule")
    _refuse_others(rule, _RULE_KEYS)
    constraints = rule.get("constraint", [])
    if rule.get("action") != USE:
        raise _unknown("action")
    if not isinstance(constraints, list):
        raise _unknown("constraint")
    return tuple(_read_constraint(item) for item in constraints)


def _read_constraint(item: object) -> Constraint:
    if not isinstance(item, dict) or item.keys() != _CONSTRAINT_KEYS:
        raise _unknown("constraint")
    name, comparison = item["leftOperand"], item["operator"]
    operand = OPERANDS.get(name) if isinstance(name, str) else None
    if operand is None:
        raise _unknown(str(name))
    read = operand.operators.get(comparison) if isinstance(comparison, str) else None
    if read is None:
        raise _unknown(f"{name} {comparison}")
    try:
        return Constraint(operand, comparison, read(item["rightOperand"]))
    except ValueError as error:
        raise _unknown(f"{name} rightOperand") from error


def _refuse_others(found: dict[str, Any], known: frozenset[str]) -> None:
    for key in found:
        if key not in known:
            raise _unknown(str(key))


def _unknown(term: str) -> _RefusedError:
    return _RefusedError("dataspace.unknown_term", term)
