"""From a draft to a signed plan: what the lead writes down before anyone computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from consilium.federation.aggregation import check_rule, check_sites, least_sites
from consilium.federation.contract import Needs
from consilium.federation.registry import Recipes
from consilium.gate.orders import (
    LONGEST_WORDS,
    RANGES,
    TABLE,
    ArrayNeed,
    FieldNeed,
    Invitation,
    RecipeRef,
    Study,
    Target,
    check_study,
)
from consilium.gate.plain import from_plain
from consilium.kernel.canonical import Json, digest_of
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.models.weights import pack_arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One hospital that the lead would like to take part, and the dataset it means."""

    participant: ParticipantId
    dataset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person writes: a plan without agreements, keys and digests.

    `features` may stay empty; then the lead's own dataset, or the first that
    is found in the catalogue, says which columns every site must have.
    """

    title: str
    purpose: str
    recipe: str
    rule: str
    rounds: int
    invite: tuple[Wish, ...]
    question: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    rule_settings: dict[str, Any] = field(default_factory=dict)
    quorum: int = 0
    deadline_s: float = 60.0
    seed: int = 42
    days: int = 30


_RANGES = RANGES | {"days": (1, 3_650)}


def read_draft(value: Json, *, recipes: Recipes) -> Draft:
    """Read a draft that came from outside and fill in what it leaves open.

    Whatever would make the plan impossible is refused here, before any hospital is asked.

    Raises
    ------
    InputError
        `study.bad_plan` naming the field, or what recipe and rule say of their settings.
    """
    try:
        draft = from_plain(Draft, _with_defaults(value))
    except InputError as error:
        if error.code != "gate.bad_order":
            raise
        raise _bad(str(error.facts["field"]), str(error.facts["reason"])) from error
    found = recipes.find(draft.recipe)
    if found is None:
        raise _bad("recipe", "is not installed here")
    _check_ranges(draft)
    settings = found.check_settings(draft.settings)
    rule_settings = check_rule(draft.rule, draft.rule_settings)
    quorum = draft.quorum or _usual_quorum(draft)
    check_sites(draft.rule, rule_settings, given=quorum)
    return replace(draft, settings=settings, rule_settings=rule_settings, quorum=quorum)


def _usual_quorum(draft: Draft) -> int:
    """Take the default, or what the rule needs where that is more and so many are invited."""
    invited = len(draft.invite)
    needed = least_sites(draft.rule, draft.rule_settings)
    return max(default_quorum(invited), min(needed, invited))


def _with_defaults(value: Json) -> Json:
    if not isinstance(value, Mapping):
        raise _bad("the plan", "is no table")
    for name in value:
        if name not in {item.name for item in fields(Draft)}:
            raise _bad(str(name)[:80], "is not a field of a plan")
    plain = {item.name: item.default for item in fields(Draft) if item.default is not MISSING}
    return {**plain, "settings": {}, "rule_settings": {}, **value}


def _check_ranges(draft: Draft) -> None:
    for name, (low, high) in _RANGES.items():
        if not low <= getattr(draft, name) <= high:
            raise _bad(name, f"is not between {low} and {high}")
    for name in ("title", "purpose"):
        if not 1 <= len(getattr(draft, name)) <= LONGEST_WORDS:
            raise _bad(name, f"has not between 1 and {LONGEST_WORDS} letters")
    # Each hospital has one place in a plan, with one agreement and one key.
    invited = len({wish.participant for wish in draft.invite})
    if not draft.invite or invited != len(draft.invite):
        raise _bad("invite", "names a hospital twice" if draft.invite else "names no hospital")
    least = min(2, invited)
    if draft.quorum and not least <= draft.quorum <= invited:
        raise _bad("quorum", f"is not between {least} and {invited}")


def _bad(name: str, reason: str) -> InputError:
    return InputError("study.bad_plan", field=name, reason=reason)


def default_quorum(invited: int) -> int:
    """Two thirds of the invited hospitals, rounded up, at least two of several."""
    return max(min(2, invited), -(-2 * invited // 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A plan ready to be signed, and the starting model that it names."""

    plan: Study
    start: bytes


def make_proposal(
    study: StudyId,
    draft: Draft,
    *,
    space: str,
    lead: ParticipantId,
    sites: Sequence[Invitation],
    schema: Mapping[str, Any],
    not_after: datetime,
    recipes: Recipes,
    clock: Clock,
) -> Proposal:
    """Write the plan: agreements, pinned keys, recipe by digest, starting model by digest.

    Parameters
    ----------
    schema : mapping
        `features` (name, kind, unit, categories) and `label`, as every site must have them.
    not_after : datetime
        When the first of the agreements ends; the plan ends no later.

    Raises
    ------
    InputError
        `gate.bad_order` when the plan as a whole is impossible.

    Discloses
    ---------
    To the invited hospitals and the hub, once sent: the plan. No data.
    """
    recipe, needs = recipes.find(draft.recipe), read_needs(schema)
    if recipe is None:
        raise _bad("recipe", "is not installed here")
    if not recipe.capability.serves(needs):
        raise InputError(
            "federation.recipe_does_not_fit",
            recipe=recipe.name,
            what=", ".join((*recipe.capability.modalities, *recipe.capability.targets)),
        )
    ref = RecipeRef(
        name=recipe.name, version=recipe.version, digest=recipe.digest, settings=draft.settings
    )
    code = recipes.get(ref)
    arrays = code.initial(needs, code.read_settings(draft.settings), seed=draft.seed)
    start, now = pack_arrays(arrays), clock.now()
    plan = Study(
        study=study,
        space=space,
        title=draft.title,
        question=draft.question,
        purpose=draft.purpose,
        lead=lead,
        recipe=ref,
        features=needs.features,
        target=needs.target,
        label=str(schema["label"]),
        rule=draft.rule,
        rule_settings=draft.rule_settings,
        start=digest_of(start),
        rounds=draft.rounds,
        quorum=draft.quorum,
        deadline_s=draft.deadline_s,
        seed=draft.seed,
        sites=tuple(sorted(sites, key=lambda site: site.participant)),
        created=write_time(now),
        expires=write_time(min(now + timedelta(days=draft.days), not_after)),
        layout=tuple(
            ArrayNeed(name=name, shape=tuple(arrays[name].shape)) for name in sorted(arrays)
        ),
    )
    return Proposal(plan=check_study(plan), start=start)


def read_needs(schema: Mapping[str, Any]) -> Needs:
    """Take the fields and the target that a study needs from a schema's record."""
    features = tuple(
        FieldNeed(
            name=str(item["name"]),
            kind=str(item["kind"]),
            unit=str(item.get("unit", "")),
            categories=tuple(item.get("categories", ())),
            modality=str(item.get("modality", TABLE)),
            shape=tuple(item.get("shape", ())),
        )
        for item in schema["features"]
    )
    target = schema.get("target") or {}
    return Needs(
        features=features,
        target=Target(
            kind=str(target.get("kind", "binary")),
            classes=tuple(target.get("classes", ())),
            unit=str(target.get("unit", "")),
        ),
    )


def starting_model(plan: Study, *, recipes: Recipes) -> bytes:
    """Make a plan's starting model again; the plan names its digest.

    Raises
    ------
    NotFoundError, IntegrityError
        When the recipe of the plan is not the installed one.
    """
    recipe = recipes.get(plan.recipe)
    settings = recipe.read_settings(plan.recipe.settings)
    return pack_arrays(
        recipe.initial(Needs(features=plan.features, target=plan.target), settings, seed=plan.seed)
    )
