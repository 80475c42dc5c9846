"""Secure sums over real FLARE processes: the same model, lost sites, killed hubs."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wide_recipe
from recorder import Recorder, engine_contexts
from scipy import stats

from consilium.federation.folder import SegmentFolder
from consilium.federation.ports import EngineStatus
from consilium.federation.resumption import starting_point
from consilium.gate.orders import Masking, peek_study
from consilium.models.weights import unpack_arrays

from .conftest import EngineSpace, all_gone, wait_until
from .test_crashes import job_process

pytestmark = pytest.mark.scenario
MakeSpace = Callable[..., EngineSpace]

NAMES = ("east", "north", "south", "west")
MASKS = Masking(clip=2.0, max_cases=60)
LONGEST_GAP_S = 15.0


class Stop:
    """Holds one site at one step of one round, until let go."""

    def __init__(self, step: str, number: int) -> None:
        self.place = (step, number)
        self.reached = threading.Event()
        self.free = threading.Event()

    def __call__(self, step: str, number: int) -> None:
        if (step, number) == self.place:
            self.reached.set()
            self.free.wait(60)


def weights(model: bytes) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    arrays = unpack_arrays(model)
    return np.concatenate([arrays[name].ravel() for name in sorted(arrays)])


def closed(folder: SegmentFolder) -> dict[int, dict[str, object]]:
    events = [event for event in folder.events() if event["kind"] == "round_closed"]
    return {event["round"]: event for event in events}


@pytest.fixture(scope="module")
def four(make_lasting: MakeSpace) -> EngineSpace:
    """Four hospitals and a hub's engine that the tests here share."""
    space = make_lasting(*NAMES)
    space.start()
    return space


@pytest.fixture
def space(four: EngineSpace) -> Iterator[EngineSpace]:
    with four.lent():
        yield four


@pytest.fixture(scope="module")
def undisturbed(four: EngineSpace) -> SegmentFolder:
    """A secure study to which nothing happened."""
    with four.lent():
        return four.run(*four.order(rounds=3, quorum=3, secure=MASKS))


def test_a_secure_study_ends_with_the_model_of_a_plain_one(
    space: EngineSpace, undisturbed: SegmentFolder
) -> None:
    plain = space.run(*space.order(rounds=3, quorum=3))
    np.testing.assert_allclose(
        weights(undisturbed.final()), weights(plain.final()), rtol=0, atol=1e-5
    )
    for number, event in closed(undisturbed).items():
        assert event["missing"] == [], number
        assert event["bad"] == {}
        assert event["facts"] == {}
        assert len(undisturbed.closed_round(number).confirmed) == 4


@pytest.mark.parametrize("step", ["deliver", "confirm"])
def test_a_site_killed_in_the_middle_of_a_sum_does_not_stop_the_round(
    space: EngineSpace, step: str
) -> None:
    south = space.sites["south"]
    south.desk.hear = stop = Stop(step, 2)
    order, start = space.order(rounds=3, quorum=3, deadline_s=60, secure=MASKS)
    job, folder = space.submit(order, start)
    assert stop.reached.wait(60)
    os.killpg(south.child.state.pid or 0, signal.SIGKILL)
    space.wait_for_round(folder, 2, within_s=LONGEST_GAP_S)
    stop.free.set()
    space.wait_for_end(job, folder)
    assert (south.desk.participant in closed(folder)[2]["sites"]) is (step == "confirm")  # type: ignore[operator]
    assert closed(folder)[3]["missing"] == [south.desk.participant]


@pytest.mark.parametrize("step", ["share", "reveal"])
def test_after_a_kill_at_the_hub_in_the_middle_of_a_sum_the_study_ends_with_the_same_model(
    space: EngineSpace, undisturbed: SegmentFolder, step: str
) -> None:
    west = space.sites["west"].desk
    fresh, start = space.order(rounds=3, quorum=3, secure=MASKS)
    west.hear = stop = Stop(step, 2)
    job, folder = space.submit(fresh, start)
    assert stop.reached.wait(60)
    victim = job_process(space.server)
    victim.kill()
    wait_until(lambda: all_gone([victim]), within_s=5, what="its end")
    stop.free.set()
    wait_until(lambda: space.engine.status(job) is EngineStatus.ENDED, within_s=20, what="the news")
    assert (2 in folder.called()) is (step == "reveal")
    study = peek_study(fresh.signed_study)
    point = starting_point([folder], study, start)
    again = point.order(fresh.signed_study, segment=1, attempt=2)
    path = space.folder / "studies" / again.digest[-12:]
    resumed = SegmentFolder.create(path, again, point)
    job = space.engine.submit(again, point.model, path)
    space.wait_for_end(job, resumed)
    assert resumed.final() == undisturbed.final()


