"""What an agreement is checked against, and what is kept of it."""

from __future__ import annotations

from typing import Any

from consilium.dataspace.connector import Connector
from consilium.dataspace.policy import check_policy, is_same_rules, terms_of
from consilium.dataspace.records import Agreement, Negotiation, Role
from consilium.dataspace.store import find_agreement
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.database import Transaction


def check_agreement(
    tx: Transaction, asked: Negotiation, policy: dict[str, Any], *, me: ParticipantId
) -> None:
    """Check an agreement against what we asked for, as consumer.

    Plan: (1) it says nothing that the profile does not know; (2) same rules,
    same dataset; (3) the two parties; (4) a moment; (5) a number of its own.

    Raises
    ------
    DeniedError
        `dataspace.unknown_term`, `dataspace.agreement_differs`.

    Discloses
    ---------
    Nothing.
    """
    check_policy(policy)
    known = find_agreement(tx.connection, policy["@id"], role=Role.CONSUMER)
    rules = {
        "rules": is_same_rules(asked.policy, policy),
        "target": policy["target"] == asked.dataset,
        "assigner": policy["assigner"] == asked.peer,
        "assignee": policy["assignee"] == me,
        "timestamp": bool(policy.get("timestamp")),
        "@id": known is None,
    }
    for rule, holds in rules.items():
        if not holds:
            raise DeniedError("dataspace.agreement_differs", rule=rule)


def new_agreement(connector: Connector, process: Negotiation, *, agreed: str) -> Agreement:
    """Write the agreement of a negotiation, with both keys as they are now."""
    parties = {process.role: connector.me, process.role.other: process.peer}
    keys = {process.role: connector.key.public.text, process.role.other: process.peer_key}
    return Agreement(
        id=process.agreement,
        role=process.role,
        dataset=process.dataset,
        provider=parties[Role.PROVIDER],
        consumer=parties[Role.CONSUMER],
        provider_key=keys[Role.PROVIDER],
        consumer_key=keys[Role.CONSUMER],
        policy=process.policy,
        terms=terms_of(process.policy),
        negotiation=process.pid,
        state=process.state,
        agreed=agreed,
    )
