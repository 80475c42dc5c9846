"""From a draft to a plan: defaults, every bad plan with its field, and what the plan promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consilium.federation.proposal import (
    Draft,
    Proposal,
    default_quorum,
    make_proposal,
    read_draft,
    read_needs,
    starting_model,
)
from consilium.federation.registry import Recipes
from consilium.gate.accounting import epsilon_of
from consilium.gate.orders import Invitation, Masking, sign_study, study_from_json, verify_study
from consilium.kernel.canonical import canonical_bytes, digest_of, read_json
from consilium.kernel.clock import HeldClock, read_time
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError, NotFoundError
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId, StudyId
from consilium.ledger.keys import SigningKey
from consilium.models.weights import unpack_arrays

RECIPES = Recipes()
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
STUDY = StudyId("urn:uuid:33333333-3333-4333-8333-333333333333")
CANARY = "Zhang-Wei-19630412"
KEYS = {name: SigningKey.generate() for name in ("north", "south", "west")}
SCHEMA = {
    "features": [
        {"name": "age", "kind": "number", "unit": "a"},
        {"name": "sex", "kind": "category", "categories": ["f", "m"]},
    ],
    "label": "outcome",
}


def participant(name: str) -> ParticipantId:
    return ParticipantId(f"did:web:example.org:{name}")


def wishes(*names: str) -> list[dict[str, str]]:
    return [{"participant": participant(name), "dataset": "heart"} for name in names]


def plan(**changes: Any) -> dict[str, Any]:
    """Write the least that a draft must say; a change to None leaves a field out."""
    given: dict[str, Any] = {
        "title": "Heart disease",
        "purpose": "research",
        "recipe": "tabular-logistic",
        "rule": "fedavg",
        "rounds": 5,
        "invite": wishes("north", "south", "west"),
    }
    return {name: value for name, value in (given | changes).items() if value is not None}


def read(**changes: Any) -> Draft:
    return read_draft(plan(**changes), recipes=RECIPES)


def propose(draft: Draft, *, not_after: datetime | None = None, **changes: Any) -> Proposal:
    given: dict[str, Any] = {
        "space": "example.org",
        "lead": participant("north"),
        "sites": [
            Invitation(
                participant=participant(name),
                agreement=AgreementId(f"urn:uuid:agreement-{name}"),
                dataset=DatasetId(f"urn:uuid:dataset-{name}"),
                key=KEYS[name].public.text,
            )
            for name in ("west", "north", "south")
        ],
        "schema": SCHEMA,
        "not_after": not_after or NOW + timedelta(days=300),
        "recipes": RECIPES,
        "clock": HeldClock(NOW),
    }
    return make_proposal(STUDY, draft, **(given | changes))


def test_what_a_draft_leaves_open_is_filled_in() -> None:
    draft = read()
    assert (draft.question, draft.quorum, draft.deadline_s, draft.seed, draft.days) == (
        "",
        2,
        60.0,
        42,
        30,
    )
    installed = RECIPES.find("tabular-logistic")
    assert installed is not None
    assert draft.settings == installed.check_settings({})
    assert draft.settings["local_steps"] == 100
    assert read(rule="fedadam").rule_settings != {}


def test_two_drafts_do_not_share_their_settings() -> None:
    one, other = read(), read()
    one.settings["local_steps"] = 1
    assert other.settings["local_steps"] == 100


@pytest.mark.parametrize(
    ("invited", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (9, 6)]
)
def test_the_quorum_is_two_thirds_and_never_one_of_several(invited: int, quorum: int) -> None:
    assert default_quorum(invited) == quorum
    names = [f"h{number}" for number in range(invited)]
    assert read(invite=wishes(*names)).quorum == quorum


FIVE = wishes("h0", "h1", "h2", "h3", "h4")


@pytest.mark.parametrize(
    ("rule", "settings", "quorum"),
    [
        ("fedavg", {}, 4),
        ("median", {}, 4),
        ("trimmed_mean", {"faulty_sites": 2}, 5),
        ("krum", {}, 5),
    ],
)
def test_the_usual_quorum_is_raised_to_what_the_rule_needs(
    rule: str, settings: dict[str, Any], quorum: int
) -> None:
    assert read(rule=rule, rule_settings=settings, invite=FIVE).quorum == quorum


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "krum", "invite": FIVE, "quorum": 4},
        {"rule": "krum", "invite": FIVE, "rule_settings": {"faulty_sites": 2}},
        {"rule": "median", "quorum": 2},
        {"rule": "trimmed_mean", "rule_settings": {"faulty_sites": 2}},
    ],
)
def test_a_plan_whose_rounds_may_have_too_few_sites_for_its_rule_is_refused(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(InputError) as caught:
        read(**changes)
    assert caught.value.code == "federation.too_few_sites"


def test_a_plan_whose_rule_trusts_somebody_who_is_not_invited_is_refused() -> None:
    invited = FIVE[0]["participant"]  # type: ignore[index]
    assert read(rule="fltrust", rule_settings={"root": invited}, invite=FIVE).rule == "fltrust"
    for settings in ({}, {"root": "did:web:x:nobody"}):
        with pytest.raises(InputError) as caught:
            read(rule="fltrust", rule_settings=settings, invite=FIVE)
        assert caught.value.code == "federation.bad_setting"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"title": None}, "title"),
    ({"title": ""}, "title"),
    ({"title": "x" * 401}, "title"),
    ({"title": 7}, "title"),
    ({"title": "turned \u202e round"}, "title"),
    ({"purpose": ""}, "purpose"),
    ({"question": None, "purpose": None}, "purpose"),
    ({"recipe": "deep-magic"}, "recipe"),
    ({"recipe": None}, "recipe"),
    ({"rounds": 0}, "rounds"),
    ({"rounds": -1}, "rounds"),
    ({"rounds": 100_001}, "rounds"),
    ({"rounds": 2.5}, "rounds"),
    ({"rounds": True}, "rounds"),
    ({"rounds": "5"}, "rounds"),
    ({"quorum": 1}, "quorum"),
    ({"quorum": 4}, "quorum"),
    ({"quorum": -1}, "quorum"),
    ({"deadline_s": 0}, "deadline_s"),
    ({"deadline_s": 86_401}, "deadline_s"),
    ({"deadline_s": float("nan")}, "deadline_s"),
    ({"deadline_s": float("inf")}, "deadline_s"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**53}, "seed"),
    ({"days": 0}, "days"),
    ({"days": 3_651}, "days"),
    ({"invite": []}, "invite"),
    ({"invite": wishes("north", "south", "north")}, "invite"),
    ({"invite": wishes("north") * 2}, "invite"),
    ({"invite": "north"}, "invite"),
    ({"invite": [{"participant": participant("north")}]}, "invite.dataset"),
    ({"invite": [{"participant": "north", "dataset": "heart"}]}, "invite.participant"),
    ({"invite": [{"participant": participant("north"), "dataset": 1}]}, "invite.dataset"),
    ({"settings": []}, "settings"),
    ({"settings": {"deep": [[[[[[[[[[1]]]]]]]]]]}}, "settings"),
    ({"rule_settings": None, "colour": CANARY}, "colour"),
]


@pytest.mark.parametrize(("changes", "field"), BAD)
def test_a_bad_plan_is_refused_with_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        read_draft(plan(**changes), recipes=RECIPES)
    assert (caught.value.code, caught.value.facts["field"]) == ("study.bad_plan", field)
    assert CANARY not in str(caught.value.as_record())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"settings": {"local_step": 5}}, "federation.unknown_setting"),
        ({"settings": {"local_steps": 0}}, "federation.bad_setting"),
        ({"settings": {"local_steps": "many"}}, "federation.bad_setting"),
        ({"settings": {"learning_rate": float("nan")}}, "study.bad_plan"),
        ({"rule": "fedmagic"}, "federation.unknown_rule"),
        ({"rule_settings": {"beta": 1}}, "federation.unknown_setting"),
    ],
)
def test_bad_settings_are_refused_by_recipe_and_rule(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ConsiliumError) as caught:
        read(**changes)
    assert caught.value.code == code


@pytest.mark.parametrize("value", [None, [], "plan", 1])
def test_a_plan_that_is_no_table_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="no table"):
        read_draft(value, recipes=RECIPES)


def test_a_draft_is_read_again_as_it_was_kept() -> None:
    from consilium.gate.plain import to_plain

    draft = read(rule="fedadam", question="它在各院都成立吗？", deadline_s=30)
    kept = canonical_bytes(to_plain(draft))
    assert read_draft(read_json(kept), recipes=RECIPES) == draft


def test_the_plan_names_its_starting_model_which_anyone_can_make_again() -> None:
    proposal = propose(read())
    assert digest_of(proposal.start) == proposal.plan.start
    assert starting_model(proposal.plan, recipes=RECIPES) == proposal.start
    arrays = unpack_arrays(proposal.start)
    assert {need.name: need.shape for need in proposal.plan.layout} == {
        name: array.shape for name, array in arrays.items()
    }


def test_the_same_draft_gives_the_same_plan_and_another_seed_another_start() -> None:
    one, same = propose(read()), propose(read())
    assert one.plan.as_json() == same.plan.as_json()
    assert one.start == same.start
    other = propose(read(seed=43))
    assert other.plan.start != one.plan.start


def test_the_plan_can_be_signed_and_read_back_by_a_hospital() -> None:
    proposal = propose(read(settings={"learning_rate": 0.1}, rule="fedadam"))
    signed = sign_study(KEYS["north"], proposal.plan)
    assert verify_study(signed, key=KEYS["north"].public) == proposal.plan
    assert study_from_json(proposal.plan.as_json()) == proposal.plan
    assert [site.participant for site in proposal.plan.sites] == [
        participant(name) for name in ("north", "south", "west")
    ]


def test_the_plan_ends_no_later_than_the_first_agreement() -> None:
    first = NOW + timedelta(days=3)
    assert read_time(propose(read(days=30), not_after=first).plan.expires) == first
    early = propose(read(days=2), not_after=first)
    assert read_time(early.plan.expires) == NOW + timedelta(days=2)
    assert read_time(early.plan.created) == NOW


def test_an_agreement_that_has_ended_allows_no_plan() -> None:
    with pytest.raises(InputError, match="expires"):
        propose(read(), not_after=NOW)


@pytest.mark.parametrize(
    "schema",
    [
        {"features": [], "label": "outcome"},
        {"features": [{"name": "outcome", "kind": "number"}], "label": "outcome"},
        {"features": [{"name": "a", "kind": "number"}] * 2, "label": "outcome"},
        {"features": [{"name": "a", "kind": "category"}], "label": "outcome"},
        {"features": [{"name": "a", "kind": "image"}], "label": "outcome"},
    ],
)
def test_impossible_columns_allow_no_plan(schema: dict[str, Any]) -> None:
    with pytest.raises(ConsiliumError):
        propose(read(), schema=schema)


def test_a_recipe_that_was_changed_since_makes_no_starting_model() -> None:
    plan = propose(read()).plan
    other = replace(plan, recipe=replace(plan.recipe, digest=digest_of(b"another release")))
    with pytest.raises(IntegrityError):
        starting_model(other, recipes=RECIPES)
    unknown = replace(plan, recipe=replace(plan.recipe, name="deep-magic"))
    with pytest.raises(NotFoundError):
        starting_model(unknown, recipes=RECIPES)


def test_units_and_categories_are_optional_in_a_schemas_record() -> None:
    (feature,) = read_needs({"features": [{"name": "age", "kind": "number"}]}).features
    assert (feature.unit, feature.categories) == ("", ())


MASKS: dict[str, Any] = {"clip": 2.0, "max_cases": 500}


def test_a_secure_draft_becomes_a_secure_plan_whose_quorum_carries_a_sum() -> None:
    assert read(invite=FIVE, secure=MASKS).quorum == 4
    assert read(secure=MASKS).quorum == 3
    found = propose(read(secure=MASKS)).plan
    assert found.secure == Masking(clip=2.0, max_cases=500, bits=32)
    assert study_from_json(found.as_json()) == found
    assert propose(read()).plan.secure is None


@pytest.mark.parametrize("rule", ["clipped", "krum", "median", "qfedavg", "trimmed_mean"])
def test_a_rule_that_looks_at_single_updates_does_not_go_with_a_secure_sum(rule: str) -> None:
    with pytest.raises(InputError) as caught:
        read(invite=FIVE, quorum=5, rule=rule, secure=MASKS)
    assert caught.value.code == "federation.needs_single_updates"
    read(invite=FIVE, quorum=5, rule=rule)


@pytest.mark.parametrize("rule", ["fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi"])
def test_a_rule_that_steps_on_the_mean_goes_with_a_secure_sum(rule: str) -> None:
    assert read(rule=rule, secure=MASKS).secure is not None


BAD_SUMS: dict[str, tuple[dict[str, Any], str]] = {
    "two hospitals": ({"invite": wishes("north", "south")}, "secure.too_few_sites"),
    "a low quorum": ({"quorum": 2}, "study.bad_plan"),
    "a low quorum of five": ({"invite": FIVE, "quorum": 3}, "study.bad_plan"),
    "no clip": ({"secure": {"max_cases": 500}}, "study.bad_plan"),
    "an odd key": ({"secure": MASKS | {"noise": 1}}, "study.bad_plan"),
    "odd bits": ({"secure": MASKS | {"bits": 16}}, "gate.bad_order"),
    "too many cases": ({"secure": MASKS | {"max_cases": 2**31 - 1}}, "secure.bad_encoding"),
    "no table": ({"secure": True}, "study.bad_plan"),
}


@pytest.mark.parametrize("flaw", BAD_SUMS)
def test_a_secure_draft_that_makes_no_sum_is_refused(flaw: str) -> None:
    changes, code = BAD_SUMS[flaw]
    with pytest.raises(InputError) as caught:
        propose(read(**{"secure": MASKS, **changes}))
    assert caught.value.code == code


# -- noise --------------------------------------------------------------------------------------

NOISY_SCHEMA = SCHEMA | {
    "features": [
        {"name": "age", "kind": "number", "unit": "a", "range": [18, 110]},
        {"name": "sex", "kind": "category", "categories": ["f", "m"]},
    ]
}


def test_a_preset_becomes_a_plan_whose_recipe_says_the_same() -> None:
    draft = read(privacy={"preset": "standard"}, rule="fedadam")
    made = propose(draft, schema=NOISY_SCHEMA, cases=40_000).plan
    assert made.privacy is not None
    assert (made.privacy.epsilon, made.privacy.figures) == (8.0, "noisy")
    assert made.privacy.delta * 40_000 <= 0.1
    said = made.recipe.settings
    assert (said["clip"], said["noise"], said["rate"], said["local_steps"]) == (
        made.privacy.clip,
        made.privacy.noise,
        made.privacy.rate,
        made.privacy.steps,
    )
    cost = epsilon_of(
        rate=made.privacy.rate,
        noise=made.privacy.noise,
        steps=made.rounds * made.privacy.steps,
        delta=made.privacy.delta,
    )
    assert 7.9 < cost <= 8.0
    assert made.features[0].range == (18.0, 110.0)
    assert study_from_json(made.as_json()) == made


def test_the_preset_audit_clips_and_draws_no_noise() -> None:
    made = propose(read(privacy={"preset": "audit"})).plan
    assert made.privacy is None
    assert (made.recipe.settings["clip"], made.recipe.settings["noise"]) == (1.0, 0.0)


def test_a_usual_range_of_the_draft_goes_before_that_of_the_catalogue() -> None:
    draft = read(privacy={"preset": "strict", "ranges": {"age": [40, 80]}})
    assert propose(draft, schema=NOISY_SCHEMA).plan.features[0].range == (40.0, 80.0)
    with pytest.raises(InputError) as refusal:
        propose(read(privacy={"preset": "strict"}))
    assert refusal.value.code == "federation.no_range"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rule": "qfedavg", "privacy": {"preset": "standard"}}, "rule"),
        ({"privacy": {"preset": "gentle"}}, "privacy.preset"),
    ],
)
def test_noise_that_cannot_be_drawn_is_refused_before_anybody_is_asked(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputError) as refusal:
        read(**changes)
    assert (refusal.value.code, refusal.value.facts["field"]) == ("study.bad_plan", field)


def test_a_recipe_that_draws_no_noise_is_refused() -> None:
    found = RECIPES.find("tabular-logistic")
    assert found is not None
    exact = replace(found, capability=replace(found.capability, noise=False))
    recipes = Recipes({found.name: exact})
    assert recipes.noisy == frozenset()
    assert RECIPES.noisy >= {"tabular-logistic"}
    with pytest.raises(InputError) as refusal:
        read_draft(plan(privacy={"preset": "standard"}), recipes=recipes)
    assert refusal.value.facts["field"] == "privacy"


def test_groups_stand_in_the_plan_and_impossible_ones_make_none() -> None:
    made = propose(read(subgroups=["sex", "age:40,60"]))
    assert made.plan.subgroups == ("sex", "age:40,60")
    assert study_from_json(made.plan.as_json()) == made.plan
    for wrong in ("weight", "age", "age:60,40", "sex:1"):
        with pytest.raises(InputError) as caught:
            propose(read(subgroups=[wrong]))
        assert caught.value.facts["field"] == "subgroups"


def test_a_rule_that_knows_no_modules_does_not_go_with_hospitals_that_lack_one() -> None:
    schema = {
        "features": [
            {"name": "age", "kind": "number", "modality": "clinical"},
            {"name": "IDH1", "kind": "number", "modality": "genomic"},
        ],
        "label": "grade",
    }
    west, *others = propose(read()).plan.sites
    sites = [replace(west, lacks=("genomic",)), *others]
    assert propose(read(), schema=schema, sites=sites).plan.sites
    with pytest.raises(InputError) as caught:
        propose(read(rule="median", quorum=3), schema=schema, sites=sites)
    assert caught.value.facts["field"] == "rule"
