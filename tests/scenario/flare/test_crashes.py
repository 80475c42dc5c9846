"""Kill -9 of each process of the engine, in the middle of things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import psutil
import pytest

from consilium.federation.flare.processes import SupervisedChild
from consilium.federation.folder import SegmentFolder
from consilium.federation.ports import EngineStatus
from consilium.gate.orders import Order

from .conftest import EngineSpace, all_gone, family, wait_until

pytestmark = pytest.mark.scenario
MakeSpace = Callable[..., EngineSpace]

LONGEST_GAP_S = 12.0
LONGEST_END_S = 2.0
HELD = 2
ATTEMPTS = count(2)
"""Numbers of further attempts at the undisturbed study's segment."""


class Hold:
    """Holds one site's lease of one round until let go."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.reached = threading.Event()
        self.free = threading.Event()

    def __call__(self, number: int) -> None:
        if number == self.number:
            self.reached.set()
            self.free.wait(60)


@pytest.fixture(scope="module")
def three(make_lasting: MakeSpace) -> EngineSpace:
    """Three hospitals and a hub's engine that the tests here share, each killed in its turn."""
    space = make_lasting("east", "west", "north")
    space.start()
    return space


@pytest.fixture
def space(three: EngineSpace) -> Iterator[EngineSpace]:
    with three.lent():
        yield three


@pytest.fixture(scope="module")
def undisturbed(three: EngineSpace) -> tuple[Order, bytes, SegmentFolder]:
    """A study to which nothing happened: its order, its start, what it left."""
    order, start = three.order(rounds=4, seed=3)
    with three.lent():
        return order, start, three.run(order, start)


def job_process(child: SupervisedChild) -> psutil.Process:
    """Find the process that does the job: the helper's youngest child."""
    pid = child.state.pid
    helpers = psutil.Process(pid).children()
    jobs = [job for helper in helpers for job in helper.children()]
    assert jobs
    return max(jobs, key=psutil.Process.create_time)


@pytest.mark.parametrize("whole_site", [False, True], ids=["job process", "whole site"])
def test_a_killed_site_costs_the_round_a_few_seconds_and_nobody_else_anything(
    space: EngineSpace, whole_site: bool
) -> None:
    north = space.sites["north"]
    hold = Hold(HELD)
    north.desk.hold = hold
    order, start = space.order(rounds=4, deadline_s=60)
    job, folder = space.submit(order, start)
    assert hold.reached.wait(40)

    if whole_site:
        os.killpg(north.child.state.pid or 0, signal.SIGKILL)
    else:
        job_process(north.child).kill()
    gap_s = time_to_round(space, folder, HELD)
    hold.free.set()
    space.wait_for_end(job, folder)

    assert gap_s <= LONGEST_GAP_S
    closed = [event for event in folder.events() if event["kind"] == "round_closed"]
    assert [len(event["missing"]) for event in closed] == [0, 1, 1, 1]
    # The site comes back by itself and takes part in the next segment.
    space.wait_for_sites("north")
    again = space.order_again(order)
    assert space.run(again, start).evaluation()["missing"] == []


def test_a_job_process_killed_before_its_first_word_costs_no_more(space: EngineSpace) -> None:
    north = space.sites["north"]
    order, start = space.order(rounds=2, deadline_s=60)
    job, folder = space.submit(order, start)
    wait_until(lambda: len(north.processes) > 2, within_s=40, what="the job process")

    job_process(north.child).kill()
    gap_s = time_to_round(space, folder, 1)

    assert gap_s <= LONGEST_GAP_S
    space.wait_for_end(job, folder)
    assert folder.evaluation()["missing"] == [north.desk.participant]


def time_to_round(space: EngineSpace, folder: SegmentFolder, number: int) -> float:
    began = time.monotonic()
    space.wait_for_round(folder, number)
    return time.monotonic() - began


@pytest.mark.parametrize("whole_server", [False, True], ids=["job process", "whole server"])
def test_after_a_kill_at_the_hub_the_study_goes_on_to_the_same_model(
    space: EngineSpace, undisturbed: tuple[Order, bytes, SegmentFolder], whole_server: bool
) -> None:
    order, start, whole = undisturbed
    hold = Hold(HELD)
    space.sites["west"].desk.hold = hold
    second = replace(order, attempt=next(ATTEMPTS))
    job, folder = space.submit(second, start)
    assert hold.reached.wait(40)
    victims = family(space.server) if whole_server else [job_process(space.server)]

    restarts = space.server.state.restarts
    victims[0].kill()
    wait_until(lambda: all_gone(victims), within_s=5, what="its end")
    hold.free.set()
    closed = len(folder.rounds())
    if whole_server:
        wait_until(lambda: space.server.state.restarts > restarts, within_s=10, what="a restart")
        space.wait_for_sites(*space.sites)
    else:
        wait_until(
            lambda: space.engine.status(job) is EngineStatus.ENDED, within_s=15, what="the news"
        )
    third = replace(order, attempt=next(ATTEMPTS))
    resumed = space.run(third, start)

    assert resumed.final() == whole.final()
    assert len(folder.rounds()) == closed  # the lost attempt wrote nothing more
    assert not folder.has_ended()


KEEPER = """
import sys, time
from pathlib import Path
from consilium.federation.flare.processes import SupervisedChild, client_command, server_command
command = {"server": server_command, "client": client_command}[sys.argv[1]]
kit = Path(sys.argv[2])
SupervisedChild("kept", command(kit), folder=kit).start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("side", ["server", "client"])
def test_what_a_killed_hub_or_node_kept_is_gone_within_a_second_or_two(
    make_space: MakeSpace, side: str
) -> None:
    space = make_space("east", "west")
    east = space.sites["east"]
    kept = space.server if side == "server" else east.child
    kit = space.server_kit if side == "server" else east.kit
    keeper = subprocess.Popen([sys.executable, "-c", KEEPER, side, str(kit)])
    try:
        for child in (space.server, *(site.child for site in space.sites.values())):
            if child is not kept:
                child.start()
        for site in space.sites.values():
            site.counter.serve()
        space.wait_for_sites("east", "west")
        hold = Hold(1)
        east.desk.hold = hold
        order, start = space.order()
        space.submit(order, start)
        assert hold.reached.wait(40)
        below = psutil.Process(keeper.pid).children(recursive=True)
        assert len(below) == 3  # FLARE's process, the helper, the job

        keeper.kill()
        keeper.wait()
        wait_until(lambda: all_gone(below), within_s=LONGEST_END_S, what="their end")
        hold.free.set()
    finally:
        keeper.kill()
    kept.start()
    space.wait_for_sites("east", "west")
