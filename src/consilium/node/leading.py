"""Leading a study: from a person's draft to a passport, durable at every step.

Each study that this node leads has a thread. What it does next follows from
the study's record alone, so after a restart it goes on where it stood:
recruiting is repeatable, a signed plan is signed once, the hub takes the same
study twice as once, and the events seen so far are numbered.
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from consilium.dataspace.connector import Connector
from consilium.federation.outcome import Outcome, result_record, verify_outcome
from consilium.federation.passport import make_passport
from consilium.federation.proposal import make_proposal, read_draft, starting_model
from consilium.federation.recruitment import ANSWER_S, Recruit, close_study, open_study, recruit
from consilium.federation.recruits import invitations_of, modalities_of, schema_of
from consilium.federation.registry import Recipes
from consilium.federation.states import LIVE, StudyState
from consilium.federation.store import PAGE, add_event, get_study, list_events, list_studies
from consilium.federation.studies import draft_study, keep_result, move_study, sign_study
from consilium.gate.orders import Study, peek_study
from consilium.gate.orders import sign_study as sign_plan
from consilium.gate.plain import to_plain
from consilium.kernel.canonical import Digest, Json, canonical_bytes, digest_json, read_json
from consilium.kernel.clock import read_time, write_time
from consilium.kernel.errors import ConsiliumError, IntegrityError, PeerError, StateError
from consilium.kernel.identifiers import ParticipantId, StudyId, new_urn
from consilium.ledger.files import write_atomic
from consilium.models.bom import write_bom
from consilium.models.card import write_card
from consilium.models.passports import sign_passport

LOG = logging.getLogger("consilium.node.leading")
STATE_WORDS = frozenset(state.lower() for state in StudyState)
OWN_WORDS = frozenset({"invited", "recruited", "agreed", "declined", "opened", "signed", "failure"})
"""Events that the lead alone writes; the passport rests on them, so none is taken from the hub."""
Pulse = dict[ParticipantId, str]
"""By hospital, when it was last known to be connected."""
_RETRY_S = 1.0
_ALL = 1_000_000
_LONGEST = 400
"""Letters that are kept of a reason that the hub gives."""
_LARGEST_EVENT = 1 << 20
"""Bytes that are kept of one event of the hub's."""


class Hub(Protocol):
    """The hub as a lead needs it."""

    def call(self, method: str, target: str, document: Json = None) -> Any:
        """Send one signed request and return its answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What leading needs: who we are, the hub, recipes, and where models are kept.

    `answer_s` is how long a hospital may take for each step of recruiting.
    """

    connector: Connector
    hub: Hub
    recipes: Recipes
    space: str
    aggregator: str
    models: Path
    titles: Callable[[], Mapping[ParticipantId, str]]
    mark: Callable[[], object] = int
    """Marks models whose agreements were revoked, before anybody is shown a new one."""
    answer_s: float = ANSWER_S


