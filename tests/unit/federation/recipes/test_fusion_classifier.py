"""The recipe `fusion-classifier`: what is absent does nothing, and an encoder is its owners'."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.extras import need

from consilium.federation.contract import Cases, Chance, Needs
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

torch = need("torch")

from consilium.federation.recipes.fusion_classifier import RECIPE  # noqa: E402
from consilium.federation.recipes.fusion_classifier.network import hide_some  # noqa: E402
from consilium.federation.recipes.fusion_classifier.prevalence import (  # noqa: E402
    log_prevalence,
)
from consilium.federation.simulation import simulate  # noqa: E402

CHANCE = Chance(seed=42, participant=ParticipantId("did:web:x:north"))
TABLES = Needs(
    features=(
        FieldNeed(name="age", kind="number", modality="clinical"),
        FieldNeed(name="gene", kind="category", categories=("no", "yes"), modality="genomic"),
        FieldNeed(name="sex", kind="category", categories=("f", "m"), modality="clinical"),
        FieldNeed(name="dose", kind="number", modality="genomic"),
    )
)
MIXED = Needs(
    features=(
        FieldNeed(name="age", kind="number", modality="clinical"),
        FieldNeed(name="eye", kind="image", modality="eye", shape=(16, 16, 1)),
        FieldNeed(name="pulse", kind="signal", modality="pulse", shape=(32, 2)),
    ),
    target=Target(kind="classes", classes=("a", "b", "c")),
)
CLINICAL, GENOMIC = (0, 2), (1, 3)


def tables(n: int = 40, seed: int = 0, lacks: tuple[int, ...] = ()) -> Cases:
    generator = np.random.default_rng(seed)
    x = np.stack(
        [
            generator.normal(60, 10, n),
            generator.integers(0, 2, n),
            generator.integers(0, 2, n),
            generator.normal(size=n),
        ],
        axis=1,
    ).astype(np.float64)
    y = ((x[:, 0] - 60) / 10 + x[:, 3] > 0).astype(float)
    x[:, list(lacks)] = np.nan
    return Cases(x=x, y=y, group=np.arange(n))


def mixed(n: int = 12, seed: int = 0) -> Cases:
    generator = np.random.default_rng(seed)
    return Cases(
        x=generator.normal(size=(n, 1)),
        y=(np.arange(n) % 3).astype(float),
        group=np.arange(n),
        tensors={
            "eye": generator.integers(1, 255, (n, 16, 16, 1)).astype(np.uint8),
            "pulse": generator.normal(size=(n, 32, 2)).astype(np.float32),
        },
    )


def settings(**values: Any) -> Any:
    return RECIPE.read_settings({"width": 4} | values)


def prepare(cases: Cases, needs: Needs = TABLES, **values: Any) -> Cases:
    chosen = settings(**values)
    return RECIPE.prepare(cases, cases, needs=needs, settings=chosen, chance=CHANCE).train


def test_arrays_are_named_by_modality_and_head() -> None:
    start = RECIPE.initial(TABLES, settings(), seed=1)
    assert {name.partition(".")[0] for name in start} == {"clinical", "genomic", "head"}
    again = RECIPE.initial(TABLES, settings(), seed=1)
    assert all(start[name].tobytes() == again[name].tobytes() for name in start)


def test_an_absent_modality_has_no_say() -> None:
    start = RECIPE.initial(TABLES, settings(), seed=1)
    cases = prepare(tables(lacks=GENOMIC))
    other = {
        name: array + 1 if name.startswith("genomic.") else array for name, array in start.items()
    }
    one, two = (RECIPE.predict(cases, arrays, settings(), kept={}) for arrays in (start, other))
    np.testing.assert_array_equal(one, two)
    whole = prepare(tables())
    assert (
        RECIPE.predict(whole, start, settings(), kept={})
        != RECIPE.predict(whole, other, settings(), kept={})
    ).all()


def test_the_fused_evidence_is_the_mean_over_present_modalities() -> None:
    start, chosen = RECIPE.initial(TABLES, settings(), seed=1), settings()
    whole = prepare(tables())
    flags = whole.tensors["present"]
    both, a, b = (
        RECIPE.predict(
            replace(whole, tensors=whole.tensors | {"present": flags * np.float32(kept)}),
            start,
            chosen,
            kept={},
        )
        for kept in ((1, 1), (1, 0), (0, 1))
    )
    # With a linear head the mean of the features is the mean of the evidence.
    np.testing.assert_allclose(both, (a + b) / 2, rtol=1e-5, atol=1e-6)


def test_a_case_that_lacks_a_modality_alone_is_flagged() -> None:
    cases = tables()
    cases.x[3, list(CLINICAL)] = np.nan
    cases.x[4, 0] = np.nan  # one value missing is not the modality missing
    flags = prepare(cases).tensors["present"]
    assert flags[3].tolist() == [0, 1]
    assert flags[4].tolist() == [1, 1]
    assert not prepare(cases).tensors["clinical"][3].any()


def test_a_black_image_and_an_empty_signal_count_as_absent() -> None:
    cases = mixed()
    cases.tensors["eye"][2] = 0
    cases.tensors["pulse"][5] = np.nan
    ready = prepare(cases, MIXED)
    assert ready.tensors["present"][2].tolist() == [1, 0, 1]
    assert ready.tensors["present"][5].tolist() == [1, 1, 0]


def test_a_site_without_a_field_trains_the_rest() -> None:
    cases = mixed()
    cases = replace(cases, tensors={"eye": cases.tensors["eye"]})
    start = RECIPE.initial(MIXED, settings(), seed=1)
    done = RECIPE.train(prepare(cases, MIXED), start, settings(), chance=CHANCE, number=1, kept={})
    assert done.arrays.keys() == start.keys()
    assert (done.arrays["eye.last.weight"] != start["eye.last.weight"]).any()
    logits = RECIPE.predict(prepare(cases, MIXED), done.arrays, settings(), kept={})
    assert logits.shape == (12, 3)
    assert np.isfinite(logits).all()


@given(
    present=st.lists(st.tuples(*[st.sampled_from((0.0, 1.0))] * 3), min_size=1, max_size=20),
    chance=st.floats(0, 0.95),
    seed=st.integers(0, 2**20),
)
def test_hiding_leaves_one_and_invents_none(
    present: list[tuple[float, ...]], chance: float, seed: int
) -> None:
    torch.manual_seed(seed)
    given_flags = torch.tensor(present)
    kept = hide_some(given_flags, chance=chance)
    assert (kept <= given_flags).all()
    assert ((kept.sum(dim=1) > 0) == (given_flags.sum(dim=1) > 0)).all()


def test_modalities_are_hidden_about_as_often_as_asked() -> None:
    torch.manual_seed(0)
    kept = hide_some(torch.ones(20_000, 2), chance=0.3)
    # Both hidden (0.09) leaves one of the two: each stays with 0.7 + 0.045.
    np.testing.assert_allclose(kept.mean(dim=0).numpy(), 0.745, atol=0.01)


def test_an_encoder_is_averaged_over_its_owners_alone() -> None:
    sites = {
        "both": (tables(30, 1), tables(5, 2)),
        "clinic": (tables(60, 3, lacks=GENOMIC), tables(5, 4, lacks=GENOMIC)),
    }
    made = simulate(
        RECIPE,
        sites,
        needs=TABLES,
        settings=settings(threads=1),
        rounds=1,
        seed=5,
        lacks={"clinic": ("genomic",)},
    )
    start = RECIPE.initial(TABLES, settings(), seed=5)
    alone = RECIPE.train(
        made.prepared["both"].train,
        start,
        settings(threads=1),
        chance=Chance(seed=5, participant=ParticipantId("both")),
        number=1,
        kept={},
    )
    for name in start:
        same = np.allclose(made.model[name], alone.arrays[name], atol=1e-6)
        assert same == name.startswith("genomic."), name


def test_a_repeated_round_gives_the_same_bytes_and_another_round_others() -> None:
    cases, start = prepare(tables()), RECIPE.initial(TABLES, settings(), seed=1)

    def train(number: int) -> bytes:
        done = RECIPE.train(cases, start, settings(), chance=CHANCE, number=number, kept={})
        return b"".join(done.arrays[name].tobytes() for name in sorted(done.arrays))

    assert train(1) == train(1)
    assert train(1) != train(2)


def test_the_log_prevalence_of_a_site_with_one_class_is_finite() -> None:
    np.testing.assert_allclose(log_prevalence(np.array([1.0, 1, 0]), 1), np.log([3 / 2]))
    assert np.isfinite(log_prevalence(np.ones(5), 1)).all()
    np.testing.assert_allclose(np.exp(log_prevalence(np.array([0.0, 2]), 3)), [0.4, 0.2, 0.4])


def test_a_site_with_one_class_moves_the_model_less_when_prevalence_is_taken_out() -> None:
    cases = tables()
    cases = replace(cases, y=np.ones(cases.n))
    moved = {}
    for prevalence in ("learnt", "taken_out"):
        chosen = settings(prevalence=prevalence, optimiser="sgd", learning_rate=0.05, epochs=5)
        start = RECIPE.initial(TABLES, chosen, seed=1)
        ready = prepare(cases, prevalence=prevalence)
        done = RECIPE.train(ready, start, chosen, chance=CHANCE, number=1, kept={})
        moved[prevalence] = np.abs(
            RECIPE.predict(ready, done.arrays, chosen, kept={})
            - RECIPE.predict(ready, start, chosen, kept={})
        ).mean()
    assert moved["taken_out"] < moved["learnt"] / 2


def test_scaling_is_the_sites_own_or_none() -> None:
    scaled = prepare(tables()).tensors["clinical"]
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    plain = prepare(tables(), scaling="none").tensors["clinical"]
    np.testing.assert_allclose(plain[:, 0], tables().x[:, 0], rtol=1e-6)


REFUSED = {
    "a number as target": replace(TABLES, target=Target(kind="number")),
    "a modality called head": Needs(
        features=(FieldNeed(name="age", kind="number", modality="head"),)
    ),
    "two images in one modality": Needs(
        features=(MIXED.features[1], replace(MIXED.features[1], name="other"))
    ),
    "a column beside an image": Needs(
        features=(MIXED.features[1], replace(MIXED.features[0], modality="eye"))
    ),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_it_cannot_serve_is_refused(what: str) -> None:
    with pytest.raises(InputError) as caught:
        RECIPE.initial(REFUSED[what], settings(), seed=0)
    assert caught.value.code == "federation.recipe_does_not_fit"


def test_labels_that_are_no_class_and_empty_sites_are_refused() -> None:
    cases = tables()
    with pytest.raises(InputError) as caught:
        prepare(replace(cases, y=cases.y + 2))
    assert caught.value.code == "federation.bad_label"
    with pytest.raises(InputError) as caught:
        prepare(cases.take(np.zeros(cases.n, dtype=bool)))
    assert caught.value.code == "federation.no_cases"


@pytest.mark.slow
def test_two_modalities_across_hospitals_that_own_one_or_both_beat_each_alone() -> None:
    owned = {"both": (), "clinic": GENOMIC, "lab": CLINICAL}
    lacks = {"clinic": ("genomic",), "lab": ("clinical",)}
    sites = {
        name: (tables(200, seed, lacks=gone), tables(300, seed + 9, lacks=gone))
        for seed, (name, gone) in enumerate(owned.items())
    }
    chosen = settings(width=8, epochs=4, learning_rate=0.01, threads=1)
    made = simulate(RECIPE, sites, needs=TABLES, settings=chosen, rounds=8, seed=1, lacks=lacks)
    right = {
        site: float(((made.predict(site, side.held_out) > 0) == (side.held_out.y > 0)).mean())
        for site, side in made.prepared.items()
    }
    assert right["both"] > 0.93
    assert min(right["clinic"], right["lab"]) > 0.68
