"""Our side: the same study in a whole space, with agreements, gates and evidence."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common_study import CommonStudy
from benchmarks.events import Event, read_rounds
from benchmarks.measuring import Memory, Peak, overheads
from benchmarks.outcome import Outcome
from benchmarks.wiretap import Wiretap
from consilium.kernel.clock import SystemClock
from consilium.models.weights import unpack_arrays
from consilium.space.client import Client
from consilium.space.home import node_home
from consilium.space.offers import draft_record
from consilium.space.plans import HUB_NAME, SpacePlan
from consilium.space.processes import RunningSpace, running_space
from consilium.space.run import register_datasets
from consilium.space.watch import Stage, silent


@dataclass(frozen=True, kw_only=True)
class OurSpace:
    """A running space with its datasets registered."""

    study: CommonStudy
    space: RunningSpace
    taps: tuple[Wiretap, ...]

    @property
    def hub(self) -> int:
        """Process number of the hub."""
        return self._pid(HUB_NAME)

    @property
    def sites(self) -> list[int]:
        """Process numbers of the nodes."""
        return [self._pid(name) for name in self.study.names]

    def memory(self) -> Memory:
        """Measure the memory now."""
        return Memory.now(self.hub, self.sites)

    def run(self) -> Outcome:
        """Run the study once, as the lead's own client would."""
        plan = self.space.plan.studies[0]
        draft = draft_record(plan, space=self.space.plan.name)
        before = sum(tap.total for tap in self.taps)
        events: list[Event] = []
        with (
            Client(self.space.wire(plan.lead)) as client,
            Peak(self.hub, self.sites) as peak,
        ):
            command = time.time()
            record = client.studies.run(seen=events.append, **draft)
            finished = time.time()
        starts, end, work = read_rounds(events)
        return Outcome(
            wall_s=finished - command,
            first_round_s=starts[min(starts)] - command,
            last_round_s=finished - end,
            overheads_s=overheads(starts, end, work),
            work_s=[max(each) for _, each in sorted(work.items())],
            wire_bytes=sum(tap.total for tap in self.taps) - before,
            peak=peak.memory,
            weights=self._weights(plan.lead, record.model.digest),
        )

    def _weights(self, lead: str, digest: str) -> list[float]:
        name = digest.removeprefix("sha256:") + ".safetensors"
        arrays = unpack_arrays((node_home(self.space.home, lead) / "models" / name).read_bytes())
        return [*arrays["weight"].tolist(), *arrays["bias"].tolist()]

    def _pid(self, name: str) -> int:
        return next(child.pid for child in self.space.children.alive() if child.name == name)


@contextmanager
def our_space(study: CommonStudy, plan: SpacePlan, home: Path) -> Iterator[OurSpace]:
    """Bring a space up whose hospitals reach the hub through byte counters."""
    with ExitStack() as stack:
        taps: list[Wiretap] = []

        def route(stage: Stage, done: int, total: int) -> None:
            # All have joined and no node has started: the moment to change their hub's ports.
            if stage is Stage.JOIN and 2 * done == total and not taps:
                for port in _ports(home / HUB_NAME / "hub.toml"):
                    tap = stack.enter_context(Wiretap(port))
                    taps.append(tap)
                    for name in study.names:
                        _reroute(node_home(home, name) / "node.toml", port, tap.port)

        space = stack.enter_context(running_space(plan, home, watch=route))
        register_datasets(space, watch=silent, clock=SystemClock())
        yield OurSpace(study=study, space=space, taps=tuple(taps))


def _ports(settings: Path) -> list[int]:
    lines = settings.read_text(encoding="utf-8").splitlines()
    found = dict(line.split(" = ", 1) for line in lines if " = " in line)
    return [int(found["port"]), int(found["engine_port"])]


def _reroute(settings: Path, old: int, new: int) -> None:
    text = settings.read_text(encoding="utf-8")
    changed = text.replace(f':{old}"', f':{new}"').replace(f"port = {old}\n", f"port = {new}\n")
    if changed == text:
        raise ValueError(f"{settings} does not name port {old}")
    settings.write_text(changed, encoding="utf-8")
