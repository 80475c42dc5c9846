"""Progress of a study as people watch it: whom we wait for, and where each hospital stands.

A study's events are told one after the other; each changes a little of the
picture. So the picture of a study of a thousand rounds costs one look at what
is new, and it stays after the end. Nothing is decided by it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from consilium.federation.ports import EVALUATE, TRAIN
from consilium.federation.states import LIVE, StudyState
from consilium.kernel.clock import read_time
from consilium.kernel.identifiers import ParticipantId
from consilium.kernel.retelling import retell, split_words

LOG_LINES = 200
"""Events that are kept for the log, the newest."""
_PACE = 5
"""Rounds whose time says how long the next ones take."""

Words = dict[str, str]
"""A code with its sentence in English and Chinese."""


class SitePhase(StrEnum):
    """Where one hospital stands in a study."""

    INVITED = "invited"
    READY = "ready"
    TRAINING = "training"
    SENT = "sent"
    EVALUATING = "evaluating"
    DONE = "done"
    LOST = "lost"
    LEFT = "left"


class Stage(StrEnum):
    """Where a study as a whole stands."""

    RECRUITING = "recruiting"
    OPENING = "opening"
    WAITING = "waiting"
    TRAINING = "training"
    EVALUATING = "evaluating"
    ENDED = "ended"


@dataclass(slots=True, kw_only=True)
class SiteProgress:
    """One hospital: its phase, when it was heard last, what it met and what it has told.

    `loss` holds by round the mean log loss of that round's model on the
    hospital's training part; 0 is the starting model. `rounds` are those that
    its updates went into.
    """

    participant: ParticipantId
    phase: SitePhase = SitePhase.INVITED
    last_heard: str = ""
    error: Words | None = None
    bytes_up: int = 0
    bytes_down: int = 0
    rounds: set[int] = field(default_factory=set)
    loss: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Task:
    """The task that is out now: to whom, and since when."""

    kind: str = ""
    round: int = 0
    sites: frozenset[ParticipantId] = frozenset()
    began: str = ""


class Progress:
    """The picture of one study; `take` its events in their order, then look.

    Parameters
    ----------
    invited : collection of ParticipantId
        Whom the draft or the plan names.
    rounds : int
        Of the plan.
    """

    def __init__(self, invited: Collection[ParticipantId], *, rounds: int) -> None:
        self.rounds = rounds
        self.round = 0
        self.stage = Stage.RECRUITING
        self.sites = {who: SiteProgress(participant=who) for who in sorted(invited)}
        self.loss: dict[int, float] = {}
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LINES)
        self.failure: Words | None = None
        self.last_event = 0
        self.task = _Task()
        self.answers: dict[tuple[str, int], set[ParticipantId]] = {}
        self.opened: set[ParticipantId] = set()
        self.absent: frozenset[ParticipantId] = frozenset()
        self.seconds: deque[float] = deque(maxlen=_PACE)

    def take(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take the next events; one that stands before the last taken is passed over.

        Discloses
        ---------
        Nothing: it reads what the study's lead has been told.
        """
        for event in events:
            if event["id"] <= self.last_event:
                continue
            self.last_event = event["id"]
            self.log.append(dict(event))
            facts: Mapping[str, Any] = event["facts"]
            when = str(facts.get("time") or event["time"])
            tell = _TELL.get(str(event["kind"]))
            if tell is not None:
                tell(self, facts, when)

    def waiting_for(self, state: StudyState) -> list[ParticipantId]:
        """Name the hospitals that the study stands still for."""
        if state not in LIVE:
            return []
        if self.stage is Stage.RECRUITING:
            return self._in(SitePhase.INVITED)
        if self.stage is Stage.OPENING:
            return [who for who in self._in(SitePhase.READY) if who not in self.opened]
        if self.stage is Stage.WAITING:
            return sorted(self.absent)
        return sorted(self._unanswered())

    def eta_s(self, state: StudyState, *, now: str) -> float | None:
        """Guess the seconds that are left from the pace of the last rounds; None before one."""
        if state not in LIVE or not self.seconds:
            return None
        pace = sum(self.seconds) / len(self.seconds)
        tasks = 1 if self.stage is Stage.EVALUATING else self.rounds - self._closed() + 1
        began = self.task.began or now
        gone = (read_time(now) - read_time(began)).total_seconds() if self.task.kind else 0.0
        return round(max(0.0, pace * tasks - min(gone, pace)), 1)

    def show_sites(
        self, state: StudyState, pulse: Mapping[ParticipantId, str]
    ) -> list[SiteProgress]:
        """Give each hospital as it stands, heard of at the latest by the hub's last pulse.

        Parameters
        ----------
        state : StudyState
            The study's; after its end nobody is at work any more.
        pulse : mapping
            By hospital, when it was last known to be connected.
        """
        return [self._show(site, state, pulse) for site in self.sites.values()]

    def _show(
        self, site: SiteProgress, state: StudyState, pulse: Mapping[ParticipantId, str]
    ) -> SiteProgress:
        who, phase = site.participant, site.phase
        at_work = {SitePhase.READY, SitePhase.TRAINING, SitePhase.SENT, SitePhase.EVALUATING}
        if state not in LIVE and phase in at_work:
            phase = SitePhase.DONE
        elif phase in at_work and self.task.kind and who in self.task.sites:
            phase = SitePhase.SENT if self._has_answered(who) else _AT_WORK[self.task.kind]
        heard = max(site.last_heard, pulse.get(who, ""))
        return replace(site, phase=phase, last_heard=heard)

    def _in(self, phase: SitePhase) -> list[ParticipantId]:
        return [who for who, site in self.sites.items() if site.phase is phase]

    def _closed(self) -> int:
        return self.round - 1 if self.task.kind == TRAIN else self.round

    def _has_answered(self, who: ParticipantId) -> bool:
        return who in self.answers.get((self.task.kind, self.task.round), ())

    def _unanswered(self) -> list[ParticipantId]:
        gone = {SitePhase.LEFT, SitePhase.LOST}
        return [
            who
            for who in self.task.sites
            if not self._has_answered(who) and self.site(who).phase not in gone
        ]

    def site(self, who: str) -> SiteProgress:
        """Give a hospital's place in the picture."""
        name = ParticipantId(who)
        return self.sites.setdefault(name, SiteProgress(participant=name))

    def hear(self, who: str, when: str) -> SiteProgress:
        """Note that a hospital was heard of."""
        site = self.site(who)
        site.last_heard = max(site.last_heard, when)
        return site


