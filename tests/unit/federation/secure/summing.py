"""Hospitals that sum: plans, sites, updates, and sums stopped at a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from consilium.federation.secure import (
    FixedPoint,
    PassingMemory,
    SumAggregator,
    SummingSite,
    SumPlan,
)
from consilium.federation.secure.members import Step
from consilium.federation.secure.messages import SurvivorCall, Upload
from consilium.federation.secure.rehearsal import Rehearsal
from consilium.kernel.canonical import Digest
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.keys import SigningKey

MODEL = Digest("sha256:" + "a" * 64)
KEYS = [SigningKey.generate() for _ in range(12)]


def named(number: int) -> ParticipantId:
    return ParticipantId(f"did:web:x:h{number:02}")


def planned(sites: int, *, size: int = 5, **changes: Any) -> SumPlan:
    encoding = {"clip": 1.0, "max_cases": 1000} | changes.pop("encoding", {})
    given: dict[str, Any] = {
        "study": StudyId("urn:uuid:study"),
        "segment": 1,
        "attempt": 1,
        "round": 1,
        "model": MODEL,
        "roster": {named(number): KEYS[number].public for number in range(sites)},
        "size": size,
        "encoding": FixedPoint(sites=sites, **encoding),
    }
    return SumPlan(**given | changes)


def key_of(site: ParticipantId) -> SigningKey:
    return KEYS[int(site[-2:])]


def joined(
    plan: SumPlan, *, memories: Mapping[ParticipantId, PassingMemory] | None = None, **given: Any
) -> dict[ParticipantId, SummingSite]:
    return {
        site: SummingSite(
            plan,
            site,
            key=key_of(site),
            memory=(memories or {}).get(site, PassingMemory()),
            **given,
        )
        for site in plan.sites
    }


def trained(plan: SumPlan, *, seed: int = 42, scale: float = 0.2) -> dict[ParticipantId, Any]:
    drawn = np.random.default_rng(seed)
    return {
        site: (
            drawn.normal(0, scale, plan.size),
            int(drawn.integers(1, plan.encoding.max_cases + 1)),
        )
        for site in plan.sites
    }


def pooled(updates: Mapping[ParticipantId, Any], sites: Sequence[ParticipantId]) -> Any:
    """The plain weighted mean of clipped updates."""
    total = sum(updates[site][1] for site in sites)
    return sum(np.clip(updates[site][0], -1, 1) * (updates[site][1] / total) for site in sites)


def summed(plan: SumPlan, updates: Any, lost: Mapping[ParticipantId, Step] | None = None) -> Any:
    return Rehearsal(SumAggregator(plan), joined(plan), updates, lost=lost).run()


class Stopped:
    """A sum in which every site has uploaded; the hub's next word is a test's to say."""

    def __init__(self, sites: int = 4, *, uploads: int | None = None, **changes: Any) -> None:
        self.plan = planned(sites, **changes)
        self.hub, self.sites = SumAggregator(self.plan), joined(self.plan)
        self.updates = trained(self.plan)
        for site in self.sites.values():
            self.hub.take_announcement(site.announce())
        self.shown = self.hub.announcements()
        self.said = {name: site.share(self.shown) for name, site in self.sites.items()}
        for text in self.said.values():
            self.hub.take_shares(text)
        self.deliveries = self.hub.deliveries()
        self.uploads: dict[ParticipantId, Upload] = {}
        for name, site in [*self.sites.items()][:uploads]:
            update, cases = self.updates[name]
            self.uploads[name] = site.mask(self.deliveries[name], update, cases=cases)

    def call(self, *lost: int, confirmed_by: Sequence[int] = ()) -> SurvivorCall:
        gone = tuple(named(number) for number in lost)
        call = SurvivorCall(
            survivors=tuple(site for site in self.plan.sites if site not in gone), lost=gone
        )
        texts = tuple(self.sites[named(number)].confirm(call) for number in confirmed_by)
        return SurvivorCall(survivors=call.survivors, lost=gone, confirmations=texts)
