"""A study on real FLARE processes, and what it leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from consilium.federation.flare.kits import SUBMITTER_ROLE, renew_credentials
from consilium.federation.ports import EngineStatus

from .conftest import EngineSpace, family, wait_until

pytestmark = pytest.mark.scenario
MakeSpace = Callable[..., EngineSpace]

LARGEST_OVERHEAD_S = 0.3
LIFE = timedelta(seconds=20)


def test_a_study_runs_from_its_order_to_its_final_model(make_space: MakeSpace) -> None:
    space = make_space("east", "west")
    space.start()
    order, start = space.order(rounds=8)

    job, folder = space.submit(order, start)
    space.wait_for_end(job, folder)

    assert folder.rounds() == list(range(1, 9))
    assert folder.evaluation()["missing"] == []
    assert space.engine.refusals(job) == {}
    for site in space.sites.values():
        assert site.desk.admitted == [order.as_json()]
        assert site.desk.leases == [*range(1, 9), 8]
    overheads = [
        event["overhead_s"] for event in folder.events() if event["kind"] == "round_closed"
    ]
    # Other spaces run beside this one: the median is judged by `benchmarks.timing`.
    assert min(overheads) <= LARGEST_OVERHEAD_S, overheads

    # Nothing of the job is left, in no process and no folder.
    wait_until(
        lambda: space.engine.status(job) == EngineStatus.ENDED, within_s=20, what="the job's end"
    )
    space.engine.prune()
    assert space.engine.status(job) == EngineStatus.UNKNOWN
    assert list((space.server_kit / "jobs").iterdir()) == []
    assert list((space.server_kit / "attempts").iterdir()) == []
    for site in space.sites.values():
        wait_until(
            lambda site=site: len(site.processes) == 2,  # type: ignore[misc]
            within_s=10,
            what="the job process's end",
        )
        assert not (site.kit / job).exists()

    # The site told the hub nothing of its configuration when it registered.
    log = (space.server_kit / "logs" / "server" / "log.txt").read_text()
    assert "joined" in log
    assert "site_config" not in log
    assert len(family(space.server)) == 2


def test_certificates_that_expire_in_mid_study_and_are_renewed_by_file_lose_nothing(
    make_space: MakeSpace,
) -> None:
    space = make_space("east", "west")
    for name, site in space.sites.items():
        renew_credentials(site.kit, space.authority.issue(name, life=LIFE))
    expired = time.monotonic() + LIFE.total_seconds()
    space.start()
    pids = {name: site.child.state.pid for name, site in space.sites.items()}

    def outlive(number: int) -> None:
        if number == 2:
            time.sleep(max(0.0, expired + 1 - time.monotonic()))

    space.sites["west"].desk.hold = outlive
    order, start = space.order(rounds=4, deadline_s=120)
    assert space.run(order, start, within_s=120).evaluation()["missing"] == []
    assert time.monotonic() > expired

    for name, site in space.sites.items():  # with new keys
        renew_credentials(site.kit, space.authority.issue(name))
    renewed = space.authority.issue(space.submitter, role=SUBMITTER_ROLE)
    renew_credentials(space.submitter_kit, renewed)
    again = space.order_again(order)
    assert space.run(again, start).evaluation()["missing"] == []
    assert {name: site.child.state.pid for name, site in space.sites.items()} == pids
