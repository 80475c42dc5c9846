"""Where a study goes on: the last round that a quorum of sites countersigned.

A closed round is only the hub's word. An accepted round is the sites' word:
they signed, when they received its model, that this is what they received.
Nothing that cannot be verified is carried into a new attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from consilium.federation.folder import SegmentFolder
from consilium.federation.records import StartingPoint
from consilium.gate.orders import Study
from consilium.gate.replies import check_countersigned
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError, IntegrityError, NotFoundError
from consilium.kernel.identifiers import ParticipantId


def starting_point(attempts: Sequence[SegmentFolder], study: Study, start: bytes) -> StartingPoint:
    """Find where the next attempt begins.

    The newest attempt that accepted a round decides. What an older attempt
    wrote from its successor's first round on does not count: it lived on after
    its time.

    Parameters
    ----------
    attempts : sequence of SegmentFolder
        Every attempt so far, oldest first. Half-made folders are passed over.
    study : Study
        The lead's plan; its pinned keys and quorum decide.
    start : bytes
        The study's own starting model.

    Returns
    -------
    StartingPoint
        The study's start when no round has been accepted yet.

    Raises
    ------
    IntegrityError
        `federation.wrong_start` when `start` is not the plan's.

    Discloses
    ---------
    Nothing: it reads the hub's own files.
    """
    if digest_of(start) != study.start:
        raise IntegrityError("federation.wrong_start", study=study.study)
    point = _newest_point(attempts, study) or StartingPoint(first_round=1, model=start)
    return replace(point, called=called_from(attempts, point.first_round))


def called_from(
    attempts: Sequence[SegmentFolder], first: int
) -> dict[int, tuple[ParticipantId, ...]]:
    """Return who was asked to confirm secure sums of rounds from `first` on, in any attempt.

    Discloses
    ---------
    Nothing: it reads the hub's own files.
    """
    return {
        number: sites
        for folder in attempts
        for number, sites in folder.called().items()
        if number >= first
    }


def _newest_point(attempts: Sequence[SegmentFolder], study: Study) -> StartingPoint | None:
    last = study.rounds
    for folder in reversed(attempts):
        if not folder.is_complete():
            continue
        point = accepted_point(folder, study, last=last)
        if point is not None:
            return point
        last = min(last, folder.order().first_round - 1)
    return None


def accepted_round(folder: SegmentFolder, study: Study) -> int:
    """Return the last accepted round of an attempt; 0 when it has none.

    Discloses
    ---------
    Nothing: it reads the hub's own files.
    """
    point = accepted_point(folder, study, last=study.rounds)
    return point.first_round - 1 if point else 0


def last_present(attempts: Sequence[SegmentFolder]) -> frozenset[ParticipantId]:
    """Name the sites that answered the last closed round of all; empty before the first.

    Discloses
    ---------
    Nothing: it reads the hub's own files.
    """
    for folder in reversed(attempts):
        closed = folder.rounds()
        if closed:
            return frozenset(map(ParticipantId, folder.closed_round(closed[-1]).replies))
    return frozenset()


def count_heard(events: Sequence[Mapping[str, Any]], attempt: int) -> int:
    """Count how many lines of an attempt's `events.jsonl` are among a study's events.

    They stand between their attempt's beginning and the next, and bring a time
    of their own along.

    Discloses
    ---------
    Nothing: it reads the hub's own events.
    """
    own, heard = False, 0
    for event in events:
        if event["kind"] == "segment_begun":
            own = event["facts"]["attempt"] == attempt
        heard += own and "time" in event["facts"]
    return heard


def accepted_point(folder: SegmentFolder, study: Study, *, last: int) -> StartingPoint | None:
    """Return the point after an attempt's last accepted round, up to round `last`.

    Discloses
    ---------
    Nothing: it reads the hub's own files.
    """
    for number in reversed(folder.rounds()):
        if number > last:
            continue
        try:
            point = StartingPoint(
                first_round=number + 1,
                model=folder.model(number),
                rule_state=folder.rule_state(number),
                countersigned=folder.countersigned(number),
            )
        except (IntegrityError, NotFoundError):
            continue
        if _is_accepted(point, folder, study):
            return point
    return None


def _is_accepted(point: StartingPoint, folder: SegmentFolder, study: Study) -> bool:
    order = replace(
        folder.order(),
        first_round=point.first_round,
        start=digest_of(point.model),
        countersigned=point.countersigned,
    )
    try:
        check_countersigned(order, study)
    except DeniedError:
        return False
    return True
