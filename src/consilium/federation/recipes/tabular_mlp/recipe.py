"""The recipe `tabular-mlp`: its site verbs, its starting model, and many sites at once."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from consilium.federation.contract import (
    Cases,
    Chance,
    EvaluationPlan,
    Index,
    Needs,
    Prepared,
    Tensor,
    Trained,
)
from consilium.federation.evaluation import Judge, evaluate_site
from consilium.federation.recipes.tabular_logistic.inputs import (
    count_inputs,
    expand,
    learn_scaling,
)
from consilium.federation.recipes.tabular_mlp.descent import (
    Pull,
    descend,
    mean_loss,
    stack_models,
    unstack_models,
)
from consilium.federation.recipes.tabular_mlp.network import (
    Layout,
    draw_model,
    forward,
    fresh_norms,
)
from consilium.federation.recipes.tabular_mlp.parts import (
    kept_part,
    personal_model,
    shared_part,
    whole_model,
)
from consilium.federation.recipes.tabular_mlp.settings import Settings
from consilium.federation.settings_schema import Setting, fill_settings, read_schema
from consilium.gate.orders import Target
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.models.weights import Arrays

TARGETS = ("binary", "classes", "number")


@dataclass(frozen=True, slots=True)
class TabularMlp:
    """A multilayer perceptron on a table: up to three hidden layers, ReLU between.

    The arrays are those that `network` describes, float64.
    """

    name: str = "tabular-mlp"
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
        """Draw the starting weights, each layer from U(±1/√its inputs).

        Raises
        ------
        InputError
            `federation.recipe_does_not_fit`.
        """
        if needs.target.kind not in TARGETS or not needs.columns:
            what = ", ".join(TARGETS)
            raise InputError("federation.recipe_does_not_fit", recipe=self.name, what=what)
        drawn = draw_model(
            inputs=count_inputs(needs.columns),
            widths=settings.widths,
            outputs=len(needs.target.classes) or 1,
            target=needs.target.kind,
            seed=seed,
        )
        return drawn | (fresh_norms(settings.widths) if settings.norm == "batch" else {})

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Settings, chance: Chance
    ) -> Prepared:
        """Make indicators and z-scores, and set patients apart for validation.

        The scaling is learnt from the part that is trained on alone.

        Raises
        ------
        InputError
            `federation.no_cases`, `federation.bad_label`, `federation.bad_target`.
        """
        if not train.n:
            raise InputError("federation.no_cases", recipe=self.name)
        for cases in (train, held_out):
            _check_labels(cases, needs.target, owner=self.name)
        apart = _apart(train, share=settings.validation_share, chance=chance)
        sides = [train.take(~apart), held_out, train.take(apart)]
        inputs = [expand(cases.x, needs.columns) for cases in sides]
        if settings.scaling == "site":
            scaling = learn_scaling(inputs[0])
            inputs = [scaling.apply(rows) for rows in inputs]
        trained, judged, validation = (
            replace(cases, x=np.where(np.isnan(rows), 0.0, rows))
            for cases, rows in zip(sides, inputs, strict=True)
        )
        return Prepared(
            train=trained, held_out=judged, validation=validation if apart.any() else None
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
        """Take a round's steps from the global weights, and the personal model's if there is one.

        Discloses
        ---------
        The shared arrays, and the mean loss over the training part before and
        after; no figure of fewer cases than the whole part.
        """
        return self.train_many(
            [cases], [start], settings, chances=[chance], number=number, kept=[kept]
        )[0]

    def train_many(
        self,
        cases: Sequence[Cases],
        starts: Sequence[Arrays],
        settings: Settings,
        *,
        chances: Sequence[Chance],
        number: int,
        kept: Sequence[Arrays],
    ) -> list[Trained]:
        """Train several sites' round at once, as matrix products over all of them.

        What comes out for a site is what `train` gives for it alone, up to rounding.

        Parameters
        ----------
        cases, starts, chances, kept : sequences of the same length
            One place for each site; what `train` is given.

        Discloses
        ---------
        For each site what `train` discloses.
        """
        wholes = [
            whole_model(start, own, settings) for start, own in zip(starts, kept, strict=True)
        ]
        sites = [_in_units(site, wholes[0], settings) for site in cases]
        after = unstack_models(
            descend(
                stack_models(wholes),
                sites,
                settings=settings,
                generators=[chance.draw("train", number) for chance in chances],
                pull=Pull(anchor=stack_models(wholes), strength=settings.proximal_mu),
            )
        )
        owns = _train_personal(sites, wholes, settings, chances=chances, number=number, kept=kept)
        return [
            Trained(
                arrays=shared_part(model, settings),
                facts=_losses(site, whole, model),
                kept=kept_part(model, own, settings),
            )
            for site, whole, model, own in zip(sites, wholes, after, owns, strict=True)
        ]

    def predict(self, cases: Cases, arrays: Arrays, settings: Settings, *, kept: Arrays) -> Tensor:
        """Return log-odds (n,), logits (n, classes) or numbers (n,) in the target's unit.

        With `kept` the hospital's personal model, or its own normalisation
        around the shared weights; without it the shared weights alone, whose
        local normalisation then changes nothing.
        """
        model = personal_model(kept) or whole_model(arrays, kept, settings)
        target = Layout.of(model).target
        with np.errstate(over="ignore", invalid="ignore"):
            out = forward(stack_models([model]), cases.x[None]).out[0]
        if target == "number":
            out = settings.target_mean + settings.target_spread * out
        found: Tensor = out if target == "classes" else out[:, 0]
        return found

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Settings, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge a model on the held-out part; aggregate figures only.

        Local-only training goes without what makes sense only in a federation:
        pulls to shared weights, and normalisation apart from the other arrays.
        """
        norm = "none" if settings.norm == "none" else "batch"
        judge = Judge(
            recipe=self,
            arrays=arrays,
            settings=settings,
            alone=replace(settings, proximal_mu=0.0, personal="none", norm=norm),
            plan=plan,
        )
        return evaluate_site(judge, prepared)