class Leading:
    """All studies that this node leads."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self._closing = threading.Event()
        self._threads: dict[StudyId, threading.Thread] = {}
        self._pulses: dict[StudyId, Pulse] = {}

    def begin(self, value: Json) -> StudyId:
        """Take a person's draft and begin to recruit.

        Raises
        ------
        InputError
            `study.bad_plan`, `gate.bad_order`, or what recipe and rule refuse.
        """
        draft = read_draft(value, recipes=self.office.recipes)
        connector, study = self.office.connector, StudyId(new_urn())
        with connector.database.write() as tx:
            draft_study(
                tx,
                study,
                lead=connector.me,
                draft=_as_json(to_plain(draft)),
                clock=connector.clock,
            )
        self._start(study)
        return study

    def resume(self) -> None:
        """Go on with every study that an earlier run of the node left alive."""
        with self.office.connector.database.read() as connection:
            live = [StudyId(row["id"]) for row in list_studies(connection, states=LIVE)]
        for study in live:
            self._start(study)

    def stop(self, study: StudyId) -> None:
        """Stop a study for good: at the hub, and at every hospital."""
        database, clock = self.office.connector.database, self.office.connector.clock
        with database.read() as connection:
            state = StudyState(get_study(connection, study)["state"])
        if state in {StudyState.SUBMITTED, StudyState.RUNNING}:
            self.office.hub.call("POST", f"/studies/{study}/stop", {})
        with database.write() as tx:
            move_study(tx, study, StudyState.STOPPED, clock=clock, reason="study.stopped")

    def pulse(self, study: StudyId) -> Pulse:
        """Say by hospital when the hub last told us that it is connected."""
        return dict(self._pulses.get(study, {}))

    def close(self) -> None:
        """Let go of all studies; they are resumed at the next start."""
        self._closing.set()

    def _start(self, study: StudyId) -> None:
        thread = threading.Thread(target=self._guard, args=(study,), name="leading", daemon=True)
        self._threads[study] = thread
        thread.start()

    def _guard(self, study: StudyId) -> None:
        """Lead one study to its end; the job loop, where every fault ends in a word."""
        while not self._closing.is_set():
            try:
                pulse = self._pulses.setdefault(study, {})
                Lead(self.office, study, closing=self._closing, pulse=pulse).run()
                return
            except _ClosingError:
                return
            except PeerError as error:
                LOG.info("study %s waits: %s", study, error.public)
                if not error.retryable:
                    self._fail(study, error)
                    return
                self._closing.wait(_RETRY_S)
            except ConsiliumError as error:
                self._fail(study, error)
                return
            except Exception as error:
                LOG.exception("study %s broke", study)
                self._fail(study, StateError("boundary.broken", kind=type(error).__name__))
                return

    def _fail(self, study: StudyId, failure: ConsiliumError) -> None:
        if self._closing.is_set():
            return
        LOG.error("study %s: %s %s", study, failure.public, failure.detail)
        connector = self.office.connector
        with connector.database.write() as tx:
            if StudyState(get_study(tx.connection, study)["state"]) in LIVE:
                clock = connector.clock
                move_study(tx, study, StudyState.FAILED, clock=clock, reason=failure.code)
                add_event(tx, study, "failure", failure.as_record(), clock=clock)


class _ClosingError(Exception):
    """The node closes; the study is resumed at its next start."""


class Lead:
    """One study's way at its lead."""

    def __init__(
        self,
        office: Office,
        study: StudyId,
        *,
        closing: threading.Event,
        pulse: Pulse | None = None,
    ) -> None:
        self.office = office
        self.connector = office.connector
        self.study = study
        self.closing = closing
        self.pulse: Pulse = {} if pulse is None else pulse

    def run(self) -> None:
        """Go on from wherever the study stands until it has ended."""
        row = self._row()
        if StudyState(row["state"]) is StudyState.RECRUITING:
            plan, signed = self._sign(row)
            self._submit(plan, signed)
            self._move(StudyState.SUBMITTED)
            row = self._row()
        if StudyState(row["state"]) in LIVE:
            self._follow(peek_study(row["signed"]))

    def _sign(self, row: Mapping[str, Any]) -> tuple[Study, str]:
        """Recruit and sign, unless that is done."""
        if row["signed"]:
            return peek_study(row["signed"]), row["signed"]
        draft = read_draft(read_json(row["draft"]), recipes=self.office.recipes)
        recruits = recruit(
            self.connector, draft.invite, say=self._say, answer_s=self.office.answer_s
        )
        self._go_on()
        if len(recruits) < draft.quorum:
            raise StateError(
                "study.too_few_sites",
                ready=len(recruits),
                invited=len(draft.invite),
                quorum=draft.quorum,
            )
        self._say("recruited", {"sites": _describe(recruits)})
        schema = schema_of(recruits, me=self.connector.me, modalities=draft.modalities)
        proposal = make_proposal(
            self.study,
            draft,
            space=self.office.space,
            lead=self.connector.me,
            sites=invitations_of(recruits, modalities=modalities_of(schema)),
            schema=schema,
            not_after=min(read_time(one.listing.terms.not_after) for one in recruits),
            recipes=self.office.recipes,
            clock=self.connector.clock,
            cases=max(one.listing.n_train or 0 for one in recruits),
        )
        signed = sign_plan(self.connector.key, proposal.plan)
        with self.connector.database.write() as tx:
            sign_study(tx, proposal.plan, signed, clock=self.connector.clock)
        return proposal.plan, signed

    def _submit(self, plan: Study, signed: str) -> None:
        """Bring the plan to every hospital, then to the hub."""
        opened = open_study(
            self.connector,
            plan,
            signed,
            endpoint=self.office.aggregator,
            say=self._say,
            answer_s=self.office.answer_s,
        )
        self._go_on()
        if len(opened) < plan.quorum:
            raise StateError(
                "study.too_few_sites",
                ready=len(opened),
                invited=len(plan.sites),
                quorum=plan.quorum,
            )
        start = base64.b64encode(starting_model(plan, recipes=self.office.recipes)).decode()
        self.office.hub.call("POST", "/studies", {"signed": signed, "start": start})

    def _follow(self, plan: Study) -> None:
        """Copy the hub's events until the study has ended there."""
        while not self.closing.is_set():
            if StudyState(self._row()["state"]) not in LIVE:
                close_study(self.connector, plan, code="stopped", reason="the lead stopped it")
                return
            after = self._last_seen()
            said = self.office.hub.call("GET", f"/studies/{plan.study}/events?after={after}")
            for event in said["events"]:
                self._copy(event)
            here, now = said.get("here", ()), self.connector.clock.now()
            self.pulse |= dict.fromkeys(map(ParticipantId, here), write_time(now))
            state = StudyState(said["state"])
            if state not in LIVE and len(said["events"]) < PAGE:
                self._end(plan, state, reason=str(said["reason"])[:_LONGEST])
                return

    def _end(self, plan: Study, state: StudyState, *, reason: str) -> None:
        if state is StudyState.COMPLETED:
            self._complete(plan)
            return
        close_study(self.connector, plan, code=state.lower(), reason=reason)
        self._move(state, reason=reason)

    def _copy(self, event: Mapping[str, Any]) -> None:
        """Keep one of the hub's events; the study's states are our own to note."""
        kind, database, clock = event["kind"], self.connector.database, self.connector.clock
        facts = {"time": event["time"], **event["facts"], "hub_event": event["id"]}
        if kind in OWN_WORDS or len(canonical_bytes(facts)) > _LARGEST_EVENT:
            refusals = self.connector.database.refusals
            told = {"kind": str(kind)[:40], "event": digest_json(facts)}
            refusals.keep("event.refused", self.study, told, rule="event.not_the_hubs")
            kind, facts = "refused_event", {"hub_event": event["id"]}
        with database.write() as tx:
            state = StudyState(get_study(tx.connection, self.study)["state"])
            if kind == "running" and state is StudyState.SUBMITTED:
                move_study(tx, self.study, StudyState.RUNNING, clock=clock)
            if kind not in STATE_WORDS:
                add_event(tx, self.study, kind, facts, clock=clock)

    def _complete(self, plan: Study) -> None:
        """Verify what came back, write the passport, close the transfers."""
        outcome = self._verify(plan)
        passport = make_passport(
            outcome, fingerprints=_fingerprints(self._events()), clock=self.connector.clock
        )
        signed = sign_passport(self.connector.key, passport)
        stem = self.office.models / outcome.digest.removeprefix("sha256:")
        stem.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(stem.with_suffix(".safetensors"), outcome.model)
        write_atomic(stem.with_suffix(".card.md"), write_card(passport).encode())
        write_atomic(stem.with_suffix(".bom.json"), write_bom(passport).encode())
        write_atomic(stem.with_suffix(".passport"), signed.encode())
        self.office.mark()
        close_study(self.connector, plan)
        self._keep(outcome, passport.digest, file=stem.with_suffix(".passport"))

    def _verify(self, plan: Study) -> Outcome:
        """Believe the hub's result by the sites' signatures alone; what fails is evidence."""
        result = self.office.hub.call("GET", f"/studies/{plan.study}/result")
        try:
            return verify_outcome(plan, result)
        except IntegrityError as error:
            facts: dict[str, Json] = {"code": error.code, "reason": error.public[:_LONGEST]}
            refusals = self.connector.database.refusals
            refusals.keep("result.refused", self.study, facts, rule=error.code)
            raise

    def _keep(self, outcome: Outcome, passport: Digest, *, file: Path) -> None:
        """Complete the study and keep its result, both or neither."""
        titles, proof = self.office.titles(), {"passport": passport, "weights": outcome.digest}
        clock = self.connector.clock
        with self.connector.database.write() as tx:
            move_study(tx, self.study, StudyState.COMPLETED, clock=clock)
            entries = tx.record("passport.issued", self.study, {**proof})
            record = result_record(
                outcome,
                titles=titles,
                events=list_events(tx.connection, self.study, limit=_ALL),
                evidence={"entries": entries, "verified": True},
                passport=str(file),
            )
            keep_result(tx, self.study, record)

    def _go_on(self) -> None:
        """Draw no conclusion while the node closes: who did not answer then did not refuse."""
        if self.closing.is_set():
            raise _ClosingError

    def _last_seen(self) -> int:
        return max((int(event["facts"].get("hub_event", 0)) for event in self._events()), default=0)

    def _events(self) -> list[dict[str, Any]]:
        with self.connector.database.read() as connection:
            return list_events(connection, self.study, limit=_ALL)

    def _row(self) -> Mapping[str, Any]:
        with self.connector.database.read() as connection:
            return get_study(connection, self.study)

    def _say(self, kind: str, facts: dict[str, Any]) -> None:
        with self.connector.database.write() as tx:
            add_event(tx, self.study, kind, facts, clock=self.connector.clock)

    def _move(self, state: StudyState, *, reason: str = "") -> None:
        with self.connector.database.write() as tx:
            move_study(tx, self.study, state, clock=self.connector.clock, reason=reason)


def _describe(recruits: list[Recruit]) -> list[dict[str, Any]]:
    return [
        {
            "participant": one.invitation.participant,
            "agreement": one.invitation.agreement,
            "dataset": one.invitation.dataset,
            "fingerprint": one.listing.fingerprint,
            "terms": asdict(one.listing.terms),
            "public": one.listing.public,
        }
        for one in recruits
    ]


def _fingerprints(events: list[dict[str, Any]]) -> dict[ParticipantId, Digest]:
    """Take each dataset's fingerprint from our own recruiting, never from an event of the hub's."""
    own = [event for event in events if "hub_event" not in event["facts"]]
    found = [event["facts"]["sites"] for event in own if event["kind"] == "recruited"]
    return {site["participant"]: site["fingerprint"] for site in (found[-1] if found else [])}


def _as_json(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise TypeError("a draft is a table")
    return value
