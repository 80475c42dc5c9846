"""Every setting that a person can choose stands on some page."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.resources import files
from typing import get_type_hints

import pytest
from pages import PROSE, code

from consilium.federation.aggregation import RULES
from consilium.hub.settings import HubSettings
from consilium.node.settings import APPROVALS, CONSOLE, SECTION, ConsoleSettings, NodeSettings
from consilium.persons.settings import ApprovalSettings
from consilium.readers.records import Field, Label, SourceLayout, Split
from consilium.readers.schema import Schema
from consilium.space.plans import DatasetPlan, HubPlan, ParticipantPlan, StudyPlan, TermsPlan


def settings() -> Iterator[str]:
    """List the settings of hub and node, as they are named in files and variables."""
    for section, kind in get_type_hints(HubSettings).items():
        assert is_dataclass(kind)
        yield from (f"{section}.{one.name}" for one in fields(kind))
    yield from (f"{SECTION}.{one.name}" for one in fields(NodeSettings))
    yield from (f"{CONSOLE}.{one.name}" for one in fields(ConsoleSettings))
    yield from (f"{APPROVALS}.{one.name}" for one in fields(ApprovalSettings))


def keys() -> Iterator[str]:
    """List the keys of schemas, space files and studies."""
    plans = (HubPlan, ParticipantPlan, DatasetPlan, TermsPlan, StudyPlan)
    for kind in (*plans, Schema, SourceLayout, Field, Label, Split):
        assert is_dataclass(kind)
        yield from (one.name for one in fields(kind))


def recipe_settings() -> Iterator[str]:
    """List the settings of every installed recipe, and of every rule."""
    for card in files("consilium.federation.recipes").iterdir():
        page = card / "recipe.toml"
        if page.is_file():
            yield from tomllib.loads(page.read_text(encoding="utf-8"))["settings"]
    for rule in RULES.values():
        yield from (rule.name, *(setting.name for setting in rule.schema))


def is_told(word: str) -> bool:
    return any(re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", code(page)) for page in PROSE)


INSIDE = {"datasets", "comparison", "values", "fields", "split", "label", "source", "terms"}
"""Parts of a record that have tables of their own, or another form, in a file."""


@pytest.mark.parametrize("name", sorted(settings()))
def test_every_setting_of_hub_and_node_is_told(name: str) -> None:
    assert is_told(name), name


@pytest.mark.parametrize("name", sorted({*keys()} - INSIDE))
def test_every_key_of_a_file_is_told(name: str) -> None:
    assert is_told(name), name


@pytest.mark.parametrize("name", sorted({*recipe_settings()}))
def test_every_setting_of_a_recipe_or_rule_is_told(name: str) -> None:
    assert is_told(name), name
