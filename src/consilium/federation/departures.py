"""Departures: hospitals that have ended their part in a running study for good.

A hospital tells the hub itself, under its own signature, as soon as its node has
stopped its job. The hub keeps that as an event with evidence: it neither waits
for that hospital any more nor begins a segment to welcome it back, and it ends
the study at once when too few are left. A word that was lost costs a segment:
the hospital's gate then refuses the next one with one of the `FINAL` codes.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from consilium.federation.store import EVENTS, add_event
from consilium.gate.orders import Study
from consilium.kernel.canonical import read_json
from consilium.kernel.clock import Clock
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.database import Database, Transaction

LEFT = "left"
"""Kind of the event."""
FINAL = frozenset(
    {
        "gate.agreement_revoked",
        "gate.study_expired",
        "dataspace.governance_ended",
        "dataspace.outside_time",
    }
)
"""Refusals after which a hospital will not take part in the study again."""
_LONGEST = 300


def note_departure(
    tx: Transaction,
    study: StudyId,
    participant: ParticipantId,
    *,
    code: str,
    reason: str,
    clock: Clock,
) -> bool:
    """Write down that a hospital has left a study, once; say whether that is new.

    Discloses
    ---------
    Code and reason, to the lead and the hospitals of the study.
    """
    if participant in list_departed(tx.connection, study):
        return False
    facts = {"participant": participant, "code": code[:80], "reason": reason[:_LONGEST]}
    tx.record("study.left", study, {**facts})
    add_event(tx, study, LEFT, {**facts}, clock=clock)
    return True


def list_departed(connection: sa.Connection, study: StudyId) -> frozenset[ParticipantId]:
    """Name the hospitals that have left a study.

    Discloses
    ---------
    Nothing: it reads the hub's own events.
    """
    query = sa.select(EVENTS.c.facts).where(EVENTS.c.study == study, EVENTS.c.kind == LEFT)
    told = [read_json(facts) for facts in connection.execute(query).scalars()]
    return frozenset(
        ParticipantId(str(facts["participant"])) for facts in told if isinstance(facts, dict)
    )


class Departures:
    """Who has left one study: known from its events, and kept up to date.

    Parameters
    ----------
    database : Database
        The hub's.
    plan : Study
        The study.
    clock : Clock
        For the events.
    """

    def __init__(self, database: Database, plan: Study, *, clock: Clock) -> None:
        self._database = database
        self._plan = plan
        self._clock = clock
        with database.read() as connection:
            self.gone = list_departed(connection, plan.study)

    @property
    def staying(self) -> frozenset[ParticipantId]:
        """The hospitals of the plan that have not left."""
        return frozenset(site.participant for site in self._plan.sites) - self.gone

    @property
    def are_too_many(self) -> bool:
        """Whether those who stay are below the quorum."""
        return len(self.staying) < self._plan.quorum

    def look(self) -> None:
        """Hear of hospitals that have told the hub since."""
        with self._database.read() as connection:
            self.gone = list_departed(connection, self._plan.study)

    def hear_refusals(self, refusals: Iterable[tuple[ParticipantId, str]]) -> None:
        """Take a refusal that is final for a departure: `code: sentence`, as a site gave it."""
        for participant, words in refusals:
            code, _, reason = words.partition(": ")
            if code in FINAL and participant not in self.gone:
                with self._database.write() as tx:
                    note_departure(
                        tx,
                        self._plan.study,
                        participant,
                        code=code,
                        reason=reason,
                        clock=self._clock,
                    )
                self.gone |= {participant}

    def check_quorum(self) -> None:
        """Return while enough hospitals stay.

        Raises
        ------
        StateError
            `study.sites_left`.
        """
        if self.are_too_many:
            raise StateError(
                "study.sites_left",
                left=len(self.gone),
                invited=len(self._plan.sites),
                ready=len(self.staying),
                quorum=self._plan.quorum,
                now="too few hospitals",
                wanted="a quorum",
            )
