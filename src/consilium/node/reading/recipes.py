"""Recipes and rules as forms need them: settings with their bounds, and words for people."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from fastapi import APIRouter

from consilium.federation.aggregation.rules import RULES, is_mean_rule
from consilium.federation.registry import InstalledRecipe, Recipes
from consilium.federation.settings_schema import Setting
from consilium.node.reading.shapes import Said
from consilium.web.paging import Shape

_KINDS = {"whole": "integer"}


class SettingForm(Shape):
    """One setting: what it may be, and what it is for.

    `low` and `high` are allowed themselves unless `low_open`; null without a bound.
    """

    name: str
    kind: str
    low: float | None
    low_open: bool
    high: float | None
    default: float | int | str
    choices: list[str]
    help: Said


class RecipeForm(Shape):
    """A recipe that is installed here."""

    name: str
    version: str
    digest: str
    title: Said
    modalities: list[str]
    targets: list[str]
    family: str
    discloses: Said
    personal: bool
    noise: bool
    rules: list[str]
    settings: list[SettingForm]


class RuleForm(Shape):
    """An aggregation rule. `secure`: it goes with secure aggregation."""

    name: str
    help: Said
    secure: bool
    settings: list[SettingForm]


def recipes_router(recipes: Recipes) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["recipes"])

    @router.get("/recipes")
    def list_recipes() -> list[RecipeForm]:
        """List the recipes that are installed here."""
        return [show_recipe(one) for one in recipes.list()]

    @router.get("/rules")
    def list_rules() -> list[RuleForm]:
        """List the aggregation rules."""
        words = _words()["rules"]
        return [
            RuleForm(
                name=rule.name,
                help=Said(**words[rule.name]),
                secure=is_mean_rule(rule.name),
                settings=_settings(rule.schema),
            )
            for rule in RULES.values()
        ]

    return router


def show_recipe(one: InstalledRecipe) -> RecipeForm:
    """Show a recipe with its settings."""
    able = one.capability
    return RecipeForm(
        name=one.name,
        version=one.version,
        digest=one.digest,
        title=Said(en=one.titles["en"], zh=one.titles["zh"]),
        modalities=list(able.modalities),
        targets=list(able.targets),
        family=able.model_family,
        discloses=Said(en=able.discloses_en, zh=able.discloses_zh),
        personal=able.personal,
        noise=able.noise,
        rules=list(able.rules),
        settings=_settings(one.schema),
    )


def _settings(schema: Iterable[Setting]) -> list[SettingForm]:
    words = _words()["settings"]
    return [
        SettingForm(
            name=one.name,
            kind=_KINDS.get(one.kind, one.kind),
            low=one.least if one.above is None else one.above,
            low_open=one.above is not None,
            high=one.most,
            default=one.default,
            choices=list(one.choices),
            help=_help(one, words.get(one.name, {})),
        )
        for one in schema
    ]


def _help(setting: Setting, words: dict[str, str]) -> Said:
    """Say what a setting is for; one that no table of ours knows says what it may be."""
    en = setting.meaning or words.get("en", setting.range)
    return Said(en=en, zh=words.get("zh", setting.range))


@cache
def _words() -> dict[str, dict[str, dict[str, str]]]:
    text = files("consilium.node.reading").joinpath("words.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
