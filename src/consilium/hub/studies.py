"""The hub's counter for studies: leads submit, watch, fetch and stop theirs."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from consilium.dataspace.ports import Directory
from consilium.federation.attempts import study_folder
from consilium.federation.coordination import Coordinator
from consilium.federation.departures import note_departure
from consilium.federation.states import LIVE, StudyState
from consilium.federation.store import get_study, list_events, list_segments, list_studies
from consilium.federation.studies import accept_study, find_accepted
from consilium.gate.orders import Study, peek_study, verify_study
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import (
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
)
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.database import Database
from consilium.ledger.files import write_atomic

LONGEST_WAIT_S = 20.0


class Submission(BaseModel):
    """A signed plan and its starting model (base64)."""

    model_config = ConfigDict(extra="forbid")
    signed: str
    start: str


class Departure(BaseModel):
    """Why a hospital has ended its part in a study."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(max_length=80)
    reason: str = Field(max_length=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCounter:
    """What the hub does with a study that a member brings."""

    database: Database
    coordinator: Coordinator
    directory: Directory
    clock: Clock

    def submit(self, sender: ParticipantId, submission: Submission) -> dict[str, Any]:
        """Take a study from its lead and begin to run it; the same one twice is the same.

        One that has ended stays ended.

        Raises
        ------
        DeniedError
            `study.not_the_lead`.
        IntegrityError
            `study.wrong_start`, `ledger.bad_signature`.
        StateError
            `study.other_plan`.
        """
        lead = peek_study(submission.signed).lead
        if lead != sender:
            raise DeniedError("study.not_the_lead", lead=lead, rule="lead")
        plan = verify_study(submission.signed, key=self.directory.key_of(lead))
        start = _from_base64(submission.start)
        if digest_of(start) != plan.start:
            raise IntegrityError("study.wrong_start")
        with self.database.read() as connection:
            known = find_accepted(connection, plan)
        if known is None:
            known = self._accept(plan, submission.signed, start)
        if known in LIVE:
            self.coordinator.begin(plan.study)
        return {"study": plan.study, "digest": plan.digest}

    def _accept(self, plan: Study, signed: str, start: bytes) -> StudyState:
        """Keep model and plan, the model first: a plan on record always has its model."""
        folder = study_folder(self.coordinator.root, plan)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(folder / "start.safetensors", start)
        with self.database.write() as tx:
            return accept_study(tx, plan, signed, clock=self.clock)

    def show(self, sender: ParticipantId, study: StudyId) -> dict[str, Any]:
        """Tell a participant of the study where it stands."""
        with self.database.read() as connection:
            row = get_study(connection, study)
            segments = list_segments(connection, study)
        self._admit(sender, row["signed"])
        return {
            "study": study,
            "state": row["state"],
            "reason": row["reason"],
            "segments": [dict(segment) for segment in segments],
        }

    def watch(self, sender: ParticipantId, study: StudyId, *, after: int) -> dict[str, Any]:
        """Give the events after a number; waits for one, a while."""
        ends = time.monotonic() + LONGEST_WAIT_S
        while True:
            with self.database.read() as connection:
                row = get_study(connection, study)
                events = list_events(connection, study, after=after)
            self._admit(sender, row["signed"])
            over = row["state"] not in {StudyState.SUBMITTED, StudyState.RUNNING}
            if events or over or time.monotonic() > ends:
                said = {"state": row["state"], "reason": row["reason"], "events": events}
                return said | self._pulse(peek_study(row["signed"]))
            time.sleep(0.1)

    def _pulse(self, plan: Study) -> dict[str, Any]:
        """Say which hospitals of a study are connected at this moment."""
        here = self.coordinator.engine.sites()
        sites = sorted(site.participant for site in plan.sites if site.participant in here)
        return {"time": write_time(self.clock.now()), "here": sites}

    def result(self, sender: ParticipantId, study: StudyId) -> dict[str, Any]:
        """Give the lead the final model, every site's signed evaluation, and the signed rounds.

        Raises
        ------
        StateError
            `study.not_finished`.
        """
        plan, state = self._own(sender, study)
        if state is not StudyState.COMPLETED:
            raise StateError("study.not_finished", now=state, wanted=StudyState.COMPLETED)
        folder = self.coordinator.ended_attempt(plan)
        return {
            "evaluation": folder.evaluation(),
            "rounds": self.coordinator.rounds(plan),
            "final": base64.b64encode(folder.final()).decode(),
        }

    def stop(self, sender: ParticipantId, study: StudyId) -> dict[str, Any]:
        """Stop a study for good, on its lead's word."""
        self._own(sender, study)
        self.coordinator.stop(study)
        return {"study": study}

    def leave(self, sender: ParticipantId, study: StudyId, departure: Departure) -> dict[str, Any]:
        """Hear from a hospital that it has ended its part in a study; once is enough."""
        with self.database.read() as connection:
            row = get_study(connection, study)
        plan = peek_study(row["signed"])
        if plan.find_site(sender) is None:
            raise NotFoundError("study.unknown", study=study)
        if row["state"] in LIVE:
            with self.database.write() as tx:
                note_departure(
                    tx,
                    study,
                    sender,
                    code=departure.code,
                    reason=departure.reason,
                    clock=self.clock,
                )
        return {"study": study}

    def expel(self, participant: ParticipantId) -> None:
        """End the part of a member that was revoked: its own studies stop, the others' go on."""
        with self.database.read() as connection:
            live = list_studies(connection, states=LIVE)
        for row in live:
            study, plan = StudyId(row["id"]), peek_study(row["signed"])
            if plan.lead == participant:
                self.coordinator.stop(study)
            elif plan.find_site(participant) is not None:
                error = DeniedError("hub.member_revoked", member=participant)
                said = {"code": error.code, "reason": error.public}
                with self.database.write() as tx:
                    note_departure(tx, study, participant, **said, clock=self.clock)

    def _own(self, sender: ParticipantId, study: StudyId) -> tuple[Study, StudyState]:
        with self.database.read() as connection:
            row = get_study(connection, study)
        plan = peek_study(row["signed"])
        if plan.lead != sender:
            raise NotFoundError("study.unknown", study=study)
        return plan, StudyState(row["state"])

    def _admit(self, sender: ParticipantId, signed: str) -> None:
        plan = peek_study(signed)
        if plan.lead != sender and plan.find_site(sender) is None:
            raise NotFoundError("study.unknown", study=plan.study)


def studies_router(counter: StudyCounter, *, sender: Callable[..., Any]) -> APIRouter:
    """Make the routes; `sender` is the dependency that tells which member asks."""
    router = APIRouter(prefix="/studies", tags=["studies"])
    member = Depends(sender)

    @router.post("")
    def submit(submission: Submission, who: ParticipantId = member) -> dict[str, Any]:
        return counter.submit(who, submission)

    @router.get("/{study}")
    def show(study: str, who: ParticipantId = member) -> dict[str, Any]:
        return counter.show(who, StudyId(study))

    @router.get("/{study}/events")
    def watch(study: str, after: int = 0, who: ParticipantId = member) -> dict[str, Any]:
        return counter.watch(who, StudyId(study), after=after)

    @router.get("/{study}/result")
    def result(study: str, who: ParticipantId = member) -> dict[str, Any]:
        return counter.result(who, StudyId(study))

    @router.post("/{study}/leave")
    def leave(study: str, departure: Departure, who: ParticipantId = member) -> dict[str, Any]:
        return counter.leave(who, StudyId(study), departure)

    @router.post("/{study}/stop")
    def stop(study: str, who: ParticipantId = member) -> dict[str, Any]:
        return counter.stop(who, StudyId(study))

    return router


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InputError("study.bad_plan", field="start", reason="is not base64") from error