@contextmanager
def recorded(space: EngineSpace, name: str) -> Iterator[Recorder]:
    """Keep every byte between one site's engine and the hub's, in the clear."""
    keys = space.folder / "recorder"
    keys.mkdir()
    server, site = space.server_credentials, space.credentials[name]
    for stem, found in (("engine-server", server), ("engine", site)):
        (keys / f"{stem}.crt").write_bytes(found.certificate)
        (keys / f"{stem}.key").write_bytes(found.key)
    (keys / "root.crt").write_bytes(server.root)
    front, back = engine_contexts(keys, keys)
    recorder = Recorder(space.address.port, front=front, back=back)
    space.lead_through(name, recorder.port)
    try:
        yield recorder
    finally:
        space.sites[name].stop()
        recorder.close()


def masked_vectors(sent: bytes, *, size: int) -> list[np.ndarray[Any, Any]]:
    """Find masked updates in what a site sent: the array's entry, then its bytes."""
    found = []
    for entry in re.finditer(rb'"masked":\{"dtype":"U32","shape":\[%d\]' % size, sent):
        start = sent.index(b"}", sent.index(b"data_offsets", entry.start()))
        begin = start + len(re.match(rb"\}\}? *", sent[start:]).group())  # type: ignore[union-attr]
        found.append(np.frombuffer(sent[begin : begin + 4 * size], dtype="<u4"))
    return found


def test_what_the_hub_sees_of_one_update_is_noise_and_costs_less_than_twice(
    make_space: MakeSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide_recipe.install(tmp_path / "recipe", monkeypatch)
    space = make_space(*NAMES, recipe=wide_recipe.NAME)
    updates: list[np.ndarray[Any, Any]] = []
    east = space.sites["east"].desk
    mask = east.sums.mask

    def keep(place: Any, arrays: Any, *, cases: int) -> Any:
        updates.append(arrays["weight"])
        return mask(place, arrays, cases=cases)

    east.sums.mask = keep  # type: ignore[method-assign]
    with recorded(space, "east") as recorder:
        space.start()
        secure = space.run(
            *space.order(rounds=2, quorum=3, deadline_s=120, secure=MASKS), within_s=60
        )
        sent = b"".join(recorder.up())
        plain = space.run(*space.order(rounds=2, quorum=3, deadline_s=120), within_s=60)
        openly = b"".join(recorder.up())[len(sent) :]
    vectors = masked_vectors(sent, size=wide_recipe.WIDTH + 1)
    assert len(vectors) == len(updates) == 2
    # 1. Noise: uniform over the ring, and without any likeness to the update.
    for vector, update in zip(vectors, updates, strict=True):
        values = vector[:-1].astype(np.float64) / 2**32
        assert stats.kstest(values, "uniform").pvalue > 1e-6
        bytes_ = np.bincount(vector.view(np.uint8), minlength=256)
        assert stats.chisquare(bytes_).pvalue > 1e-6
        assert abs(stats.spearmanr(values, update).statistic) < 0.05
    # 2. Control: the same search finds the numbers of a plain update, and none of a masked one.
    for update in updates:
        assert update.tobytes() not in sent
    assert updates[0].tobytes() in openly
    # 3. The same model, for at most twice the bytes.
    np.testing.assert_allclose(weights(secure.final()), weights(plain.final()), rtol=0, atol=1e-5)
    cost = {name: traffic(folder) for name, folder in (("secure", secure), ("plain", plain))}
    assert cost["secure"] <= 2 * cost["plain"], cost
    print(f"bytes of two rounds: {cost}; overhead: {overheads(secure)} plain {overheads(plain)}")


def traffic(folder: SegmentFolder) -> int:
    """Bytes of all rounds, up and down, as the study's own events count them."""
    return sum(int(one["bytes_up"]) + int(one["bytes_down"]) for one in closed(folder).values())  # type: ignore[call-overload]


def overheads(folder: SegmentFolder) -> list[float]:
    """Seconds of each round beyond the slowest site's own work."""
    return [float(str(one["overhead_s"])) for one in closed(folder).values()]
