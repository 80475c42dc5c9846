"""The recipe `image-segmenter`: its four site verbs and its starting model."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from torch import nn

from consilium.federation.contract import (
    Cases,
    Chance,
    EvaluationPlan,
    Needs,
    Prepared,
    Tensor,
    Trained,
)
from consilium.federation.evaluation import Judge, evaluate_site
from consilium.federation.networks import (
    Optimising,
    RoundPlan,
    Schedule,
    Work,
    built,
    choose_device,
    learn_channels,
    read_weights,
    seeded,
    serving_arrays,
    shared_part,
    train_round,
    write_weights,
)
from consilium.federation.networks.weights import batch_norm_names
from consilium.federation.recipes.image_segmenter.contrast import (
    even_out,
    find_lit,
    to_brightness,
)
from consilium.federation.recipes.image_segmenter.network import (
    draw_logits,
    make_loss,
    make_network,
)
from consilium.federation.recipes.image_segmenter.patches import Patches, fit_patch
from consilium.federation.recipes.image_segmenter.settings import Settings
from consilium.federation.settings_schema import Setting, fill_settings, read_schema
from consilium.gate.orders import FieldNeed
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

LOCAL_BATCH = "local_batch"


@dataclass(frozen=True, slots=True)
class ImageSegmenter:
    """A U-Net that draws one region in images of one field.

    The model's arrays are the network's weights by torch's names, float32;
    with `norm = local_batch` without those of batch normalisation.
    """

    name: str = "image-segmenter"
    version: str = "1.0.0"

    def read_settings(self, given: Mapping[str, Any]) -> Settings:
        """Return typed settings; refuses unknown names and impossible values.

        Raises
        ------
        InputError
            `federation.unknown_setting`, `federation.bad_setting`.
        """
        return Settings(**fill_settings(_schema(), given, owner=self.name))

    def initial(self, needs: Needs, settings: Settings, *, seed: int) -> dict[str, Tensor]:
        """Draw the starting weights, as torch does.

        Raises
        ------
        InputError
            `federation.recipe_does_not_fit`.
        """
        channels = self._channels(needs, settings)
        network = built(lambda: make_network(channels, settings), seed=seed)
        return {**shared_part(read_weights(network), _own(network, settings))}

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        """Normalise the images, learning from `train` alone; set validation patients apart.

        Raises
        ------
        InputError
            `federation.no_cases`, `federation.recipe_does_not_fit`.
        """
        self._channels(needs, settings)
        field = _image_field(needs)
        if not train.n:
            raise InputError("federation.no_cases", recipe=self.name)
        kept, apart = _set_apart(train, settings.validation_share, chance)
        scaling = learn_channels(to_brightness(kept.tensors[field.name], settings))

        def ready(cases: Cases) -> Cases:
            images = cases.tensors[field.name]
            seen = to_brightness(images, settings)
            inputs = even_out(seen, find_lit(images), settings=settings, site=scaling)
            tensors = {"inputs": inputs, "mask": cases.tensors["mask"]}
            return replace(cases, x=np.empty((cases.n, 0)), tensors=tensors)

        return Prepared(
            train=ready(kept),
            held_out=ready(held_out),
            validation=ready(apart) if apart.n else None,
        )

    def train(
        self,
        cases: Cases,
        start: Arrays,
        settings: Settings,
        *,
        chance: Chance,
        number: int,
        kept: Arrays,
    ) -> Trained:
        """Take a round's passes over patches of the images.

        Discloses
        ---------
        The shared weights, and the mean loss over the training images before
        and after; no figure of fewer.
        """
        patches, loss = Patches(cases, settings), make_loss()
        result = train_round(
            lambda: make_network(cases.tensors["inputs"].shape[3], settings),
            start,
            work=Work(n=patches.n, batch=patches.batch, loss=loss),
            plan=_plan(settings),
            draw=lambda: chance.draw("train", number),
            number=number,
            kept=kept,
        )
        facts: dict[str, Json] = {
            "loss_before": _finite(result.loss_before),
            "loss_after": _finite(result.loss_after),
        }
        return Trained(arrays=result.shared, facts=facts, kept=result.kept)

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Tensor:
        """Return logits of shape (n, height, width), float32. They stay in the job process."""
        inputs = cases.tensors["inputs"]
        with seeded(np.random.default_rng(0), threads=settings.threads):
            network = make_network(inputs.shape[3], settings)
            write_weights(network, serving_arrays(arrays, kept))
            return draw_logits(network.to(choose_device()), inputs)

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Settings, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge a model on the held-out part; aggregate figures only."""
        judge = Judge(
            recipe=self,
            arrays=arrays,
            settings=settings,
            alone=replace(settings, proximal_mu=0.0, personal="none"),
            plan=plan,
        )
        return evaluate_site(judge, prepared)

    def _channels(self, needs: Needs, settings: Settings) -> int:
        """Return the channels that the network sees; refuse what the recipe cannot serve."""
        images = [need for need in needs.features if need.kind == "image"]
        fits = (
            needs.target.kind == "mask"
            and len(images) == len(needs.features) == 1
            and fit_patch(images[0].shape[:2], settings) > 0
            and (settings.channels == "all" or images[0].shape[2] == 3)
        )
        if not fits:
            what = "mask, one image of at least 32 by 32 pixels, green of three channels"
            raise InputError("federation.recipe_does_not_fit", recipe=self.name, what=what)
        return 1 if settings.channels == "green" else images[0].shape[2]


@cache
def _schema() -> tuple[Setting, ...]:
    text = files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8")
    return read_schema(tomllib.loads(text)["settings"])


def _image_field(needs: Needs) -> FieldNeed:
    return next(need for need in needs.features if need.kind == "image")


def _own(network: nn.Module, settings: Settings) -> frozenset[str]:
    return batch_norm_names(network) if settings.norm == LOCAL_BATCH else frozenset()


def _set_apart(train: Cases, share: float, chance: Chance) -> tuple[Cases, Cases]:
    """Draw patients for validation: none where that would leave none to train on."""
    patients = chance.draw("validation").permutation(np.unique(train.group))
    count = min(math.ceil(share * len(patients)), len(patients) - 1)
    apart = np.isin(train.group, patients[:count])
    return train.take(~apart), train.take(apart)


def _plan(settings: Settings) -> RoundPlan:
    return RoundPlan(
        optimising=Optimising(
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            schedule=Schedule(rounds=settings.decay_rounds),
        ),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        proximal_mu=settings.proximal_mu,
        ditto_lambda=settings.ditto_lambda if settings.personal == "ditto" else None,
        keeps_batch_norm=settings.norm == LOCAL_BATCH,
        threads=settings.threads,
        mixed=settings.precision == "mixed",
    )


def _finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


RECIPE = ImageSegmenter()
