"""One ODRL profile, closed: what may be written in a policy, and what it allows.

Whatever the vocabulary does not know is refused, when an offer is made as well
as when one is asked for. Nothing is allowed unless a permission grants it, and
a prohibition wins over every permission.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from consilium.dataspace.records import Terms
from consilium.dataspace.vocabulary import (
    ALGORITHM,
    COMPARE,
    COUNT,
    MAX_ROUNDS,
    MIN_COHORT,
    OPERANDS,
    PROFILE,
    PURPOSE,
    RECIPIENT,
    TIME,
    USE,
    Operand,
    moment,
    number,
)
from consilium.kernel.canonical import Digest
from consilium.kernel.clock import write_time
from consilium.kernel.errors import DeniedError, InputError
from consilium.kernel.identifiers import AgreementId, DatasetId, OfferId, ParticipantId

__all__ = [
    "ALGORITHM",
    "COUNT",
    "MAX_ROUNDS",
    "MIN_COHORT",
    "PROFILE",
    "PURPOSE",
    "RECIPIENT",
    "TIME",
    "Decision",
    "agreement_of",
    "check_policy",
    "evaluate",
    "is_same_rules",
    "offer_for",
    "policy_of",
    "terms_of",
]

_POLICY_KEYS = frozenset(
    {"@id", "@type", "profile", "target", "assigner", "assignee", "timestamp"}
    | {"permission", "prohibition"}
)
_RULE_KEYS = frozenset({"action", "constraint"})
_CONSTRAINT_KEYS = frozenset({"leftOperand", "operator", "rightOperand"})
_RULES = ("profile", "permission", "prohibition")


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
class _Constraint:
    operand: Operand
    operator: str
    right: Any


@dataclass(frozen=True, slots=True)
class _Rules:
    permissions: tuple[tuple[_Constraint, ...], ...]
    prohibitions: tuple[tuple[_Constraint, ...], ...]


class _RefusedError(Exception):
    """A policy cannot be judged: `rule` names the term, `code` the reason."""

    def __init__(self, code: str, rule: str) -> None:
        self.code, self.rule = code, rule[:80]
        super().__init__(code)


def policy_of(terms: Terms, *, offer: OfferId) -> dict[str, Any]:
    """Write terms as an ODRL offer of our profile, without a target.

    Raises
    ------
    InputError
        `dataspace.bad_terms` if the terms could never allow anything: an empty
        list, a number below 1, a time that is none.

    Discloses
    ---------
    The terms, to whoever is shown the offer.
    """
    _check_terms(terms)
    constraints = [
        _constraint(PURPOSE, "isAnyOf", list(terms.purposes)),
        _constraint(TIME, "lteq", moment(terms.not_after)),
        _constraint(COUNT, "lteq", number(terms.count)),
        _constraint(MAX_ROUNDS, "lteq", number(terms.max_rounds)),
        _constraint(MIN_COHORT, "gteq", number(terms.min_cohort)),
        _constraint(RECIPIENT, "isAnyOf", list(terms.recipients)),
        _constraint(ALGORITHM, "isAnyOf", list(terms.algorithms)),
    ]
    policy = {
        "@id": offer,
        "@type": "Offer",
        "profile": PROFILE,
        "permission": [{"action": USE, "constraint": constraints}],
    }
    check_policy(policy)
    return policy


def terms_of(policy: object) -> Terms:
    """Read back what `policy_of` wrote, from an offer or an agreement.

    Raises
    ------
    DeniedError
        `dataspace.unknown_term` for anything outside the profile.
    InputError
        `dataspace.bad_terms` if it is not one permission with each term once.

    Discloses
    ---------
    Nothing.
    """
    try:
        rules = _read_policy(policy)
    except _RefusedError as error:
        raise DeniedError(error.code, rule=error.rule) from None
    found = {(item.operand.name, item.operator): item.right for item in _only_permission(rules)}
    try:
        terms = Terms(
            purposes=tuple(sorted(found.pop((PURPOSE, "isAnyOf")))),
            not_after=write_time(found.pop((TIME, "lteq"))),
            count=found.pop((COUNT, "lteq")),
            max_rounds=found.pop((MAX_ROUNDS, "lteq")),
            min_cohort=found.pop((MIN_COHORT, "gteq")),
            recipients=tuple(
                ParticipantId(who) for who in sorted(found.pop((RECIPIENT, "isAnyOf")))
            ),
            algorithms=tuple(Digest(name) for name in sorted(found.pop((ALGORITHM, "isAnyOf")))),
        )
    except KeyError as error:
        raise InputError("dataspace.bad_terms", term=error.args[0][0]) from error
    if found:
        raise InputError("dataspace.bad_terms", term=next(iter(found))[0])
    return terms


def offer_for(policy: Mapping[str, Any], *, target: DatasetId) -> dict[str, Any]:
    """Name the dataset in an offer, as a contract request carries it."""
    return {**policy, "@type": "Offer", "target": target}


def agreement_of(
    offer: Mapping[str, Any],
    *,
    agreement: AgreementId,
    assigner: ParticipantId,
    assignee: ParticipantId,
    timestamp: str,
) -> dict[str, Any]:
    """Turn an offer with a target into the agreement that its provider signs."""
    parties = {"assigner": assigner, "assignee": assignee, "timestamp": timestamp}
    return {**offer, "@id": agreement, "@type": "Agreement", **parties}


def is_same_rules(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two policies say the same, whatever they are called and whoever they bind."""
    return all(one.get(key) == other.get(key) for key in _RULES)


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
    try:
        _read_policy(policy)
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
        something, `dataspace.fact_missing` if a fact is missing and not `later`,
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


