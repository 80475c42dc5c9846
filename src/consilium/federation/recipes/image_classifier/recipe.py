"""The recipe `image-classifier`: its four site verbs and its starting model."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
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
    batch_norm_names,
    choose_device,
    load_start,
    predict_all,
    read_weights,
    serving_arrays,
    shared_part,
    take_over,
    train_round,
    write_weights,
)
from consilium.federation.recipes.image_classifier.hiding import check_hiding, train_hidden
from consilium.federation.recipes.image_classifier.inputs import (
    IMAGE,
    as_channels_first,
    check_labels,
    check_needs,
    count_channels,
    count_outputs,
    learn_scaling,
    stack_fields,
)
from consilium.federation.recipes.image_classifier.learning import log_prior, make_work
from consilium.federation.recipes.image_classifier.nets import HEADS, make_network
from consilium.federation.recipes.image_classifier.settings import Settings
from consilium.federation.settings_schema import Setting, fill_settings, read_schema
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

PRIOR = "prior"
"""What a site keeps of its class shares when the network learns without them."""


@dataclass(frozen=True, slots=True)
class ImageClassifier:
    """A network that tells classes of images apart.

    The model's arrays are the network's weights by torch's names, float32; with
    `norm = "local_batch"` without the batch norms, which every site keeps.
    """

    name: str = "image-classifier"
    version: str = "1.0.0"

    def read_settings(self, given: Mapping[str, Any]) -> Settings:
        """Return typed settings; refuses unknown names and impossible values.

        Raises
        ------
        InputError
            `federation.unknown_setting`, `federation.bad_setting`.
        """
        settings = Settings(**fill_settings(_schema(), given, owner=self.name))
        check_hiding(settings, recipe=self.name)
        return settings

    def initial(self, needs: Needs, settings: Settings, *, seed: int) -> dict[str, Tensor]:
        """Draw the starting weights, or take them over from an open or earlier model.

        Raises
        ------
        InputError
            `federation.recipe_does_not_fit`, `federation.other_network`.
        NotFoundError
            `federation.no_start_model`.
        IntegrityError
            `federation.start_model_changed`.
        """
        check_needs(needs, recipe=self.name)
        channels, outputs = count_channels(needs), count_outputs(needs)
        network = make_network(settings, channels=channels, outputs=outputs, seed=seed)
        weights = read_weights(network)
        if settings.start_model:
            given = load_start(Path(settings.start_folder), settings.start_model)
            weights = take_over(weights, given, head=HEADS[settings.network])
        return {**shared_part(weights, _own(network, settings))}

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        """Resize, stack and normalise; the statistics are learnt from `train` alone.

        Where single patients are hidden nothing is learnt, each image is scaled
        by itself, and nobody is set aside: who is would depend on the others.

        Raises
        ------
        InputError
            `federation.recipe_does_not_fit`, `federation.no_cases`, `federation.bad_label`.
        """
        check_needs(needs, recipe=self.name)
        for cases in (train, held_out):
            check_labels(cases.y, needs, recipe=self.name)
        if not train.n:
            raise InputError("federation.no_cases", recipe=self.name)
        hides = settings.clip > 0
        share = 0.0 if hides else settings.validation_share
        training, validation = _set_aside(train, share, chance)
        stacked = stack_fields(training, needs, size=settings.size)
        scale = learn_scaling(stacked, way="image" if hides else settings.normalise)

        def scaled(cases: Cases) -> Cases:
            images = stack_fields(cases, needs, size=settings.size)
            return replace(cases, tensors={IMAGE: scale(images)})

        return Prepared(
            train=replace(training, tensors={IMAGE: scale(stacked)}),
            held_out=scaled(held_out),
            validation=None if validation is None else scaled(validation),
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
        """Train a round's passes from the global weights, and the personal model beside them.

        Discloses
        ---------
        The shared weights, and the mean loss over the training part, or over 128
        of its cases, before and after. Batch norms of its own, personal model
        and class shares stay. Where patients are hidden the weights alone, at
        the loss that the plan says.
        """
        outputs = _outputs(start, settings)
        if settings.clip:
            hidden = train_hidden(
                lambda: _network(cases, start, settings),
                start,
                cases=cases,
                settings=settings,
                outputs=outputs,
                chance=chance,
                number=number,
            )
            return Trained(arrays=hidden, facts={})
        result = train_round(
            lambda: _network(cases, start, settings),
            start,
            work=make_work(cases, settings, outputs=outputs),
            plan=settings.round_plan,
            draw=lambda: chance.draw("train", number),
            number=number,
            kept=kept,
        )
        own = dict(result.kept)
        if settings.balance == "prior":
            own[PRIOR] = log_prior(cases.y, max(2, outputs)).numpy()
        losses = {"loss_before": result.loss_before, "loss_after": result.loss_after}
        facts: dict[str, Json] = {
            name: loss if math.isfinite(loss) else None for name, loss in losses.items()
        }
        return Trained(arrays=result.shared, facts=facts, kept=own)

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Tensor:
        """Return log-odds (n,) or logits (n, classes), float64. They stay in the job process.

        A shared model without batch norms of its own takes the statistics of
        the cases it is given.
        """
        weights = serving_arrays(arrays, kept)
        network = _network(cases, weights, settings)
        write_weights(network, weights)
        lost = _own(network, settings) - set(weights)
        logits = predict_all(
            network.to(choose_device()),
            as_channels_first(cases.tensors[IMAGE]),
            mirrored=settings.views == "mirrored",
            learns_statistics=bool(lost),
        )
        if PRIOR in kept:
            logits = logits + _shares(kept[PRIOR], outputs=logits.shape[1])
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Settings, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge a model on the held-out part; aggregate figures only."""
        judge = Judge(
            recipe=self, arrays=arrays, settings=settings, alone=settings.alone, plan=plan
        )
        return evaluate_site(judge, prepared)


@cache
def _schema() -> tuple[Setting, ...]:
    text = files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8")
    return read_schema(tomllib.loads(text)["settings"])


def _network(cases: Cases, weights: Arrays, settings: Settings) -> nn.Module:
    """Make the network that the cases and weights belong to."""
    channels = cases.tensors[IMAGE].shape[3]
    return make_network(settings, channels=channels, outputs=_outputs(weights, settings))


def _outputs(weights: Arrays, settings: Settings) -> int:
    return len(weights[f"{HEADS[settings.network]}.bias"])


def _own(network: nn.Module, settings: Settings) -> frozenset[str]:
    return batch_norm_names(network) if settings.norm == "local_batch" else frozenset()


def _shares(prior: Tensor, *, outputs: int) -> Tensor:
    """Turn kept class shares into what is added to the logits."""
    return prior if outputs > 1 else np.array([prior[1] - prior[0]])


def _set_aside(train: Cases, share: float, chance: Chance) -> tuple[Cases, Cases | None]:
    """Take a share of the patients out for validation; nobody of fewer than ten patients."""
    patients = np.unique(train.group)
    number = round(share * len(patients))
    if len(patients) < 10 or not number:
        return train, None
    chosen = chance.draw("validation").permutation(patients)[:number]
    aside = np.isin(train.group, chosen)
    return train.take(~aside), train.take(aside)


RECIPE = ImageClassifier()
