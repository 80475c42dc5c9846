"""Who takes part in one sum: checked in the same way by every site and by the hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from enum import StrEnum

from consilium.federation.secure.messages import (
    Announcement,
    Confirmation,
    SurvivorCall,
    verify_message,
)
from consilium.federation.secure.plan import SumPlan
from consilium.kernel.canonical import Digest, digest_json, digest_of
from consilium.kernel.errors import DeniedError, IntegrityError, StateError
from consilium.kernel.identifiers import ParticipantId


class Step(StrEnum):
    """Where a site or the hub stands in one sum: the step that comes next."""

    ANNOUNCE = "announce"
    SHARE = "share"
    MASK = "mask"
    CONFIRM = "confirm"
    REVEAL = "reveal"
    DONE = "done"


def check_turn(now: Step, wanted: Step) -> None:
    """Return if this is the step that comes next.

    Raises
    ------
    StateError
        `secure.out_of_turn`.

    Discloses
    ---------
    Nothing.
    """
    if now is not wanted:
        raise StateError("secure.out_of_turn", now=now, wanted=wanted)


def check_enough(sites: Collection[ParticipantId], *, step: Step, plan: SumPlan) -> None:
    """Return if enough sites are left after a step.

    Raises
    ------
    StateError
        `secure.too_many_lost`.

    Discloses
    ---------
    Nothing: it counts sites.
    """
    if len(sites) < plan.threshold:
        raise StateError(
            "secure.too_many_lost", step=step, left=len(sites), threshold=plan.threshold
        )


def read_announcements(
    statements: Iterable[str], *, plan: SumPlan
) -> dict[ParticipantId, Announcement]:
    """Verify announcements, one of each site.

    Raises
    ------
    InputError, IntegrityError
        As `verify_message`; `secure.doubled_message`.

    Discloses
    ---------
    Nothing.
    """
    found: dict[ParticipantId, Announcement] = {}
    for text in statements:
        one = verify_message(text, Announcement, plan=plan)
        if one.site in found:
            raise IntegrityError("secure.doubled_message", kind=one.KIND, site=one.site)
        found[one.site] = one
    return found


def transcript_of(statements: Iterable[str], *, members: Collection[ParticipantId]) -> Digest:
    """Fingerprint the announcements that were shown and the members that shared.

    Sites that confirm one transcript masked against the same keys.

    Discloses
    ---------
    Nothing: it covers what the hub showed.
    """
    shown = sorted(digest_of(text.encode()) for text in statements)
    return digest_json({"announcements": shown, "members": sorted(members)})


def survivors_of(call: SurvivorCall) -> Digest:
    """Fingerprint a survivor set.

    Discloses
    ---------
    Nothing.
    """
    return digest_set(call.survivors)


def digest_set(survivors: Iterable[ParticipantId]) -> Digest:
    """Fingerprint the names of survivors, in any order.

    Discloses
    ---------
    Nothing.
    """
    return digest_json({"survivors": sorted(survivors)})


def check_survivors(
    call: SurvivorCall, *, members: Collection[ParticipantId], plan: SumPlan
) -> None:
    """Return if survivors and lost sites are apart, make up the members, and suffice.

    Raises
    ------
    DeniedError
        `secure.both_shares`: some member is named twice or nowhere, or
        somebody else is named.
    StateError
        `secure.too_many_lost`.

    Discloses
    ---------
    Nothing.
    """
    named = [*call.survivors, *call.lost]
    if len(set(named)) != len(named) or set(named) != set(members):
        raise DeniedError("secure.both_shares")
    check_enough(call.survivors, step=Step.MASK, plan=plan)


def verify_confirmed(
    confirmations: Iterable[str],
    *,
    survivors: Iterable[ParticipantId],
    plan: SumPlan,
    transcript: Digest | None = None,
) -> None:
    """Return if a threshold of survivors has confirmed this very set alike.

    Parameters
    ----------
    confirmations : iterable of str
        Signed, one of each site; those of others than survivors do not count.
    survivors : iterable of ParticipantId
    transcript : Digest, optional
        What the confirming sites must have been shown; without it any that a
        threshold of them shares.

    Raises
    ------
    InputError, IntegrityError
        As `verify_message`; `secure.doubled_message`.
    DeniedError
        `secure.unconfirmed`.

    Discloses
    ---------
    Nothing.
    """
    named = frozenset(survivors)
    wanted, seen, alike = digest_set(named), set[ParticipantId](), Counter[Digest]()
    for text in confirmations:
        one = verify_message(text, Confirmation, plan=plan)
        if one.site in seen:
            raise IntegrityError("secure.doubled_message", kind=one.KIND, site=one.site)
        seen.add(one.site)
        if one.site in named and one.survivors == wanted:
            alike[one.transcript] += 1
    most = max(alike.values(), default=0) if transcript is None else alike[transcript]
    if most < plan.threshold:
        raise DeniedError("secure.unconfirmed", alike=most, threshold=plan.threshold)
