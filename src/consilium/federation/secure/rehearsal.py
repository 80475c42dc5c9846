"""A whole secure sum in one process: for notebooks, tests and measuring.

In studies `federation.summing` carries the same messages between processes; here
they go from hand to hand, and sites can be lost at any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from consilium.federation.secure.aggregator import SecureSum, SumAggregator
from consilium.federation.secure.members import Step
from consilium.federation.secure.messages import (
    Announcements,
    Delivery,
    SurvivorCall,
    Upload,
)
from consilium.federation.secure.site import SummingSite
from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.identifiers import ParticipantId

Updates = Mapping[ParticipantId, tuple[npt.NDArray[np.floating[Any]], int]]
"""Each site's update and number of cases."""

Lost = Mapping[ParticipantId, Step]
"""Before which step a site is lost."""

_ORDER = tuple(Step)
Answer = Any
"""A signed statement, or an `Upload`."""

Watch = Callable[[ParticipantId, Step, Callable[[], Answer]], Answer]
"""Does a site's work of one step; what measures can time it."""


def plain_watch(_site: ParticipantId, _step: Step, work: Callable[[], Answer]) -> Answer:
    """Do the work, and nothing else.

    Discloses
    ---------
    Nothing.
    """
    return work()


class Rehearsal:
    """One sum among sites of one process.

    Parameters
    ----------
    hub, sites
        Fresh, of one plan.
    updates : mapping of participant to (array, int)
        Update of shape (n_parameters,) and cases of every site that comes so far.
    lost : mapping of participant to Step, optional
        Sites that do not do this step, nor any after it.
    watch : callable, optional
        Called with site, step and the site's work; gives what the work gives.

    Attributes
    ----------
    up, down : dict of participant to int
        Bytes of messages from and to each site, without what carries them.

    Discloses
    ---------
    The sum, to whoever runs it; all updates are here in one process anyway.
    """

    def __init__(
        self,
        hub: SumAggregator,
        sites: Mapping[ParticipantId, SummingSite],
        updates: Updates,
        *,
        lost: Lost | None = None,
        watch: Watch = plain_watch,
    ) -> None:
        self._hub, self._sites, self._updates = hub, sites, updates
        self._lost = dict(lost or {})
        self._watch = watch
        self.up = dict.fromkeys(sites, 0)
        self.down = dict.fromkeys(sites, 0)

    def run(self) -> SecureSum:
        """Go from the first message to the mean.

        Raises
        ------
        ConsiliumError
            What sites and hub raise: `secure.too_many_lost` with too few left.

        Discloses
        ---------
        The sum.
        """
        hub = self._hub
        for name, site in self._left(Step.ANNOUNCE):
            hub.take_announcement(self._said(name, Step.ANNOUNCE, site.announce))
        shown = hub.announcements()
        for name, site in self._left(Step.SHARE):
            self._heard(name, shown)
            hub.take_shares(self._said(name, Step.SHARE, partial(site.share, shown)))
        deliveries = hub.deliveries()
        for name, site in self._left(Step.MASK):
            self._heard(name, deliveries[name])
            update, cases = self._updates[name]
            work = partial(site.mask, deliveries[name], update, cases=cases)
            hub.take_masked(self._said(name, Step.MASK, work))
        call = hub.survivor_call()
        for name, site in self._left(Step.CONFIRM):
            self._heard(name, call)
            hub.take_confirmation(self._said(name, Step.CONFIRM, partial(site.confirm, call)))
        final = hub.reveal_call()
        for name, site in self._left(Step.REVEAL):
            self._heard(name, final)
            hub.take_revealed(self._said(name, Step.REVEAL, partial(site.reveal, final)))
        return hub.total()

    def _left(self, step: Step) -> Iterator[tuple[ParticipantId, SummingSite]]:
        for name, site in sorted(self._sites.items()):
            if _ORDER.index(step) < _ORDER.index(self._lost.get(name, Step.DONE)):
                yield name, site

    def _said(self, name: ParticipantId, step: Step, work: Callable[[], Any]) -> Any:
        answer = self._watch(name, step, work)
        if isinstance(answer, Upload):
            self.up[name] += len(answer.statement) + len(answer.body)
        else:
            self.up[name] += len(answer)
        return answer

    def _heard(self, name: ParticipantId, message: Announcements | Delivery | SurvivorCall) -> None:
        self.down[name] += len(canonical_bytes(message.as_document()))
