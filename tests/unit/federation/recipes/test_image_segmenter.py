"""The recipe `image-segmenter`: contrast that stays at the site, patches, reproducibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.support.extras import need

from consilium.federation.contract import Cases, Chance, Needs
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

torch = need("torch")
need("monai")

from consilium.federation.recipes.image_segmenter import RECIPE  # noqa: E402
from consilium.federation.recipes.image_segmenter.contrast import (  # noqa: E402
    find_lit,
    local_contrast,
)
from consilium.federation.recipes.image_segmenter.network import make_network  # noqa: E402
from consilium.federation.recipes.image_segmenter.patches import Patches, fit_patch  # noqa: E402
from consilium.federation.simulation import simulate  # noqa: E402

CHANCE = Chance(seed=42, participant=ParticipantId("did:web:x:north"))
EDGE = 64
SMALL: dict[str, Any] = {"width": 4, "patch": 32, "patches": 2, "contrast_radius": 4.0}


def needs(channels: int = 3, edge: int = EDGE) -> Needs:
    field = FieldNeed(name="eye", kind="image", modality="eye", shape=(edge, edge, channels))
    return Needs(features=(field,), target=Target(kind="mask"))


def drawn(n: int = 4, seed: int = 0, channels: int = 3) -> Cases:
    """Draw dark bars on a bright ground; the bar is the mask."""
    generator = np.random.default_rng(seed)
    images = generator.integers(150, 190, (n, EDGE, EDGE, channels)).astype(np.uint8)
    masks = np.zeros((n, EDGE, EDGE), dtype=np.uint8)
    for image, mask, place in zip(images, masks, generator.integers(2, EDGE - 8, n), strict=True):
        image[:, place : place + 4] = 60
        mask[:, place : place + 4] = 1
    return Cases(
        x=np.empty((n, 0)),
        y=np.zeros(n),
        group=np.arange(n) // 2,
        tensors={"eye": images, "mask": masks},
    )


def settings(**given: Any) -> Any:
    return RECIPE.read_settings(SMALL | given)


def prepare(cases: Cases, **given: Any) -> Any:
    return RECIPE.prepare(
        cases, drawn(2, seed=9), needs=needs(), settings=settings(**given), chance=CHANCE
    )


def test_local_contrast_does_not_see_how_a_camera_scales_and_shifts() -> None:
    image = np.random.default_rng(0).random((40, 40, 1)).astype(np.float32)
    lit = np.ones((40, 40), dtype=bool)
    seen = local_contrast(image, lit, radius=5.0)
    other = local_contrast(0.5 * image + 0.3, lit, radius=5.0)
    np.testing.assert_allclose(seen, other, atol=2e-3)
    assert abs(float(seen.mean())) < 0.1


def test_what_is_black_is_neither_seen_nor_counts_as_surroundings() -> None:
    images = np.full((1, EDGE, EDGE, 3), 120, dtype=np.uint8)
    images[:, :, EDGE // 2 :] = 0
    lit = find_lit(images)
    assert lit[0, :, : EDGE // 2].all()
    assert not lit[0, :, EDGE // 2 :].any()
    even = local_contrast(images[0].astype(np.float32) / 255, lit[0], radius=4.0)
    np.testing.assert_allclose(even[:, : EDGE // 2 - 1], 0, atol=1e-3)
    prepared = prepare(replace(drawn(1), tensors=drawn(1).tensors | {"eye": images}))
    assert not prepared.train.tensors["inputs"][0, :, EDGE // 2 :].any()


@pytest.mark.parametrize("contrast", ["local", "image", "site"])
def test_scaling_is_learnt_from_the_training_part_alone(contrast: str) -> None:
    train = drawn()
    one = prepare(train, contrast=contrast).train.tensors["inputs"]
    other = RECIPE.prepare(
        train, drawn(3, seed=5), needs=needs(), settings=settings(contrast=contrast), chance=CHANCE
    ).train.tensors["inputs"]
    np.testing.assert_array_equal(one, other)
    assert one.shape == (4, EDGE, EDGE, 3)


def test_the_green_channel_alone_is_taken() -> None:
    cases = drawn()
    blue = cases.tensors["eye"].copy()
    blue[..., 2] = 255 - blue[..., 2]
    other = replace(cases, tensors=cases.tensors | {"eye": blue})
    one, two = (prepare(each, channels="green").train.tensors["inputs"] for each in (cases, other))
    np.testing.assert_array_equal(one, two)
    assert one.shape[3] == 1
    assert RECIPE.initial(needs(), settings(channels="green"), seed=0)[
        "conv_0.conv_0.conv.weight"
    ].shape == (4, 1, 3, 3)


def test_validation_patients_are_never_trained_on() -> None:
    prepared = prepare(drawn(8), validation_share=0.25)
    assert prepared.validation is not None
    apart, kept = set(prepared.validation.group), set(prepared.train.group)
    assert len(apart) == 1
    assert not apart & kept
    assert apart | kept == set(drawn(8).group)
    assert prepare(drawn(2), validation_share=0.5).validation is None


def test_masks_turn_with_their_patches() -> None:
    cases = prepare(drawn(), contrast="image", augment="flips").train
    marked = cases.tensors["mask"].astype(np.float32)
    cases = replace(cases, tensors={"inputs": marked[..., None], "mask": marked})
    patches = Patches(cases, settings(augment="flips"))
    torch.manual_seed(1)
    inputs, masks = patches.batch(np.arange(patches.n), True)
    assert inputs.shape == masks.shape == (8, 1, 32, 32)
    np.testing.assert_array_equal(inputs.numpy(), masks.numpy())


def test_without_augmentation_patches_tile_the_image() -> None:
    cases = prepare(drawn(1)).train
    patches = Patches(cases, settings(patches=4))
    tiles = patches.batch(np.arange(4), False)[1].numpy()[:, 0]
    whole = np.block([[tiles[0], tiles[1]], [tiles[2], tiles[3]]])
    np.testing.assert_array_equal(whole, cases.tensors["mask"][0])


@pytest.mark.parametrize(("shape", "edge"), [((256, 256), 32), ((63, 40), 32), ((31, 90), 0)])
def test_a_patch_fits_the_image_in_steps_of_16(shape: tuple[int, int], edge: int) -> None:
    assert fit_patch(shape, settings(patch=47)) == edge


def odd() -> Sequence[tuple[Needs, str]]:
    image = needs().features[0]
    return (
        (replace(needs(), target=Target()), "a label of yes or no"),
        (Needs(features=(image, replace(image, name="b")), target=Target(kind="mask")), "two"),
        (needs(edge=24), "an image that is too small"),
        (Needs(features=(FieldNeed(name="age", kind="number"),), target=Target(kind="mask")), "no"),
    )


@pytest.mark.parametrize("place", range(4))
def test_what_it_cannot_serve_is_refused(place: int) -> None:
    with pytest.raises(InputError) as caught:
        RECIPE.initial(odd()[place][0], settings(), seed=0)
    assert caught.value.code == "federation.recipe_does_not_fit"


def test_green_of_a_grey_image_is_refused() -> None:
    with pytest.raises(InputError):
        RECIPE.initial(needs(channels=1), settings(channels="green"), seed=0)


def test_a_site_without_training_cases_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        prepare(drawn(2).take(np.zeros(2, dtype=bool)))
    assert caught.value.code == "federation.no_cases"


def test_a_repeated_round_gives_the_same_bytes_and_another_round_others() -> None:
    cases, start = prepare(drawn()).train, RECIPE.initial(needs(), settings(), seed=3)

    def train(number: int) -> bytes:
        done = RECIPE.train(cases, start, settings(), chance=CHANCE, number=number, kept={})
        return b"".join(done.arrays[name].tobytes() for name in sorted(done.arrays))

    assert train(1) == train(1)
    assert train(1) != train(2)


@pytest.mark.parametrize("norm", ["instance", "group", "batch", "local_batch"])
def test_every_normalisation_trains_and_predicts_whole_images(norm: str) -> None:
    chosen = settings(norm=norm)
    cases, start = prepare(drawn(), norm=norm).train, RECIPE.initial(needs(), chosen, seed=3)
    done = RECIPE.train(cases, start, chosen, chance=CHANCE, number=1, kept={})
    assert done.arrays.keys() == start.keys()
    assert all(isinstance(loss, float) for loss in done.facts.values())
    logits = RECIPE.predict(cases, done.arrays, chosen, kept=done.kept)
    assert logits.shape == (4, EDGE, EDGE)
    assert np.isfinite(logits).all()


def test_local_batch_norms_are_kept_and_never_shared() -> None:
    chosen = settings(norm="local_batch")
    start = RECIPE.initial(needs(), chosen, seed=3)
    network = make_network(3, chosen)
    own = {name for name in network.state_dict() if name.endswith("running_mean")}
    assert own
    assert not own & set(start)
    cases = prepare(drawn(), norm="local_batch").train
    done = RECIPE.train(cases, start, chosen, chance=CHANCE, number=1, kept={})
    assert {f"local.{name}" for name in own} <= done.kept.keys()


def test_images_of_odd_edges_are_drawn_whole() -> None:
    cases = prepare(drawn(2)).train
    cut = replace(cases, tensors={name: one[:, :57, :41] for name, one in cases.tensors.items()})
    logits = RECIPE.predict(cut, RECIPE.initial(needs(), settings(), seed=0), settings(), kept={})
    assert logits.shape == (2, 57, 41)


def test_a_personal_model_is_kept_and_serves() -> None:
    chosen = settings(personal="ditto")
    cases, start = prepare(drawn()).train, RECIPE.initial(needs(), settings(), seed=3)
    done = RECIPE.train(cases, start, chosen, chance=CHANCE, number=1, kept={})
    shared = RECIPE.predict(cases, done.arrays, chosen, kept={})
    own = RECIPE.predict(cases, done.arrays, chosen, kept=done.kept)
    assert (shared != own).any()


@pytest.mark.slow
def test_bars_are_found_across_three_sites() -> None:
    chosen = settings(width=8, patches=4, epochs=4, learning_rate=0.01, norm="batch", threads=1)
    sites = {name: (drawn(6, seed), drawn(2, seed + 9)) for seed, name in enumerate("abc")}
    made = simulate(RECIPE, sites, needs=needs(), settings=chosen, rounds=6, seed=1)
    for site, prepared in made.prepared.items():
        found = made.predict(site, prepared.held_out) > 0
        truth = prepared.held_out.tensors["mask"] > 0
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
