"""What is spent and left: every budget of this hospital, for the people who watch it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from consilium.dataspace.records import Agreement, Role
from consilium.dataspace.store import list_agreements, list_datasets
from consilium.gate.budgets import spent_rounds
from consilium.gate.privacy import Purse, purse_of_agreement, purse_of_dataset
from consilium.gate.store import STUDIES
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A budget in whole numbers."""

    limit: int
    spent: int

    @property
    def left(self) -> int:
        """What may still be spent; never below 0."""
        return max(0, self.limit - self.spent)

    def as_record(self) -> dict[str, int]:
        """Give limit, spent and left as JSON."""
        return {"limit": self.limit, "spent": self.spent, "left": self.left}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementBudget:
    """What an agreement that this hospital gave still allows."""

    agreement: AgreementId
    consumer: ParticipantId
    dataset: DatasetId
    state: str
    studies: Counted
    rounds: Counted
    privacy: Purse

    def as_record(self) -> dict[str, Any]:
        """Give the budget as JSON."""
        return {
            "agreement": self.agreement,
            "consumer": self.consumer,
            "dataset": self.dataset,
            "state": self.state,
            "studies": self.studies.as_record(),
            "rounds": self.rounds.as_record(),
            "privacy": purse_record(self.privacy),
        }


def list_budgets(connection: sa.Connection) -> dict[str, list[dict[str, Any]]]:
    """List the budgets of the agreements that this hospital gave, and of its datasets.

    Agreements of one dataset share the dataset's privacy budget: what one
    spends, the others no longer have.

    Discloses
    ---------
    Nothing outside the hospital: it is for its own people.
    """
    places = _studies(connection)
    given = list_agreements(connection, role=Role.PROVIDER)
    return {
        "agreements": [_budget(connection, one, places).as_record() for one in given],
        "datasets": [
            {"dataset": one.id, "name": one.name, **purse_record(purse_of_dataset(connection, one))}
            for one in list_datasets(connection)
        ],
    }


def purse_record(purse: Purse) -> dict[str, Any]:
    """Give a privacy budget as JSON; a limit of null is none."""
    left = {"left_epsilon": purse.left_epsilon, "left_delta": purse.left_delta}
    return asdict(purse) | left


def _budget(
    connection: sa.Connection, agreement: Agreement, places: Mapping[str, int]
) -> AgreementBudget:
    terms = agreement.terms
    return AgreementBudget(
        agreement=agreement.id,
        consumer=agreement.consumer,
        dataset=agreement.dataset,
        state=agreement.state,
        studies=Counted(limit=terms.count, spent=places.get(agreement.id, 0)),
        rounds=Counted(limit=terms.max_rounds, spent=spent_rounds(connection, agreement.id)),
        privacy=purse_of_agreement(connection, agreement),
    )


def _studies(connection: sa.Connection) -> dict[str, int]:
    query = sa.select(STUDIES.c.agreement, sa.func.count()).group_by(STUDIES.c.agreement)
    return {agreement: int(number) for agreement, number in connection.execute(query)}
