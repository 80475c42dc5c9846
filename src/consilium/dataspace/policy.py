"""Offers and agreements: terms as a policy of our one ODRL profile, and back.

What a policy allows is judged in `evaluation`; here it is written and read.
Each term of `Terms` is one row of `_WRITTEN`; the optional ones are left out
of the policy when they are not set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consilium.dataspace.evaluation import (
    Constraint,
    Decision,
    Rules,
    check_policy,
    evaluate,
    rules_of,
)
from consilium.dataspace.records import Terms
from consilium.dataspace.vocabulary import (
    ALGORITHM,
    COUNT,
    DELTA,
    EPSILON,
    MAX_ROUNDS,
    MIN_COHORT,
    MIN_PARTICIPANTS,
    OUTPUT,
    OUTPUTS,
    PROFILE,
    PURPOSE,
    RECIPIENT,
    SECURE,
    SPATIAL,
    TIME,
    USE,
    decimal,
    moment,
    number,
    read_place,
    truth,
)
from consilium.kernel.clock import write_time
from consilium.kernel.errors import InputError
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

_RULES = ("profile", "permission", "prohibition")
_FINEST_EPSILON = 1e-6
_FINEST_DELTA = 1e-12
_GREATEST = 10**9 - 1


@dataclass(frozen=True, slots=True)
class _Written:
    """How one field of `Terms` stands in a policy, and how it is read back."""

    field: str
    operand: str
    operator: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    optional: bool = False


def _sorted(value: Any) -> tuple[Any, ...]:
    return tuple(sorted(value))


def _only(value: frozenset[bool]) -> bool:
    (truth_,) = value
    return truth_


_WRITTEN = (
    _Written("purposes", PURPOSE, "isAnyOf", list, _sorted),
    _Written("not_after", TIME, "lteq", moment, write_time),
    _Written("count", COUNT, "lteq", number, int),
    _Written("max_rounds", MAX_ROUNDS, "lteq", number, int),
    _Written("min_cohort", MIN_COHORT, "gteq", number, int),
    _Written("recipients", RECIPIENT, "isAnyOf", list, _sorted),
    _Written("algorithms", ALGORITHM, "isAnyOf", list, _sorted),
    _Written("min_participants", MIN_PARTICIPANTS, "gteq", number, int, optional=True),
    _Written("epsilon", EPSILON, "lteq", decimal, float, optional=True),
    _Written("delta", DELTA, "lteq", decimal, float, optional=True),
    _Written("outputs", OUTPUT, "isAnyOf", list, _sorted, optional=True),
    _Written("secure_aggregation", SECURE, "eq", truth, _only, optional=True),
    _Written("spatial", SPATIAL, "isPartOf", list, _sorted, optional=True),
)


def policy_of(terms: Terms, *, offer: OfferId) -> dict[str, Any]:
    """Write terms as an ODRL offer of our profile, without a target.

    An `epsilon` without a `delta` is written with a delta of 0.

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
    values = {row.field: getattr(terms, row.field) for row in _WRITTEN}
    if terms.epsilon is not None and terms.delta is None:
        values["delta"] = 0.0
    constraints = [
        {
            "leftOperand": row.operand,
            "operator": row.operator,
            "rightOperand": row.write(values[row.field]),
        }
        for row in _WRITTEN
        if values[row.field] not in (None, ())
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
        `dataspace.bad_terms` if it is not one permission with each term once,
        or lacks one that every offer has.

    Discloses
    ---------
    Nothing.
    """
    permission = _only_permission(rules_of(policy))
    found = {(item.operand.name, item.operator): item.right for item in permission}
    values: dict[str, Any] = {}
    for row in _WRITTEN:
        if (row.operand, row.operator) in found:
            values[row.field] = row.read(found.pop((row.operand, row.operator)))
        elif not row.optional:
            raise InputError("dataspace.bad_terms", term=row.operand)
    if found:
        raise InputError("dataspace.bad_terms", term=next(iter(found))[0])
    if ("epsilon" in values) != ("delta" in values):
        raise InputError("dataspace.bad_terms", term=EPSILON)
    return Terms(**values)


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


def _only_permission(rules: Rules) -> tuple[Constraint, ...]:
    if len(rules.permissions) != 1 or rules.prohibitions:
        raise InputError("dataspace.bad_terms", term="permission")
    (permission,) = rules.permissions
    if len({(item.operand.name, item.operator) for item in permission}) != len(permission):
        raise InputError("dataspace.bad_terms", term="constraint")
    return permission


def _check_terms(terms: Terms) -> None:
    for name, fits in _FITS.items():
        try:
            is_fit = fits(terms)
        except ValueError as error:
            raise InputError("dataspace.bad_terms", term=name) from error
        if not is_fit:
            raise InputError("dataspace.bad_terms", term=name)


def _is_epsilon(terms: Terms) -> bool:
    return terms.epsilon is None or _FINEST_EPSILON <= terms.epsilon <= _GREATEST


def _is_delta(terms: Terms) -> bool:
    if terms.delta is None or terms.epsilon is None:
        return terms.delta is None
    return terms.delta == 0 or _FINEST_DELTA <= terms.delta < 1


_FITS: Mapping[str, Callable[[Terms], bool]] = {
    "purposes": lambda terms: bool(terms.purposes),
    "not_after": lambda terms: bool(moment(terms.not_after)),
    "count": lambda terms: terms.count >= 1,
    "max_rounds": lambda terms: terms.max_rounds >= 1,
    "min_cohort": lambda terms: terms.min_cohort >= 1,
    "recipients": lambda terms: bool(terms.recipients),
    "algorithms": lambda terms: bool(terms.algorithms),
    "min_participants": lambda terms: terms.min_participants is None or terms.min_participants >= 1,
    "epsilon": _is_epsilon,
    "delta": _is_delta,
    "outputs": lambda terms: set(terms.outputs) <= set(OUTPUTS),
    "spatial": lambda terms: all(read_place(place) for place in terms.spatial),
}
