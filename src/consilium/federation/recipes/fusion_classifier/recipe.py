"""The recipe `fusion-classifier`: its four site verbs and its starting model."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch
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
    read_weights,
    seeded,
    serving_arrays,
    train_round,
    write_weights,
)
from consilium.federation.networks.training import Pair, Rows
from consilium.federation.recipes.fusion_classifier.modalities import (
    HEAD,
    PRESENT,
    Modality,
    learn_inputs,
    list_modalities,
)
from consilium.federation.recipes.fusion_classifier.network import (
    FusionNetwork,
    from_network,
    to_network,
)
from consilium.federation.recipes.fusion_classifier.prevalence import log_prevalence
from consilium.federation.recipes.fusion_classifier.settings import Settings
from consilium.federation.settings_schema import Setting, fill_settings, read_schema
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class FusionClassifier:
    """A network over several modalities, of which a hospital may lack some.

    The model's arrays are `MODALITY.…` for each encoder, which only hospitals
    with the modality train, and `head.…`, which all of them train; float32.
    """

    name: str = "fusion-classifier"
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
        layout = {one.name: one.shape for one in self._modalities(needs)}
        outputs = count_outputs(needs)
        network = built(lambda: FusionNetwork(layout, outputs, settings=settings), seed=seed)
        return {**from_network(read_weights(network))}

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        """Lay the modalities of each case side by side; scaling is learnt from `train` alone.

        Raises
        ------
        InputError
            `federation.no_cases`, `federation.bad_label`, `federation.recipe_does_not_fit`.
        """
        del chance
        modalities = self._modalities(needs)
        for cases in (train, held_out):
            if not np.isin(cases.y, np.arange(max(2, count_outputs(needs)))).all():
                raise InputError("federation.bad_label", recipe=self.name)
        if not train.n:
            raise InputError("federation.no_cases", recipe=self.name)
        inputs = learn_inputs(train, needs, modalities, settings=settings)

        def ready(cases: Cases) -> Cases:
            return replace(cases, x=np.empty((cases.n, 0)), tensors=inputs.read(cases))

        return Prepared(train=ready(train), held_out=ready(held_out))

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
        """Take a round's passes over the cases, with modalities hidden by chance.

        Discloses
        ---------
        The weights, and the mean loss over the training part before and after;
        no figure of fewer cases than the whole part.
        """
        outputs = _outputs_of(start)
        result = train_round(
            lambda: FusionNetwork(_layout_of(cases), outputs, settings=settings),
            to_network(start),
            work=_work(cases, outputs, settings=settings),
            plan=_plan(settings),
            draw=lambda: chance.draw("train", number),
            number=number,
            kept=kept,
        )
        facts: dict[str, Json] = {
            "loss_before": _finite(result.loss_before),
            "loss_after": _finite(result.loss_after),
        }
        return Trained(arrays=from_network(result.shared), facts=facts, kept=result.kept)

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Tensor:
        """Return log-odds (n,) or logits (n, classes), float64. They stay in the job process."""
        outputs = _outputs_of(arrays)
        work = _work(cases, outputs, settings=settings)
        with seeded(np.random.default_rng(0), threads=settings.threads), torch.no_grad():
            network = FusionNetwork(_layout_of(cases), outputs, settings=settings)
            write_weights(network, serving_arrays(to_network(arrays), kept))
            network.to(choose_device()).eval()
            found = np.empty((cases.n, outputs))
            for first in range(0, cases.n, AT_ONCE):
                rows = np.arange(first, min(first + AT_ONCE, cases.n))
                found[rows] = network(work.batch(rows, False)[0].to(choose_device())).cpu().numpy()
        return found[:, 0] if outputs == 1 else found

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

    def _modalities(self, needs: Needs) -> tuple[Modality, ...]:
        modalities = list_modalities(needs)
        if modalities is None or needs.target.kind not in ("binary", "classes"):
            what = "binary or classes; each modality columns, or one image, or one signal"
            raise InputError("federation.recipe_does_not_fit", recipe=self.name, what=what)
        return modalities


def count_outputs(needs: Needs) -> int:
    """Count the network's outputs: one for yes or no, else one for each class.

    Discloses
    ---------
    Nothing: it sees names, no data.
    """
    return len(needs.target.classes) if needs.target.kind == "classes" else 1


@cache
def _schema() -> tuple[Setting, ...]:
    text = files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8")
    return read_schema(tomllib.loads(text)["settings"])


def _layout_of(cases: Cases) -> dict[str, tuple[int, ...]]:
    shapes = {name: tensor.shape[1:] for name, tensor in cases.tensors.items() if name != PRESENT}
    return {name: shapes[name] for name in sorted(shapes)}


def _outputs_of(arrays: Arrays) -> int:
    """Read the number of outputs from the head's last bias."""
    last = max(name for name in arrays if name.startswith(f"{HEAD}.") and name.endswith(".bias"))
    return int(arrays[last].shape[0])


def _work(cases: Cases, outputs: int, *, settings: Settings) -> Work:
    """Lay the modalities of a case side by side, and after them its flags."""
    names = [*_layout_of(cases), PRESENT]
    tensors = [torch.from_numpy(np.ascontiguousarray(cases.tensors[name])) for name in names]
    kind = torch.float32 if outputs == 1 else torch.int64
    labels = torch.from_numpy(cases.y).to(kind)
    shift = torch.zeros(outputs)
    if settings.prevalence == "taken_out":
        shift = torch.from_numpy(log_prevalence(cases.y, outputs)).to(torch.float32)

    def batch(rows: Rows, augmented: bool) -> Pair:
        del augmented
        packed = torch.cat([tensor[rows].flatten(1) for tensor in tensors], dim=1)
        return packed, labels[rows]

    def loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        moved = logits + shift.to(logits.device)
        if outputs == 1:
            return nn.functional.binary_cross_entropy_with_logits(moved[:, 0], truth)
        return nn.functional.cross_entropy(moved, truth)

    return Work(n=cases.n, batch=batch, loss=loss)


def _plan(settings: Settings) -> RoundPlan:
    return RoundPlan(
        optimising=Optimising(
            kind=settings.optimiser,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            schedule=Schedule(rounds=settings.decay_rounds),
        ),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        proximal_mu=settings.proximal_mu,
        ditto_lambda=settings.ditto_lambda if settings.personal == "ditto" else None,
        threads=settings.threads,
    )


def _finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


RECIPE = FusionClassifier()
