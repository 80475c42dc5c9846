"""The page for data stewards says what the schema does."""

from __future__ import annotations

import re
from pathlib import Path

from consilium.readers.schema import Schema

PAGE = Path(__file__).parents[3] / "docs" / "schema.md"


def test_the_example_of_the_page_is_a_schema() -> None:
    text = PAGE.read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example
    schema = Schema.from_toml(example[1])
    assert [one.name for one in schema.features] == ["age", "sex", "idh1", "ki67"]


FEATURE = '[[fields]]\nname = "some_feature"\nkind = "number"\n'


def test_every_further_example_is_a_schema_as_soon_as_it_has_a_feature() -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 5
    kinds = [Schema.from_toml(f"{one}\n{FEATURE}").target.kind for one in examples]
    assert kinds == ["binary", "classes", "survival", "mask", "classes"]


def test_every_key_of_a_schema_stands_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example
    record = Schema.from_toml(example[1]).as_record()
    keys = {*record, *record["source"], *record["label"], *record["fields"][0], "held_out", "range"}
    assert not {key for key in keys if f"`{key}`" not in text and f"[{key}]" not in text}
