"""Certificates that expire in mid-study and are renewed by swapping files lose nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from whole_space import LEAD, OTHER, WholeSpace, practice_plan, whole_space

from consilium.ledger.certificates import load_certificate
from consilium.space.home import hub_home, node_home
from consilium.space.plans import HUB_NAME

pytestmark = pytest.mark.scenario

LIFE_S = 20.0
"""Life of every certificate that expires here; it is renewed when a third is left."""
ROUNDS = 8
"""Rounds of a short study, which tells how fast this machine is today."""
SETTINGS = {"learning_rate": 0.01, "batch_size": 8, "local_steps": 100}


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSpace]:
    folder = tmp_path_factory.mktemp("renewal")
    plan = practice_plan(folder / "data", settings=SETTINGS, rounds=ROUNDS, quorum=4, deadline_s=60)
    kinds = ("participant", "site", "server", "submitter")
    lives = {f"signer.{kind}_hours": LIFE_S / 3600 for kind in kinds}
    with whole_space(plan, folder / "space", settings=lives) as found:
        found.await_ready()
        yield found


def files_of(space: WholeSpace) -> list[Path]:
    """Every certificate that is in use: keys of hub and nodes, and the engine's kits."""
    hub = hub_home(space.home)
    found = [path for path in (hub / "keys").glob("*.crt") if path.name != "root.crt"]
    found += [hub / "engine" / kit / "startup" for kit in ("server", "submitter")]
    for name in space.names:
        home = node_home(space.home, name)
        found += [home / "keys" / f"{kind}.crt" for kind in ("participant", "engine")]
        found.append(home / "engine" / "startup")
    return [next(path.glob("*.crt")) if path.is_dir() else path for path in found]


def certificates(space: WholeSpace) -> dict[Path, x509.Certificate]:
    return {path: load_certificate(path) for path in files_of(space)}


def end_of(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def test_a_study_outlives_every_certificate_it_began_with(space: WholeSpace) -> None:
    pace = space.begin()
    pace.await_result()
    round_s = sorted(event["facts"]["seconds"] for event in pace.closed)[ROUNDS // 2]
    rounds = math.ceil(1.4 * LIFE_S / round_s)

    study = space.begin(rounds=rounds)
    study.await_round(2)
    first = certificates(space)
    result = study.await_result()
    ended = time.time()

    assert max(map(end_of, first.values())) < ended
    assert all(end_of(one) > ended for one in certificates(space).values())
    assert len(study.segments) == 1, study.story()
    assert [event["facts"]["round"] for event in study.closed] == list(range(1, rounds + 1))
    assert [event["facts"]["missing"] for event in study.closed] == [[]] * rounds
    assert len(result.sites) == len(space.names)


def test_who_comes_back_after_every_first_certificate_has_expired_is_let_in(
    space: WholeSpace,
) -> None:
    # A hospital that connects anew meets a server that has been up for longer than its certificate.
    space.kill(space.serving(OTHER))
    space.await_gone(OTHER)
    space.restart(OTHER)
    space.await_ready()
    # Engines that have been up for longer than theirs meet a new server; the old one
    # ends because its helper does.
    (helper,) = space.engine(HUB_NAME).children()
    space.kill(helper)
    space.await_gone(LEAD)
    space.await_ready()
    study = space.begin()
    study.await_result()
    assert [event["facts"]["missing"] for event in study.closed] == [[]] * ROUNDS
    assert space.unproved() == []
