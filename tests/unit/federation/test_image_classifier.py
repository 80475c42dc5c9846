"""The recipe on tiny images: inputs, rounds, what stays at the site, predictions."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from extras import need

torch = need("torch")
need("monai")

from consilium.federation.contract import Cases, Chance, Needs  # noqa: E402
from consilium.federation.networks import read_weights  # noqa: E402
from consilium.federation.recipes.image_classifier import RECIPE  # noqa: E402
from consilium.federation.recipes.image_classifier.augmenting import augment, mix  # noqa: E402
from consilium.federation.recipes.image_classifier.nets import make_network  # noqa: E402
from consilium.federation.recipes.image_classifier.settings import Settings  # noqa: E402
from consilium.federation.registry import read_recipe  # noqa: E402
from consilium.federation.simulation import fit_alone, simulate  # noqa: E402
from consilium.gate.orders import BINARY, FieldNeed, Target  # noqa: E402
from consilium.kernel.errors import InputError, NotFoundError  # noqa: E402
from consilium.kernel.identifiers import ParticipantId  # noqa: E402
from consilium.models.weights import pack_arrays  # noqa: E402

CLASSES = Target(kind="classes", classes=("dark", "left", "right"))
IMAGE = FieldNeed(name="photo", kind="image", modality="image", shape=(20, 20, 1))
NEEDS = Needs(features=(IMAGE,), target=CLASSES)
CHANCE = Chance(seed=7, participant=ParticipantId("a"))
TINY = {"size": 16, "width": 4, "shrink": 1, "flip": "none", "threads": 1, "batch_size": 8}


def cases(n=24, *, classes=3, seed=0):
    """Noise with a bright half: left, right, or none."""
    chance = np.random.default_rng(seed)
    y = np.arange(n) % classes
    images = chance.integers(0, 60, size=(n, 20, 20, 1)).astype(np.uint8)
    images[y == 1, :, :10] += 120
    images[y == 2, :, 10:] += 120
    return Cases(
        x=np.empty((n, 0)),
        y=y.astype(np.float64),
        group=np.arange(n),
        tensors={"photo": images},
    )


def settings(**given):
    return RECIPE.read_settings(TINY | given)


def prepared(needs=NEEDS, given=None, **kept):
    given = given or settings(**kept)
    classes = max(2, len(needs.target.classes))
    train, held_out = cases(classes=classes), cases(9, classes=classes, seed=1)
    return RECIPE.prepare(train, held_out, needs=needs, settings=given, chance=CHANCE)


def train(given, *, start=None, number=1, kept=None, needs=NEEDS):
    start = RECIPE.initial(needs, given, seed=3) if start is None else start
    data = prepared(needs, given).train
    return RECIPE.train(data, start, given, chance=CHANCE, number=number, kept=kept or {})


def test_defaults_of_the_name_card_are_those_of_the_code():
    assert RECIPE.read_settings({}) == Settings()


@pytest.mark.parametrize(
    "given",
    [{"network": "vgg"}, {"start_model": "abc"}, {"size": "64"}, {"other": 1}, {"width": 1}],
    ids=lambda given: next(iter(given)),
)
def test_impossible_settings_are_refused(given):
    with pytest.raises(InputError):
        RECIPE.read_settings(given)


def test_images_are_resized_scaled_at_the_site_and_patients_set_aside():
    data = prepared()
    assert data.train.n + data.validation.n == 24
    assert data.validation.n == 4
    assert not set(data.train.group) & set(data.validation.group)
    images = data.train.tensors["image"]
    assert images.shape[1:] == (16, 16, 1)
    assert images.dtype == np.float32
    assert images.mean() == pytest.approx(0.0, abs=1e-4)
    alone = prepared(normalise="image").held_out.tensors["image"]
    assert alone.mean(axis=(1, 2, 3)) == pytest.approx(np.zeros(9), abs=1e-5)


def test_channels_of_several_fields_are_stacked():
    second = replace(IMAGE, name="scan", shape=(8, 12, 2))
    needs = Needs(features=(IMAGE, second), target=CLASSES)
    both = cases()
    both.tensors["scan"] = np.ones((24, 8, 12, 2), dtype=np.float32)
    given = settings()
    data = RECIPE.prepare(both, both.take(np.arange(3)), needs=needs, settings=given, chance=CHANCE)
    assert data.train.tensors["image"].shape[3] == 3
    assert RECIPE.initial(needs, given, seed=1)["conv1.weight"].shape[1] == 3


@pytest.mark.parametrize(
    "needs",
    [
        Needs(features=(IMAGE,), target=Target(kind="number")),
        Needs(features=(IMAGE, FieldNeed(name="age", kind="number")), target=CLASSES),
    ],
    ids=["target", "column"],
)
def test_a_study_of_another_kind_does_not_fit(needs):
    with pytest.raises(InputError) as error:
        RECIPE.initial(needs, settings(), seed=1)
    assert error.value.code == "federation.recipe_does_not_fit"


def test_labels_beyond_the_classes_are_refused():
    needs = Needs(features=(IMAGE,), target=BINARY)
    with pytest.raises(InputError) as error:
        RECIPE.prepare(cases(), cases(9), needs=needs, settings=settings(), chance=CHANCE)
    assert error.value.code == "federation.bad_label"


def test_the_same_round_gives_the_same_bytes():
    given = settings(mixup=0.2, drop=0.2)
    first, second = train(given), train(given)
    assert pack_arrays(first.arrays) == pack_arrays(second.arrays)
    assert set(first.facts) == {"loss_before", "loss_after"}
    assert set(first.arrays) == set(RECIPE.initial(NEEDS, given, seed=3))
    assert pack_arrays(train(given, number=2).arrays) != pack_arrays(first.arrays)


@pytest.mark.parametrize("network", ["resnet10", "resnet18", "densenet"])
@pytest.mark.parametrize("shrink", [0, 1, 2])
@pytest.mark.parametrize("way", ["stride", "pool"])
def test_every_network_answers_for_each_class(network, shrink, way):
    given = settings(network=network, shrink=shrink, shrink_by=way, size=32)
    made = make_network(given, channels=2, outputs=3)
    assert made(torch.zeros(2, 2, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("way", ["stride", "pool"])
@pytest.mark.parametrize("shrink", [0, 1, 2])
def test_either_way_of_halving_leaves_images_of_the_same_size(shrink, way):
    sizes = []
    made = make_network(settings(shrink=shrink, shrink_by=way, size=32), channels=1, outputs=3)
    made.layer1.register_forward_hook(lambda layer, given, answer: sizes.append(answer.shape[-1]))
    made(torch.zeros(2, 1, 32, 32))
    assert sizes == [32 >> shrink]


def test_the_weights_of_a_round_lie_in_rows_whatever_order_the_network_computes_in():
    for array in train(settings(shrink_by="pool")).arrays.values():
        assert array.flags.c_contiguous


def test_a_federation_learns_and_a_hospital_alone_does_too():
    given = settings(local_epochs=4, smoothing=0.0, learning_rate=0.01)
    sites = {name: (cases(24, seed=n), cases(9, seed=n + 9)) for n, name in enumerate("ab")}
    done = simulate(RECIPE, sites, needs=NEEDS, settings=given, rounds=3, seed=1)
    held_out = done.prepared["a"].held_out
    assert (done.predict("a", held_out).argmax(axis=1) == held_out.y).mean() > 0.8
    alone = fit_alone(
        RECIPE, sites["a"], needs=NEEDS, settings=given.alone, rounds=3, chance=CHANCE
    )
    assert (alone.predict(held_out).argmax(axis=1) == held_out.y).mean() > 0.8


def test_a_yes_or_no_is_answered_with_log_odds():
    needs = Needs(features=(IMAGE,), target=BINARY)
    given = settings(local_epochs=8, learning_rate=0.005, views="mirrored", balance="weights")
    trained = train(given, needs=needs)
    held_out = prepared(needs, given).held_out
    odds = RECIPE.predict(held_out, trained.arrays, given, kept={})
    assert odds.shape == (9,)
    assert ((odds > 0) == held_out.y).mean() > 0.8
    assert RECIPE.predict(held_out.take(np.arange(0)), trained.arrays, given, kept={}).shape == (0,)


def test_local_batch_norms_stay_and_are_served():
    given = settings(norm="local_batch", local_epochs=2)
    trained = train(given)
    own = {name.removeprefix("local.") for name in trained.kept}
    assert "bn1.running_mean" in own
    assert not own & set(trained.arrays)
    held_out = prepared(NEEDS, given).held_out
    served = RECIPE.predict(held_out, trained.arrays, given, kept=trained.kept)
    alone = RECIPE.predict(held_out, trained.arrays, given, kept={})
    assert np.isfinite(alone).all()
    assert not np.allclose(served, alone)


def test_a_personal_model_without_pull_is_local_training():
    given = settings(personal="ditto", ditto_lambda=0.0)
    start = RECIPE.initial(NEEDS, given, seed=3)
    kept, alone = {}, start
    for number in (1, 2):
        moved = {name: array * np.float32(number) for name, array in start.items()}
        kept = train(given, start=moved, number=number, kept=kept).kept
        alone = train(given.alone, start=alone, number=number).arrays
    held_out = prepared(NEEDS, given).held_out
    assert np.array_equal(
        RECIPE.predict(held_out, start, given, kept=kept),
        RECIPE.predict(held_out, alone, given.alone, kept={}),
    )


def test_a_personal_model_can_begin_later():
    given = settings(personal="ditto", personal_from=2)
    assert not train(given).kept
    assert train(given, number=2).kept


def test_class_shares_stay_out_of_the_shared_model_and_come_back_at_the_site():
    given = settings(balance="prior")
    trained = train(given)
    assert set(trained.kept) == {"prior"}
    assert "prior" not in trained.arrays
    held_out = prepared(NEEDS, given).held_out
    own = RECIPE.predict(held_out, trained.arrays, given, kept=trained.kept)
    shared = RECIPE.predict(held_out, trained.arrays, given, kept={})
    assert own - shared == pytest.approx(np.tile(trained.kept["prior"], (9, 1)), abs=1e-6)


def test_only_the_head_learns_on_a_starting_model(tmp_path):
    encoder = read_weights(make_network(settings(), channels=1, outputs=5, seed=9))
    data = pack_arrays(encoder)
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / f"{digest}.safetensors").write_bytes(data)
    given = settings(train="head", start_model=digest, start_folder=str(tmp_path), norm="batch")
    with pytest.raises(InputError):  # The file's network has other normalisation.
        RECIPE.initial(NEEDS, given, seed=3)
    given = replace(given, norm="group")
    start = RECIPE.initial(NEEDS, given, seed=3)
    assert np.array_equal(start["conv1.weight"], encoder["conv1.weight"])
    after = train(given, start=start).arrays
    moved = {name for name in start if not np.array_equal(start[name], after[name])}
    assert moved == {"fc.weight", "fc.bias"}
    with pytest.raises(NotFoundError):
        RECIPE.initial(NEEDS, replace(given, start_folder=str(tmp_path / "other")), seed=3)


def test_augmentation_without_range_changes_nothing():
    still = settings(rotate=0, shift=0, zoom=0, intensity=0)
    images = torch.rand(3, 1, 16, 16)
    assert torch.allclose(augment(images, still), images, atol=1e-5)
    turned = augment(images, settings(flip="both", rotate=90))
    assert turned.shape == images.shape
    assert not torch.allclose(turned, images)
    mixed, targets = mix(images, torch.eye(3), strength=0.4)
    assert targets.sum(dim=1) == pytest.approx(torch.ones(3))
    assert mixed.shape == images.shape


def test_the_folder_is_a_recipe_with_a_digest():
    from importlib.metadata import EntryPoint
    from pathlib import Path

    from consilium.federation.recipes import image_classifier

    folder = Path(image_classifier.__file__).parent
    found = read_recipe(folder, entry=EntryPoint(name="image-classifier", value="x", group="y"))
    assert (found.name, found.version) == (RECIPE.name, RECIPE.version)
