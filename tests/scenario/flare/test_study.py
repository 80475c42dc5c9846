"""A study on real FLARE processes, and what it leaves behind."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest

from consilium.federation.flare.kits import renew_credentials
from consilium.federation.ports import EngineStatus

from .conftest import EngineSpace, family, wait_until

pytestmark = pytest.mark.scenario
MakeSpace = Callable[..., EngineSpace]

LARGEST_OVERHEAD_S = 0.3


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
    assert statistics.median(overheads) <= LARGEST_OVERHEAD_S, overheads

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


def test_the_same_order_gives_the_same_model_byte_for_byte(make_space: MakeSpace) -> None:
    space = make_space("east", "west")
    space.start()
    order, start = space.order(rounds=3, seed=7)
    first = space.run(order, start)

    again = space.order_again(order)
    second = space.run(again, start)

    assert first.final() == second.final()


def test_a_renewed_certificate_serves_the_next_job_without_a_restart(
    make_space: MakeSpace,
) -> None:
    space = make_space("east", "west")
    space.start()
    order, start = space.order(rounds=4)
    gone = {name: site.child.state.pid for name, site in space.sites.items()}
    job, folder = space.submit(order, start)
    space.wait_for_round(folder, 1)

    for name, site in space.sites.items():  # with new keys, in the middle of a study
        renew_credentials(site.kit, space.authority.issue(name))
    renew_credentials(
        space.submitter_kit, space.authority.issue(space.submitter, role="lead")
    )
    space.wait_for_end(job, folder)
    again = space.order_again(order)
    later = space.run(again, start)

    assert later.evaluation()["missing"] == []
    assert {name: site.child.state.pid for name, site in space.sites.items()} == gone