def _judge(rules: _Rules, facts: Mapping[str, Any], later: Collection[str]) -> Decision:
    for prohibition in rules.prohibitions:
        if all(_holds(item, facts, later) is True for item in prohibition):
            return Decision(allowed=False, rule="prohibition", code="dataspace.prohibited")
    refused = [_first_refusal(permission, facts, later) for permission in rules.permissions]
    if not refused:
        return Decision(allowed=False, rule="permission", code="dataspace.not_permitted")
    if None in refused or refused[0] is None:
        return Decision(allowed=True, rule="permission")
    return Decision(allowed=False, rule=refused[0].name, code=refused[0].code)


def _holds(item: _Constraint, facts: Mapping[str, Any], later: Collection[str]) -> bool | None:
    """Say whether a constraint holds; None if another gate judges it."""
    if item.operand.name in later:
        return None
    try:
        fact = item.operand.fact(facts[item.operand.name])
    except (KeyError, ValueError) as error:
        raise _RefusedError("dataspace.fact_missing", item.operand.name) from error
    return COMPARE[item.operator](fact, item.right)


def _first_refusal(
    permission: tuple[_Constraint, ...], facts: Mapping[str, Any], later: Collection[str]
) -> Operand | None:
    for item in permission:
        if _holds(item, facts, later) is False:
            return item.operand
    return None


def _read_policy(policy: object) -> _Rules:
    if not isinstance(policy, dict):
        raise _unknown("policy")
    _refuse_others(policy, _POLICY_KEYS)
    if policy.get("profile") not in (PROFILE, [PROFILE]):
        raise _unknown("profile")
    return _Rules(_read_rules(policy, "permission"), _read_rules(policy, "prohibition"))


def _read_rules(policy: dict[str, Any], kind: str) -> tuple[tuple[_Constraint, ...], ...]:
    rules = policy.get(kind, [])
    if not isinstance(rules, list):
        raise _unknown(kind)
    return tuple(_read_rule(rule) for rule in rules)


def _read_rule(rule: object) -> tuple[_Constraint, ...]:
    if not isinstance(rule, dict):
        raise _unknown("rule")
    _refuse_others(rule, _RULE_KEYS)
    constraints = rule.get("constraint", [])
    if rule.get("action") != USE:
        raise _unknown("action")
    if not isinstance(constraints, list):
        raise _unknown("constraint")
    return tuple(_read_constraint(item) for item in constraints)


def _read_constraint(item: object) -> _Constraint:
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
        return _Constraint(operand, comparison, read(item["rightOperand"]))
    except ValueError as error:
        raise _unknown(f"{name} rightOperand") from error


def _refuse_others(found: dict[str, Any], known: frozenset[str]) -> None:
    for key in found:
        if key not in known:
            raise _unknown(str(key))


def _unknown(term: str) -> _RefusedError:
    return _RefusedError("dataspace.unknown_term", term)


def _constraint(name: str, comparison: str, right: object) -> dict[str, Any]:
    return {"leftOperand": name, "operator": comparison, "rightOperand": right}


def _only_permission(rules: _Rules) -> tuple[_Constraint, ...]:
    if len(rules.permissions) != 1 or rules.prohibitions:
        raise InputError("dataspace.bad_terms", term="permission")
    (permission,) = rules.permissions
    if len({(item.operand.name, item.operator) for item in permission}) != len(permission):
        raise InputError("dataspace.bad_terms", term="constraint")
    return permission


def _check_terms(terms: Terms) -> None:
    for name in ("purposes", "recipients", "algorithms"):
        if not getattr(terms, name):
            raise InputError("dataspace.bad_terms", term=name)
    for name in ("count", "max_rounds", "min_cohort"):
        if getattr(terms, name) < 1:
            raise InputError("dataspace.bad_terms", term=name)
    try:
        moment(terms.not_after)
    except ValueError as error:
        raise InputError("dataspace.bad_terms", term="not_after") from error