Tell = Callable[[Progress, Mapping[str, Any], str], None]
_AT_WORK = {TRAIN: SitePhase.TRAINING, EVALUATE: SitePhase.EVALUATING}


def _invited(progress: Progress, facts: Mapping[str, Any], _when: str) -> None:
    progress.site(facts["participant"]).phase = SitePhase.INVITED


def _agreed(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    site = progress.hear(facts["participant"], when)
    site.phase, site.error = SitePhase.READY, None


def _declined(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    site = progress.hear(facts["participant"], when)
    site.phase = SitePhase.LEFT
    site.error = {name: str(facts.get(name, "")) for name in ("code", "en", "zh")}


def _signed(progress: Progress, _facts: Mapping[str, Any], _when: str) -> None:
    progress.stage = Stage.OPENING


def _opened(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    progress.opened.add(progress.hear(facts["participant"], when).participant)


def _submitted(progress: Progress, _facts: Mapping[str, Any], _when: str) -> None:
    progress.stage = Stage.WAITING


def _waiting(progress: Progress, facts: Mapping[str, Any], _when: str) -> None:
    progress.stage, progress.task = Stage.WAITING, _Task()
    progress.absent = frozenset(map(ParticipantId, facts.get("for", ())))


def _presence(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    for who in facts.get("here", ()):
        progress.hear(who, when)
        _return(progress.site(who), "study.not_connected")
    for who in facts.get("away", ()):
        _lose(progress.site(who), retell("study.not_connected", participant=who))


def _started(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    _begin(progress, facts, when, kind=TRAIN)
    progress.stage, progress.round = Stage.TRAINING, int(facts["round"])


def _evaluating(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    _begin(progress, facts, when, kind=EVALUATE)
    progress.stage = Stage.EVALUATING


def _begin(progress: Progress, facts: Mapping[str, Any], when: str, *, kind: str) -> None:
    sites = frozenset(map(ParticipantId, facts.get("sites", ())))
    progress.task = _Task(kind=kind, round=int(facts["round"]), sites=sites, began=when)
    progress.absent = frozenset()
    for who in sites:
        site = progress.site(who)
        site.bytes_down += int(facts.get("bytes", 0))
        if site.phase is not SitePhase.LEFT:
            site.phase = _AT_WORK[kind]


def _answered(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    key = (str(facts["task"]), int(facts["round"]))
    for who, size in facts["sites"].items():
        site = progress.hear(who, when)
        site.bytes_up += int(size)
        progress.answers.setdefault(key, set()).add(ParticipantId(who))


def _round_closed(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    number = int(facts["round"])
    progress.round = max(progress.round, number)
    progress.seconds.append(float(facts.get("seconds", 0.0)))
    for who in facts.get("sites", ()):
        site = progress.hear(who, when)
        site.rounds.add(number)
        _do_well(site, SitePhase.READY)
    _miss(progress, facts)
    _learn(progress, number - 1, facts.get("facts", {}))
    progress.task = _Task(round=number)
    progress.answers.pop((TRAIN, number - 1), None)


def _evaluated(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    _miss(progress, facts)
    for who in progress.task.sites - set(facts.get("missing", ())):
        _do_well(progress.hear(who, when), SitePhase.DONE)
    progress.task = _Task(round=progress.round)


def _miss(progress: Progress, facts: Mapping[str, Any]) -> None:
    """Say of each hospital without a valid answer why."""
    bad: Mapping[str, Any] = facts.get("bad", {})
    for who in facts.get("missing", ()):
        known = {"participant": who, "site": who, "round": progress.round}
        _lose(progress.site(who), retell(str(bad.get(who, "study.no_answer")), **known))


def _learn(progress: Progress, number: int, told: Mapping[str, Any]) -> None:
    """Add a point to each hospital's curve, and to their mean, weighed by cases."""
    points = {
        who: (float(said["loss_before"]), int(said.get("n", 1)))
        for who, said in told.items()
        if _is_number(said.get("loss_before"))
    }
    for who, (loss, _) in points.items():
        progress.site(who).loss[number] = loss
    cases = sum(n for _, n in points.values())
    if cases:
        progress.loss[number] = sum(loss * n for loss, n in points.values()) / cases


def _refused(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    site = progress.hear(facts["participant"], when)
    code, sentence = split_words(str(facts.get("reason", "")))
    _lose(site, retell(code or "study.refused", sentence, participant=site.participant))


def _left(progress: Progress, facts: Mapping[str, Any], when: str) -> None:
    site = progress.hear(facts["participant"], when)
    site.phase = SitePhase.LEFT
    site.error = retell(str(facts.get("code", "")), str(facts.get("reason", "")))


def _segment_ended(progress: Progress, _facts: Mapping[str, Any], _when: str) -> None:
    progress.task = _Task(round=progress.round)
    progress.stage = Stage.WAITING


def _ended(progress: Progress, _facts: Mapping[str, Any], _when: str) -> None:
    progress.stage, progress.task = Stage.ENDED, _Task(round=progress.round)


def _failed(progress: Progress, facts: Mapping[str, Any], _when: str) -> None:
    progress.failure = {name: str(facts.get(name, "")) for name in ("code", "en", "zh")}


def _do_well(site: SiteProgress, phase: SitePhase) -> None:
    """Note a good answer; it may come from a hospital that has left since."""
    if site.phase is not SitePhase.LEFT:
        site.phase, site.error = phase, None


def _lose(site: SiteProgress, error: Words) -> None:
    if site.phase not in (SitePhase.LEFT, SitePhase.DONE):
        site.phase, site.error = SitePhase.LOST, error


def _return(site: SiteProgress, code: str) -> None:
    if site.phase is SitePhase.LOST and site.error is not None and site.error["code"] == code:
        site.phase, site.error = SitePhase.READY, None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TELL: Mapping[str, Tell] = {
    "invited": _invited,
    "agreed": _agreed,
    "declined": _declined,
    "signed": _signed,
    "opened": _opened,
    "submitted": _submitted,
    "waiting": _waiting,
    "presence": _presence,
    "round_started": _started,
    "evaluation_started": _evaluating,
    "answered": _answered,
    "round_closed": _round_closed,
    "evaluated": _evaluated,
    "refused": _refused,
    "left": _left,
    "segment_ended": _segment_ended,
    "failure": _failed,
    **dict.fromkeys(("completed", "failed", "stopped"), _ended),
}
"""What each kind of event tells; the others stand in the log alone."""
