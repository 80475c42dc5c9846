"""The run of one study: whom we wait for and why, hospital by hospital; kept after the end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fastapi import APIRouter

from consilium.federation.progress import Progress, SitePhase, SiteProgress
from consilium.federation.states import StudyState
from consilium.gate.accounting import epsilon_of
from consilium.gate.orders import NoisePlan
from consilium.kernel.clock import write_time
from consilium.kernel.errors import texts
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.kernel.retelling import retell
from consilium.node.reading.shapes import StudyEvent, Words, read_words, say, titles_of
from consilium.node.reading.studies import Known, find_seen, know
from consilium.node.rooms import Rooms
from consilium.web.paging import Shape
from consilium.web.seats import Sight


class SiteRun(Shape):
    """Where one hospital stands. `loss` holds pairs of a round and that round's model's loss."""

    participant: str
    title: str
    phase: str
    last_heard: str
    error: Words | None
    rounds_done: int
    bytes_up: int
    bytes_down: int
    epsilon_spent: float
    loss: list[tuple[int, float]]


class Run(Shape):
    """Where a study stands. `eta_s` is a guess from the pace of the last rounds."""

    state: str
    reason: Words | None
    phase: str
    round: int
    rounds: int
    waiting_for: list[str]
    eta_s: float | None
    sites: list[SiteRun]
    loss: list[tuple[int, float]]
    log: list[StudyEvent]


def run_router(rooms: Rooms) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["studies"])
    database = rooms.connector.database

    @router.get("/studies/{study}/run")
    def run(study: str, sight: Sight) -> Run:
        """Show whom a study waits for, and where each hospital stands."""
        with database.read() as connection:
            row = find_seen(connection, study, sight, me=rooms.connector.me)
            known = know(row)
            return rooms.following.look(
                connection,
                StudyId(study),
                invited=known.invited,
                rounds=known.rounds,
                see=lambda progress: _show(rooms, row, known, progress),
            )

    return router


@lru_cache(maxsize=1024)
def spent(noise: NoisePlan | None, rounds: int) -> float:
    """Say the privacy loss of so many rounds of a plan; 0 without noise."""
    if noise is None or not rounds:
        return 0.0
    steps = noise.steps * rounds
    loss = epsilon_of(rate=noise.rate, noise=noise.noise, steps=steps, delta=noise.delta)
    return round(loss, 4)


def _show(rooms: Rooms, row: Mapping[str, Any], known: Known, progress: Progress) -> Run:
    state, titles = StudyState(row["state"]), titles_of(rooms.directory)
    noise = known.plan.privacy if known.plan else None
    pulse = rooms.leading.pulse(StudyId(row["id"]))
    failure = read_words(progress.failure)
    reason = say(row["reason"], "", **_counts(known, progress)) if row["reason"] else None
    return Run(
        state=state,
        reason=failure or reason,
        phase=progress.stage,
        round=progress.round,
        rounds=progress.rounds,
        waiting_for=list(progress.waiting_for(state)),
        eta_s=progress.eta_s(state, now=write_time(rooms.connector.clock.now())),
        sites=[_show_site(one, titles, noise) for one in progress.show_sites(state, pulse)],
        loss=sorted(progress.loss.items()),
        log=[_tell(event, _counts(known, progress)) for event in progress.log],
    )


def _counts(known: Known, progress: Progress) -> Mapping[str, int]:
    """Count what sentences about a study's end speak of; an event keeps the code alone."""
    invited = len(known.plan.sites if known.plan else known.invited)
    left = sum(site.phase is SitePhase.LEFT for site in progress.sites.values())
    quorum = known.plan.quorum if known.plan else 0
    return {"invited": invited, "left": left, "ready": invited - left, "quorum": quorum}


def _tell(event: Mapping[str, Any], counts: Mapping[str, int]) -> StudyEvent:
    """Give an event; what is said in a code or in one language is said in both."""
    facts = dict(event["facts"])
    codes = (str(facts.get(name, "")) for name in ("code", "outcome", "reason"))
    code = next((one for one in codes if one in texts()), "")
    if code and "zh" not in facts:
        sentence = str(facts.get("reason", ""))
        words = retell(code, "" if sentence == code else sentence, **counts)
        facts |= {"en": words["en"], "zh": words["zh"]}
    return StudyEvent(**{**event, "facts": facts})


def _show_site(
    site: SiteProgress, titles: Mapping[ParticipantId, str], noise: NoisePlan | None
) -> SiteRun:
    return SiteRun(
        participant=site.participant,
        title=titles.get(site.participant, site.participant),
        phase=site.phase,
        last_heard=site.last_heard,
        error=read_words(site.error),
        rounds_done=len(site.rounds),
        bytes_up=site.bytes_up,
        bytes_down=site.bytes_down,
        epsilon_spent=spent(noise, len(site.rounds)),
        loss=sorted(site.loss.items()),
    )
