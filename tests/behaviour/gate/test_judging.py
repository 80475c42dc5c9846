"""A judgement of every kind of target through a hospital's real gate: all of it leaves, signed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consilium.federation.contract import Prepared
from consilium.federation.evaluation import evaluate_site
from consilium.gate.replies import verify_reply
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError
from consilium.models.weights import pack_arrays

_TESTS = next(place for place in Path(__file__).parents if place.name == "tests")
sys.path.insert(0, str(_TESTS / "unit" / "federation" / "evaluation"))

from toy_recipe import Settings, make_judge, make_toy_cases, train_toy  # noqa: E402

World = Any
MakeWorld = Callable[..., World]
KINDS = ("binary", "classes", "number", "survival", "mask")
LAST = digest_of(b"last")


def judged(kind: str, *, min_cases: int = 10) -> dict[str, Any]:
    """Judge at a hospital of 60 and 40 patients, with a personal model and groups apart."""
    train, held_out = make_toy_cases(kind, n=60, seed=1), make_toy_cases(kind, n=40, seed=2)
    shared = train_toy(kind, make_toy_cases(kind, n=90, seed=3))
    judge = make_judge(
        kind,
        arrays=shared,
        settings=Settings(personal=True),
        kept={"own": train_toy(kind, train)["weight"]},
        strata=(np.arange(40) // 20, np.minimum(np.arange(40) // 6, 3)),
        min_cases=min_cases,
    )
    found: dict[str, Any] = evaluate_site(judge, Prepared(train=train, held_out=held_out))
    return found


def release(world: World, facts: dict[str, Any]) -> bytes:
    world.gate.admit(world.order())
    lease = world.gate.lease(world.order(), kind="evaluate", round=3, model=LAST)
    lease.file.close()
    told = facts | {"n": 40, "work_s": 0.5, "local_start": "same"}
    data: bytes = world.gate.release(lease.id, update=pack_arrays({}), facts=told)
    return data


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_judgement_leaves_signed_with_every_figure(world: World, kind: str) -> None:
    facts = judged(kind)
    data = release(world, facts)
    reply = verify_reply(
        data,
        key=world.keys["south"].public,
        study=world.study.study,
        kind="evaluate",
        round=3,
        model=LAST,
    )
    told: dict[str, Any] = reply.facts
    assert set(told) == set(facts) | {"local_start"}
    for row, figures in facts["rows"].items():
        for name, figure in figures.items():
            found, value = told["rows"][row][name]["value"], figure["value"]
            assert found == (None if value is None else pytest.approx(value, rel=6e-6))
    assert "personalised" in told["rows"]
    assert told["choice"]["chosen"] == facts["choice"]["chosen"]


def test_nothing_that_leaves_counts_fewer_than_the_least(world: World) -> None:
    def counts(value: Any) -> list[int]:
        if isinstance(value, dict):
            mine = [item for key, item in value.items() if key in ("n", "patients")]
            return mine + [one for item in value.values() for one in counts(item)]
        return [one for item in value for one in counts(item)] if isinstance(value, list) else []

    told = judged("binary")
    release(world, told)
    assert min(counts(told)) >= 10
    hidden = [one for one in told["subgroups"] if "reason" in one]
    assert {one["reason"] for one in hidden} <= {
        "measures.too_few", "measures.hidden_with_others",
    }  # fmt: skip
    assert hidden


@pytest.mark.parametrize("kind", ["binary", "classes"])
def test_a_recipe_that_groups_too_finely_is_refused(world: World, kind: str) -> None:
    with pytest.raises(DeniedError) as refusal:
        release(world, judged(kind, min_cases=1))
    assert refusal.value.code == "gate.small_count"


def test_public_data_may_be_told_in_small_groups(make_world: MakeWorld) -> None:
    assert release(make_world(public=True), judged("classes", min_cases=1))
