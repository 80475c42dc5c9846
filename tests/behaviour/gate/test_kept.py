"""What a hospital keeps between rounds: found again for the next round, never sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from consilium.gate.kept import LATEST
from consilium.gate.replies import read_reply
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError
from consilium.models.weights import pack_arrays

World = Any
UPDATE = pack_arrays({"bias": np.zeros(1), "weight": np.zeros(2)})
FACTS = {"n": 60, "work_s": 0.1}
ROUNDS = 7
MODELS = [pack_arrays({"bias": np.ones(1) * n, "weight": np.ones(2)}) for n in range(ROUNDS + 1)]


def kept_after(number: int, *, attempt: int = 1) -> bytes:
    return pack_arrays({"personal": np.array([float(number), float(attempt)])})


@pytest.fixture
def long_world(make_world: Callable[..., World]) -> World:
    """A hospital in a study of seven rounds."""
    world = make_world()
    world.study = replace(world.study, rounds=ROUNDS, start=digest_of(MODELS[0]))
    world.set_transfer(study_digest=world.study.digest)
    world.set_terms(max_rounds=20)
    return world


def run(world: World, order: bytes, number: int, *, kept: bytes) -> bytes:
    """Do one round; return what was kept before it."""
    lease = world.gate.lease(order, kind="train", round=number, model=digest_of(MODELS[number - 1]))
    lease.file.close()
    reply = world.gate.release(lease.id, update=UPDATE, facts=FACTS, kept=kept)
    assert sorted(read_reply(reply).arrays) == ["bias", "weight"]
    assert b"personal" not in reply
    found: bytes = lease.kept
    return found


def test_the_next_round_and_the_evaluation_find_what_was_kept(long_world: World) -> None:
    order = long_world.order()
    long_world.gate.admit(order)
    found = [
        run(long_world, order, number, kept=kept_after(number)) for number in range(1, ROUNDS + 1)
    ]
    assert found == [b"", *(kept_after(number) for number in range(1, ROUNDS))]
    last = digest_of(MODELS[ROUNDS])
    judged = long_world.gate.lease(order, kind="evaluate", round=ROUNDS, model=last)
    judged.file.close()
    assert judged.kept == kept_after(ROUNDS)


def test_a_repeated_round_starts_from_the_same_bytes(long_world: World) -> None:
    first = long_world.order()
    long_world.gate.admit(first)
    for number in (1, 2, 3):
        run(long_world, first, number, kept=kept_after(number))
    start = digest_of(MODELS[1])
    signed = long_world.countersign(1, start, "north", "west")
    again = long_world.order(attempt=2, first_round=2, start=start, countersigned=signed)
    long_world.gate.admit(again)
    assert run(long_world, again, 2, kept=kept_after(2, attempt=2)) == kept_after(1)
    assert run(long_world, again, 3, kept=kept_after(3, attempt=2)) == kept_after(2, attempt=2)


def test_a_start_further_back_than_anything_kept_is_refused(long_world: World) -> None:
    first = long_world.order()
    long_world.gate.admit(first)
    for number in range(1, LATEST + 3):
        run(long_world, first, number, kept=kept_after(number))
    start = digest_of(MODELS[1])
    signed = long_world.countersign(1, start, "north", "west")
    again = long_world.order(attempt=2, first_round=2, start=start, countersigned=signed)
    long_world.gate.admit(again)
    with pytest.raises(DeniedError) as refusal:
        long_world.gate.lease(again, kind="train", round=2, model=start)
    assert refusal.value.code == "gate.kept_lost"


def test_only_the_latest_files_stay_on_the_disk(long_world: World, tmp_path: Any) -> None:
    order = long_world.order()
    long_world.gate.admit(order)
    for number in range(1, ROUNDS + 1):
        run(long_world, order, number, kept=kept_after(number))
    files = [path for path in tmp_path.glob("blobs-*/kept/??/*") if path.is_file()]
    assert len(files) <= LATEST + 1


def test_what_is_no_file_of_arrays_is_not_kept(long_world: World) -> None:
    order = long_world.order()
    long_world.gate.admit(order)
    lease = long_world.gate.lease(order, kind="train", round=1, model=digest_of(MODELS[0]))
    lease.file.close()
    with pytest.raises(DeniedError) as refusal:
        long_world.gate.release(lease.id, update=UPDATE, facts=FACTS, kept=b"rows of patients")
    assert refusal.value.code == "gate.update_unreadable"
