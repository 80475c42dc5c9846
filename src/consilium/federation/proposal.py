"""From a draft to a signed plan: what the lead writes down before anyone computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from consilium.federation.aggregation import (
    check_mean_rule,
    check_named_sites,
    check_rule,
    check_sites,
    find_rule,
    knows_modules,
    least_sites,
)
from consilium.federation.contract import Needs
from consilium.federation.noise.presets import (
    declare_ranges,
    plan_noise,
    read_wish,
    settings_of,
)
from consilium.federation.registry import InstalledRecipe, Recipes
from consilium.federation.secure import encoding_of, threshold_of
from consilium.gate.orders import (
    FEWEST_SUMMED,
    LONGEST_WORDS,
    NOISY,
    RANGES,
    TABLE,
    ArrayNeed,
    FieldNeed,
    Invitation,
    Masking,
    NoisePlan,
    RecipeRef,
    Study,
    Target,
    check_study,
)
from consilium.gate.plain import from_plain
from consilium.gate.subgroups import read_groupings
from consilium.kernel.canonical import Json, digest_of
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.models.weights import Arrays, pack_arrays


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
    `modalities` names those that the study uses, if not just the lead's own;
    `subgroups` the groups of patients to judge apart (`sex`, `age:40,60`).
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
    privacy: dict[str, Any] = field(default_factory=dict)
    quorum: int = 0
    deadline_s: float = 60.0
    seed: int = 42
    days: int = 30
    modalities: tuple[str, ...] = ()
    subgroups: tuple[str, ...] = ()
    secure: Masking | None = None


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
    rules = found.capability.rules
    if rules and draft.rule not in rules:
        raise _bad("rule", f"is none that {found.name} goes with: {', '.join(rules)}")
    _check_ranges(draft)
    settings = found.check_settings(draft.settings | _noise_settings(draft, found))
    rule_settings = check_rule(draft.rule, draft.rule_settings)
    quorum = draft.quorum or _usual_quorum(draft)
    check_sites(draft.rule, rule_settings, given=quorum)
    invited = {wish.participant for wish in draft.invite}
    check_named_sites(draft.rule, rule_settings, sites=invited)
    _check_secure(draft, quorum)
    return replace(draft, settings=settings, rule_settings=rule_settings, quorum=quorum)


def _noise_settings(draft: Draft, recipe: InstalledRecipe) -> dict[str, Any]:
    """Check what the draft says of noise; return what the recipe must say alike."""
    if not draft.privacy:
        return {}
    if not recipe.capability.noise:
        raise _bad("privacy", f"needs a recipe that draws noise, and {recipe.name} does not")
    if find_rule(draft.rule).needs_loss:
        raise _bad("rule", "weighs hospitals by their loss, which does not leave with noise")
    wish = read_wish(draft.privacy)
    return settings_of(wish, plan_noise(wish, rounds=draft.rounds, cases=0))


def _usual_quorum(draft: Draft) -> int:
    """Take the default, or what the rule needs where that is more and so many are invited."""
    invited = len(draft.invite)
    needed = least_sites(draft.rule, draft.rule_settings)
    if draft.secure is not None and invited >= FEWEST_SUMMED:
        needed = max(needed, threshold_of(invited))
    return max(default_quorum(invited), min(needed, invited))


def _check_secure(draft: Draft, quorum: int) -> None:
    """Refuse a secure plan whose rule, hospitals or quorum make no secure sum.

    Raises
    ------
    InputError
        `federation.needs_single_updates`, `secure.too_few_sites`,
        `secure.bad_encoding`, `study.bad_plan`.
    """
    if draft.secure is None:
        return
    check_mean_rule(draft.rule)
    threshold = threshold_of(len(draft.invite))
    encoding_of(draft.secure, sites=len(draft.invite))
    if quorum < threshold:
        raise _bad("quorum", f"is below the {threshold} hospitals that a secure sum needs")


def _with_defaults(value: Json) -> Json:
    if not isinstance(value, Mapping):
        raise _bad("the plan", "is no table")
    for name in value:
        if name not in {item.name for item in fields(Draft)}:
            raise _bad(str(name)[:80], "is not a field of a plan")
    plain = {item.name: item.default for item in fields(Draft) if item.default is not MISSING}
    found = {**plain, "settings": {}, "rule_settings": {}, "privacy": {}, **value}
    if isinstance(secure := found["secure"], Mapping):
        found["secure"] = {"bits": 32, **secure}
    return found


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
    cases: int = 0,
) -> Proposal:
    """Write the plan: agreements, pinned keys, recipe by digest, starting model by digest.

    Parameters
    ----------
    schema : mapping
        `features` (name, kind, unit, categories) and `label`, as every site must have them.
    not_after : datetime
        When the first of the agreements ends; the plan ends no later.
    cases : int, optional
        Training cases of the largest hospital as catalogued; 0 if none shows them.

    Raises
    ------
    InputError
        `gate.bad_order` when the plan as a whole is impossible.

    Discloses
    ---------
    To the invited hospitals and the hub, once sent: the plan. No data.
    """
    needs = read_needs(schema)
    recipe = _fitting_recipe(draft, needs, sites=sites, recipes=recipes)
    needs, noise, settings = _with_noise(draft, needs, schema, cases=cases)
    read_groupings(draft.subgroups, needs.features)
    ref = RecipeRef(
        name=recipe.name, version=recipe.version, digest=recipe.digest, settings=settings
    )
    code = recipes.get(ref)
    arrays = code.initial(needs, code.read_settings(settings), seed=draft.seed)
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
        layout=layout_of(arrays),
        secure=draft.secure,
        privacy=noise,
        subgroups=draft.subgroups,
    )
    return Proposal(plan=check_study(plan), start=start)


def layout_of(arrays: Arrays) -> tuple[ArrayNeed, ...]:
    """Write down a model's arrays as a plan holds them: names and shapes, sorted."""
    return tuple(ArrayNeed(name=name, shape=tuple(arrays[name].shape)) for name in sorted(arrays))


def _fitting_recipe(
    draft: Draft, needs: Needs, *, sites: Sequence[Invitation], recipes: Recipes
) -> InstalledRecipe:
    """Find the draft's recipe, if it and the rule can serve these needs at these hospitals."""
    recipe = recipes.find(draft.recipe)
    if recipe is None:
        raise _bad("recipe", "is not installed here")
    if not recipe.capability.serves(needs):
        raise InputError(
            "federation.recipe_does_not_fit",
            recipe=recipe.name,
            what=", ".join((*recipe.capability.modalities, *recipe.capability.targets)),
        )
    if any(site.lacks for site in sites) and not knows_modules(draft.rule):
        raise _bad("rule", "does not go with hospitals that lack a modality")
    return recipe


def _with_noise(
    draft: Draft, needs: Needs, schema: Mapping[str, Any], *, cases: int
) -> tuple[Needs, NoisePlan | None, dict[str, Any]]:
    """Work out the plan's noise, put it into the recipe's settings, and declare ranges."""
    if not draft.privacy:
        return needs, None, draft.settings
    wish = read_wish(draft.privacy)
    noise = plan_noise(wish, rounds=draft.rounds, cases=cases)
    settings = draft.settings | settings_of(wish, noise)
    if noise is None:
        return needs, None, settings
    if noise.figures == NOISY and needs.target.kind != "binary":
        raise InputError("federation.no_noisy_figures", kind=needs.target.kind)
    shown = {item["name"]: item.get("range") for item in schema["features"]}
    return replace(needs, features=declare_ranges(needs.features, wish, shown)), noise, settings


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
