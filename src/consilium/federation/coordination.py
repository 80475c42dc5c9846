"""Running studies at the hub: segments, attempts, and what survives a crash.

The hub's database and the files of accepted rounds are the truth. The engine
is asked to run one segment at a time; what it says about its jobs is never
believed further than "try again". Each attempt writes into a folder of its
own, so a job that lives on after its time writes where nobody looks.

A segment ends early when a hospital that was missing is back: the next
segment begins with it. A hospital is waited for in this way a few times only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consilium.federation.attempts import attempt_folder, list_attempts, study_folder
from consilium.federation.chain import list_rounds
from consilium.federation.departures import Departures
from consilium.federation.folder import SegmentFolder
from consilium.federation.patience import Patience
from consilium.federation.ports import Engine, EngineStatus
from consilium.federation.presence import Presence
from consilium.federation.resumption import count_heard, last_present, starting_point
from consilium.federation.states import LIVE, StudyState
from consilium.federation.store import (
    add_event,
    get_study,
    list_events,
    list_segments,
    list_studies,
)
from consilium.federation.studies import (
    begin_segment,
    end_segment,
    move_study,
    name_job,
)
from consilium.gate.orders import Order, Study, peek_study
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import Clock
from consilium.kernel.errors import ConsiliumError, NotFoundError, StateError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.database import Database

LOG = logging.getLogger(__name__)
_LOOK_AT_DEPARTURES_S = 0.5

REFUSED = "study.sites_refused"
"""How an attempt ends that too many hospitals refused; trying again would not change their mind."""


class Coordinator:
    """Runs every live study in a thread of its own.

    Parameters
    ----------
    database : Database
        The hub's.
    engine : Engine
        Where segments run.
    root : Path
        Folder that holds one folder for each study, one below for each attempt.
    clock, patience
        Time and waits, handed in.
    engine_life : callable
        Gives another number each time the engine's process begins anew: jobs of
        an earlier life are lost, whatever its records say.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        root: Path,
        *,
        clock: Clock,
        patience: Patience | None = None,
        engine_life: Callable[[], int] = int,
    ) -> None:
        self.database = database
        self.engine = engine
        self.root = root
        self.clock = clock
        self.patience = patience or Patience()
        self.engine_life = engine_life
        self._closing = threading.Event()
        self._stops: dict[StudyId, threading.Event] = {}
        self._threads: dict[StudyId, threading.Thread] = {}

    def resume(self) -> None:
        """Take up every study that the last run of the hub left alive."""
        with self.database.read() as connection:
            live = [StudyId(row["id"]) for row in list_studies(connection, states=LIVE)]
        for study in live:
            self.begin(study)

    def begin(self, study: StudyId) -> None:
        """Run one study in a thread, unless it runs already."""
        thread = self._threads.get(study)
        if thread is not None and thread.is_alive():
            return
        self._stops[study] = threading.Event()
        self._threads[study] = threading.Thread(
            target=self._guard, args=(study,), name=f"study {study}", daemon=True
        )
        self._threads[study].start()

    def stop(self, study: StudyId) -> None:
        """Stop a study for good; its accepted rounds are kept."""
        if study in self._stops:
            self._stops[study].set()

    def close(self) -> None:
        """Let go of every study; they resume at the next start."""
        self._closing.set()
        for thread in self._threads.values():
            thread.join(timeout=5)

    def ended_attempt(self, plan: Study) -> SegmentFolder:
        """Return the attempt that brought a study to its end.

        Raises
        ------
        NotFoundError
            `federation.no_file`.
        """
        for folder in reversed(list_attempts(study_folder(self.root, plan))):
            if folder.has_ended():
                return folder
        raise NotFoundError("federation.no_file", file="final.safetensors", folder=plan.study)

    def rounds(self, plan: Study) -> list[dict[str, Any]]:
        """Return the signed statements of the rounds that led to a study's last model."""
        return list_rounds(list_attempts(study_folder(self.root, plan)), plan)

    def _guard(self, study: StudyId) -> None:
        """Run one study to its end; the job loop, where every fault ends in a word."""
        try:
            Conduct(self, study).run()
        except ConsiliumError as error:
            LOG.error("study %s: %s %s", study, error.public, error.detail)
            self._fail(study, error.code)
        except Exception:
            LOG.exception("study %s broke", study)
            self._fail(study, "boundary.broken")

    def _fail(self, study: StudyId, reason: str) -> None:
        with self.database.write() as tx:
            if StudyState(get_study(tx.connection, study)["state"]) in LIVE:
                move_study(tx, study, StudyState.FAILED, clock=self.clock, reason=reason)

    def should_leave(self, study: StudyId) -> bool:
        """Say whether the study's thread has to end now."""
        return self._closing.is_set() or self._stops[study].is_set()

    def rest(self, study: StudyId, seconds: float) -> None:
        """Wait, unless the study's thread has to end."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self.should_leave(study):
            time.sleep(self.patience.look_s)

    def is_stopped(self, study: StudyId) -> bool:
        """Say whether somebody stopped the study for good."""
        return self._stops[study].is_set()


class Conduct:
    """One study's way through its segments."""

    def __init__(self, coordinator: Coordinator, study: StudyId) -> None:
        self.hub = coordinator
        self.study = study
        with coordinator.database.read() as connection:
            row = get_study(connection, study)
        self.signed: str = row["signed"]
        self.state = StudyState(row["state"])
        self.plan = peek_study(self.signed)
        self.folder = study_folder(coordinator.root, self.plan)
        self.welcomes: dict[ParticipantId, int] = {}
        self.missing: frozenset[ParticipantId] = frozenset()
        self.looked = 0.0
        self.job = ""
        self.departures = Departures(coordinator.database, self.plan, clock=coordinator.clock)
        self.presence = Presence(coordinator.engine, self.plan, say=self._say)

    def run(self) -> None:
        """Go on until the study has ended or the hub closes."""
        hub, fruitless = self.hub, 0
        if self.state not in LIVE:
            return
        if self.state is StudyState.SUBMITTED:
            self._move(StudyState.RUNNING)
        if self._take_over() == "finished":
            self._move(StudyState.COMPLETED)
            return
        while not hub.should_leave(self.study):
            point = starting_point(self.attempts(), self.plan, self.start_model())
            if not self._await_sites():
                continue
            outcome = self._attempt()
            if outcome == "finished":
                self._move(StudyState.COMPLETED)
                # The job is ending by itself. The result does not wait for that.
                hub.engine.abort(self.job)
                return
            if outcome in {"welcome", "left"}:
                continue
            after = starting_point(self.attempts(), self.plan, self.start_model())
            fruitless = 0 if after.first_round > point.first_round else fruitless + 1
            if fruitless >= hub.patience.tries or (fruitless and outcome == REFUSED):
                self._move(StudyState.FAILED, reason=outcome)
                return
            hub.rest(self.study, min(hub.patience.rest_s * 2.0**fruitless, 10.0))
        if hub.is_stopped(self.study):
            self._move(StudyState.STOPPED)

    def attempts(self) -> list[SegmentFolder]:
        """Return the folders of all attempts so far, in order."""
        return list_attempts(self.folder)

    def start_model(self) -> bytes:
        """Read the study's own starting model."""
        return (self.folder / "start.safetensors").read_bytes()

    def _move(self, state: StudyState, *, reason: str = "") -> None:
        with self.hub.database.write() as tx:
            move_study(tx, self.study, state, clock=self.hub.clock, reason=reason)

    def _take_over(self) -> str:
        """Close the attempt that an earlier run of the hub left open; return how it ended."""
        with self.hub.database.read() as connection:
            rows = list_segments(connection, self.study)
        outcome = ""
        for row in rows:
            if not row["outcome"]:
                folder = SegmentFolder(attempt_folder(self.folder, row["attempt"]))
                outcome = "finished" if folder.has_ended() else "study.hub_restarted"
                self._end_attempt(row["attempt"], folder, outcome=outcome)
        return outcome

    def _await_sites(self) -> bool:
        """Wait for the hospitals; False when the thread has to look again.

        Those who took part in the last round are waited for a while, so that a
        restart of the hub or its engine costs none of them a round.
        """
        self.departures.look()
        self.departures.check_quorum()
        invited = self.departures.staying
        began = time.monotonic()
        patience = self.hub.patience
        wanted = last_present(self.attempts()) & invited or invited
        told: frozenset[ParticipantId] = frozenset()
        while not self.hub.should_leave(self.study):
            absent = frozenset(invited - self.hub.engine.sites())
            waited = time.monotonic() - began
            enough = len(invited) - len(absent) >= self.plan.quorum
            if enough and (waited > patience.all_sites_s or not absent & wanted):
                return True
            if absent != told and waited > 1:
                self._say("waiting", {"for": sorted(absent)})
                told = absent
            if waited > patience.quorum_s:
                raise StateError(
                    "study.too_few_sites",
                    ready=len(invited) - len(absent),
                    invited=len(invited),
                    quorum=self.plan.quorum,
                )
            time.sleep(0.1)
        return False

    def _attempt(self) -> str:
        """Run one attempt; return the word for how it ended."""
        point = starting_point(self.attempts(), self.plan, self.start_model())
        with self.hub.database.write() as tx:
            earlier = {row["first_round"] for row in list_segments(tx.connection, self.study)}
            segment = len(earlier | {point.first_round})
            attempt = begin_segment(
                tx, self.study, segment=segment, first_round=point.first_round, clock=self.hub.clock
            )
        order = Order(
            signed_study=self.signed,
            segment=segment,
            attempt=attempt,
            first_round=point.first_round,
            start=digest_of(point.model),
            countersigned=point.countersigned,
        )
        folder = SegmentFolder.create(attempt_folder(self.folder, attempt), order, point)
        outcome = self._run_job(order, point.model, folder, attempt)
        self._end_attempt(attempt, folder, outcome=outcome)
        return outcome

    def _end_attempt(self, attempt: int, folder: SegmentFolder, *, outcome: str) -> None:
        """Hear what has not been heard of an attempt, and close it."""
        with self.hub.database.read() as connection:
            events = list_events(connection, self.study, limit=1_000_000)
        for event in folder.events(after=count_heard(events, attempt)):
            self._hear(event)
        with self.hub.database.write() as tx:
            end_segment(tx, self.study, attempt, outcome=outcome, clock=self.hub.clock)

    def _run_job(self, order: Order, model: bytes, folder: SegmentFolder, attempt: int) -> str:
        try:
            job = self.hub.engine.submit(order, model, folder.path)
        except ConsiliumError as error:
            LOG.warning("study %s: the engine took no job: %s", self.study, error.public)
            return error.code
        with self.hub.database.write() as tx:
            name_job(tx, self.study, attempt, job)
        self.job, outcome = job, ""
        try:
            outcome = self._follow(job, folder)
        finally:
            if outcome != "finished":
                self.hub.engine.abort(job)
        return outcome

    def _follow(self, job: str, folder: SegmentFolder) -> str:
        """Watch an attempt's folder until it has ended."""
        seen, heard, ended, noted, asked = 0, time.monotonic(), 0.0, 0, 0.0
        refused: set[ParticipantId] = set()
        life = self.hub.engine_life()
        while not self.hub.should_leave(self.study):
            fresh = folder.events(after=seen)
            for event in fresh:
                self._hear(event)
                self._welcome(event, folder)
            seen += len(fresh)
            noted = self._hear_answers(folder, noted)
            self.presence.look()
            heard = time.monotonic() if fresh else heard
            if folder.has_ended():
                return "finished"
            last = fresh[-1] if fresh else {}
            if last.get("kind") in {"failed", "yielded"}:
                return "welcome" if last["kind"] == "yielded" else str(last.get("code"))
            if self._have_left():
                return "study.sites_left"
            if time.monotonic() - asked > self.hub.patience.ask_s:
                self._tell_refusals(job, refused)
                is_running = self.hub.engine.status(job) is EngineStatus.RUNNING
                asked = time.monotonic()
                ended = 0.0 if is_running else ended or asked
            if ended and time.monotonic() - ended > self.hub.patience.ended_s:
                lacks_quorum = len(self.plan.sites) - len(refused) < self.plan.quorum
                return REFUSED if lacks_quorum else "study.engine_ended"
            if self.hub.engine_life() != life:
                return "study.engine_restarted"
            if time.monotonic() - heard > self._silence_s(seen):
                return "study.engine_silent"
            time.sleep(self.hub.patience.look_s)
        return "left"

    def _silence_s(self, seen: int) -> float:
        patience = self.hub.patience
        return patience.start_s if not seen else self.plan.deadline_s + patience.margin_s

    def _tell_refusals(self, job: str, told: set[ParticipantId]) -> None:
        for participant, words in self.hub.engine.refusals(job).items():
            if participant not in told:
                told.add(participant)
                self._say("refused", {"participant": participant, "reason": words})
                self.departures.hear_refusals([(participant, words)])

    def _have_left(self) -> bool:
        """Say whether too few hospitals are left; the database is asked once a second."""
        if time.monotonic() - self.looked > _LOOK_AT_DEPARTURES_S:
            self.looked = time.monotonic()
            self.departures.look()
        return self.departures.are_too_many

    def _hear(self, event: dict[str, Any]) -> None:
        """Keep one event of the segment; close rounds with evidence."""
        kind = str(event["kind"])
        facts = {key: value for key, value in event.items() if key != "kind"}
        with self.hub.database.write() as tx:
            add_event(tx, self.study, kind, facts, clock=self.hub.clock)
            if kind == "round_closed":
                tx.record(
                    "round.closed", self.study, {key: facts[key] for key in ("round", "model")}
                )

    def _hear_answers(self, folder: SegmentFolder, offset: int) -> int:
        """Tell who has answered since, all in one event; return where the notes end."""
        notes, end = folder.answers(offset)
        tasks: dict[tuple[str, int], dict[str, int]] = {}
        for note in notes:
            sites = tasks.setdefault((str(note["task"]), int(note["round"])), {})
            sites[str(note["site"])] = int(note["bytes"])
        for (task, number), sites in tasks.items():
            self._say("answered", {"task": task, "round": number, "sites": sites})
        return end

    def _welcome(self, event: dict[str, Any], folder: SegmentFolder) -> None:
        """End the segment early when a hospital that missed a round is connected again."""
        if event["kind"] != "round_closed":
            return
        for site in event["sites"]:
            self.welcomes.pop(site, None)
        self.departures.look()
        missing = frozenset(event["missing"]) - self.departures.gone
        most = self.hub.patience.welcomes
        back = {
            site for site in missing & self.hub.engine.sites() if self.welcomes.get(site, 0) < most
        }
        if back:
            for site in back:
                self.welcomes[site] = self.welcomes.get(site, 0) + 1
            folder.ask_to_yield()

    def _say(self, kind: str, facts: dict[str, Any]) -> None:
        with self.hub.database.write() as tx:
            add_event(tx, self.study, kind, facts, clock=self.hub.clock)