def _train_personal(
    sites: Sequence[Cases],
    shared: Sequence[Arrays],
    settings: Settings,
    *,
    chances: Sequence[Chance],
    number: int,
    kept: Sequence[Arrays],
) -> Sequence[Arrays]:
    """Take Ditto's steps; a personal model begins as the first shared one. Empty without Ditto."""
    if settings.personal == "none":
        return [{} for _ in sites]
    own = [personal_model(mine) or whole for mine, whole in zip(kept, shared, strict=True)]
    trained = descend(
        stack_models(own),
        sites,
        settings=settings,
        generators=[chance.draw("personal", number) for chance in chances],
        pull=Pull(anchor=stack_models(shared), strength=settings.ditto_lambda),
    )
    return unstack_models(trained)


def _check_labels(cases: Cases, target: Target, *, owner: str) -> None:
    if target.kind == "binary" and not np.isin(cases.y, (0.0, 1.0)).all():
        raise InputError("federation.bad_label", recipe=owner)
    if target.kind == "classes" and not np.isin(cases.y, np.arange(len(target.classes))).all():
        raise InputError("federation.bad_target", recipe=owner, wanted="a class of the study")
    if not np.isfinite(cases.y).all():
        raise InputError("federation.bad_target", recipe=owner, wanted="a finite number")


def _apart(train: Cases, *, share: float, chance: Chance) -> Index:
    """Mark the rows of the patients set apart for validation; some are always trained on."""
    patients = chance.draw("validation").permutation(np.unique(train.group))
    return np.isin(train.group, patients[: int(share * len(patients))])


def _in_units(cases: Cases, model: Arrays, settings: Settings) -> Cases:
    """Write a number in the unit of the network's output; other targets stay."""
    if Layout.of(model).target != "number":
        return cases
    return replace(cases, y=(cases.y - settings.target_mean) / settings.target_spread)


def _losses(cases: Cases, before: Arrays, after: Arrays) -> dict[str, Json]:
    losses = {"loss_before": mean_loss(before, cases), "loss_after": mean_loss(after, cases)}
    return {name: loss if math.isfinite(loss) else None for name, loss in losses.items()}


@cache
def _schema() -> tuple[Setting, ...]:
    text = files(__package__).joinpath("recipe.toml").read_text(encoding="utf-8")
    return read_schema(tomllib.loads(text)["settings"])


RECIPE = TabularMlp()
