"""Rehearsing a study: its recipe, rule and settings on mock rows made from the schemas.

No dataset is opened and nobody is asked. What shows is whether the plan can run
at all: settings, fields, model, what would leave and how long a round takes.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from consilium.federation.contract import Chance, EvaluationPlan, Needs, Recipe
from consilium.federation.proposal import read_needs
from consilium.federation.registry import Recipes
from consilium.federation.simulation import Simulated, simulate
from consilium.federation.workshop.mock import Ranges, mock_sides
from consilium.gate.facts import CountRule, check_facts
from consilium.kernel.canonical import digest_json
from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import pack_arrays
from consilium.readers.schema import Schema
from consilium.space.plans import SpacePlan, StudyPlan
from consilium.space.schemas import schema_of

ROWS = 90
ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedSite:
    """One hospital in a rehearsal: mock cases, and its mean loss before and after."""

    site: str
    n_train: int
    n_test: int
    loss_first: float | None
    loss_last: float | None
    kept_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a rehearsal showed. `round_s` is the mean time of a round, all sites one by one."""

    study: str
    recipe: str
    rule: str
    rounds: int
    parameters: int
    update_bytes: int
    round_s: float
    sites: tuple[RehearsedSite, ...]

    def as_json(self) -> dict[str, Any]:
        """Give the record for programs."""
        return asdict(self)


def rehearse(
    space: SpacePlan, study: StudyPlan, *, rounds: int = ROUNDS, rows: int = ROWS
) -> Rehearsed:
    """Run a study's first rounds, and its evaluation, on mock rows.

    Parameters
    ----------
    space, study : SpacePlan, StudyPlan
        From a space file; only its schemas are read, no data.
    rounds : int, optional
        How many rounds at most; the study's own number if that is less.
    rows : int, optional
        Mock rows at each hospital, at least 12.

    Raises
    ------
    ConsiliumError
        Whatever would stop the study: unknown recipe or setting, fields or a
        target that the recipe does not serve, figures that the gate refuses.
    """
    installed = Recipes().find(study.recipe)
    if installed is None:
        raise NotFoundError("space.no_recipe", recipe=study.recipe)
    recipe = installed.load()
    settings = recipe.read_settings(installed.check_settings(study.settings))
    schemas = {
        member: Schema.from_toml(schema_of(space.get_dataset(member, name)), file=name)
        for member, name in study.datasets.items()
    }
    lead = schemas.get(study.lead, next(iter(schemas.values())))
    needs = _needs(lead)
    sides = {
        member: mock_sides(needs, seed=_seed(study, member), n=rows, ranges=_ranges(schema))
        for member, schema in schemas.items()
    }
    began = time.monotonic()
    played = min(rounds, study.rounds)
    simulated = simulate(
        recipe,
        sides,
        needs=needs,
        settings=settings,
        rounds=played,
        seed=study.seed,
        rule=study.rule,
        rule_settings=study.rule_settings,
    )
    round_s = (time.monotonic() - began) / played
    for member in sides:
        _judge(recipe, simulated, member, needs=needs, study=study)
    return Rehearsed(
        study=study.name,
        recipe=f"{installed.name} {installed.version}",
        rule=study.rule,
        rounds=played,
        parameters=sum(array.size for array in simulated.model.values()),
        update_bytes=len(pack_arrays(simulated.model)),
        round_s=round_s,
        sites=tuple(_site(simulated, member) for member in sides),
    )


def _needs(schema: Schema) -> Needs:
    record = schema.as_record()
    return read_needs(
        {
            "features": [asdict(one) for one in schema.features],
            "target": record.get("target"),
        }
    )


def _ranges(schema: Schema) -> Ranges:
    return {one.name: one.range for one in schema.fields if one.range is not None}


def _seed(study: StudyPlan, member: str) -> int:
    return int(digest_json([study.seed, member]).removeprefix("sha256:")[:8], 16)


def _judge(
    recipe: Recipe, simulated: Simulated, member: str, *, needs: Needs, study: StudyPlan
) -> None:
    """Evaluate as the hospital would, and let the output gate judge the figures."""
    prepared = simulated.prepared[member]
    plan = EvaluationPlan(
        needs=needs,
        start=recipe.initial(needs, simulated.settings, seed=study.seed),
        rounds=1,
        chance=Chance(seed=study.seed, participant=ParticipantId(member)),
        resamples=20,
        kept=simulated.kept[member],
    )
    facts = recipe.evaluate(prepared, simulated.model, simulated.settings, plan=plan)
    largest = prepared.train.n + prepared.held_out.n
    check_facts(facts, rule=CountRule(smallest=0, largest=largest))


def _site(simulated: Simulated, member: str) -> RehearsedSite:
    prepared, kept = simulated.prepared[member], simulated.kept[member]
    first, last = simulated.facts[0][member], simulated.facts[-1][member]
    return RehearsedSite(
        site=member,
        n_train=prepared.train.n,
        n_test=prepared.held_out.n,
        loss_first=_loss(first.get("loss_before")),
        loss_last=_loss(last.get("loss_after")),
        kept_bytes=len(pack_arrays(kept)) if kept else 0,
    )


def _loss(value: object) -> float | None:
    return float(value) if isinstance(value, float) else None
