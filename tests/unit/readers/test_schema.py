"""The schema: read strictly, kept exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.errors import InputError, NotFoundError
from consilium.readers.open_data import SCHEMAS, schema_text
from consilium.readers.records import Feature
from consilium.readers.schema import Schema, load_schema

PLAIN = """
[label]
field = "num"
rule = "> 0"

[[fields]]
name = "age"
kind = "number"
unit = "a"
range = [0, 120]
code = "LOINC:30525-0"

[[fields]]
name = "cp"
kind = "category"
categories = ["1", "2"]

[[fields]]
name = "num"
kind = "number"
"""


def edit(old: str, new: str) -> str:
    assert old in PLAIN
    return PLAIN.replace(old, new, 1)


def test_a_plain_schema_names_its_features_in_order_without_the_label() -> None:
    schema = Schema.from_toml(PLAIN)
    assert schema.features == (
        Feature(name="age", kind="number", unit="a"),
        Feature(name="cp", kind="category", categories=("1", "2")),
    )
    assert schema.get_field("age").code == "LOINC:30525-0"
    assert schema.split.train_size == 0.66
    assert schema.source.header


def test_the_order_of_features_can_be_told() -> None:
    schema = Schema.from_toml('order = ["cp", "age"]\n' + PLAIN)
    assert [one.name for one in schema.features] == ["cp", "age"]


def test_text_and_patient_id_are_no_features() -> None:
    fields = '\n[[fields]]\nname = "who"\nkind = "text"\n'
    schema = Schema.from_toml('patient = "who"\n' + PLAIN + fields)
    assert [one.name for one in schema.features] == ["age", "cp"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_shipped_schema_survives_the_way_through_json(name: str) -> None:
    schema = Schema.from_toml(schema_text(name), file=name)
    again = Schema.from_record(schema.as_record())
    assert again == schema
    assert again.digest == schema.digest
    assert canonical_bytes(again.as_record()) == canonical_bytes(schema.as_record())


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("> 0", "> 0"),
        (">0", "> 0"),
        ("<= 1.5", "<= 1.5"),
        ("== 2", "== 2"),
        ("in [1,2]", "in [1, 2]"),
    ],
)
def test_a_rule_is_written_back_as_it_is_meant(rule: str, kept: str) -> None:
    schema = Schema.from_toml(edit("> 0", rule))
    assert schema.as_record()["label"]["rule"] == kept


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("[label]", "colour = 1\n[label]", "colour"),
        ('unit = "a"', 'unti = "a"', "fields[1].unti"),
        ('field = "num"', 'field = "num"\nname = "x"', "label.name"),
    ],
)
def test_an_unknown_key_is_named(old: str, new: str, key: str) -> None:
    with pytest.raises(InputError) as caught:
        Schema.from_toml(edit(old, new), file="clinic.toml")
    assert caught.value.code == "readers.schema_unknown_key"
    assert f"clinic.toml: the key {key} is unknown" in caught.value.public


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('kind = "number"\nunit', 'kind = "numeric"\nunit', "fields[1].kind"),
        ("range = [0, 120]", "range = [120, 0]", "fields[1].range"),
        ("range = [0, 120]", "range = [0]", "fields[1].range"),
        ("range = [0, 120]", "range = [0, inf]", "fields[1].range"),
        ("range = [0, 120]", f"range = [0, {10**400}]", "fields[1].range"),
        ('categories = ["1", "2"]', "", "fields[2].categories"),
        ('categories = ["1", "2"]', 'categories = ["1", "1.0"]', "fields[2].categories"),
        ('categories = ["1", "2"]', 'categories = ["1", "1"]', "fields[2].categories"),
        ('categories = ["1", "2"]', "categories = [1, 2]", "fields[2].categories"),
        ('rule = "> 0"', 'rule = "about 0"', "label.rule"),
        ('rule = "> 0"', 'rule = "> zero"', "label.rule"),
        ('rule = "> 0"', 'rule = "in []"', "label.rule"),
        ('rule = "> 0"', "rule = '== \"yes\"'", "label.rule"),
        ('field = "num"', 'field = "nobody"', "label.field"),
        ("[label]", "[split]\ntrain_size = 1.0\n[label]", "split.train_size"),
        ("[label]", "[split]\ntrain_size = 0.6\nheld_out = 0.3\n[label]", "split.held_out"),
        ("[label]", "[split]\nseed = -1\n[label]", "split.seed"),
        ("[label]", "[split]\nstratify = 1\n[label]", "split.stratify"),
        ("[label]", 'missing = "guess"\n[label]', "missing"),
        ("[label]", 'drop = ["age"]\n[label]', "drop"),
        ("[label]", 'order = ["age"]\n[label]', "order"),
        ("[label]", 'patient = "age"\n[label]', "patient"),
        ("[label]", "[source]\nheader = false\n[label]", "source.names"),
        ("[label]", '[source]\nheader = false\nnames = ["age"]\n[label]', "source.names"),
        ("[label]", '[source]\ndelimiter = ",,"\n[label]', "source.delimiter"),
        ("[label]", '[source]\nencoding = "latin-1"\n[label]', "source.encoding"),
        ('name = "cp"', 'name = "age"', "fields.name"),
        ('name = "cp"', 'name = "cp"\nsource = "age"', "fields.source"),
        ('name = "cp"', 'name = "cp"\noutside = "missing"', "fields[2].outside"),
        ('name = "cp"', 'name = ""', "fields[2].name"),
    ],
)
def test_an_impossible_value_is_named_with_what_may_stand_there(
    old: str, new: str, key: str
) -> None:
    with pytest.raises(InputError) as caught:
        Schema.from_toml(edit(old, new), file="clinic.toml")
    assert caught.value.code == "readers.schema_bad_value"
    assert f"clinic.toml: the value of {key} is not possible. It must be: " in caught.value.public
    assert key in caught.value.text("zh")


@pytest.mark.parametrize("text", ["[label", "a = 1\na = 2", "x = " + "[" * 5000, "held = .3"])
def test_what_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Schema.from_toml(text, file="clinic.toml")
    assert caught.value.code == "readers.schema_unreadable"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InputError) as caught:
        Schema.from_toml(edit('field = "num"\n', ""))
    assert caught.value.code == "readers.schema_missing_key"
    assert "label.field" in caught.value.public


def test_a_schema_needs_something_to_learn_from() -> None:
    only_label = '[label]\nfield = "num"\nrule = "> 0"\n[[fields]]\nname = "num"\nkind = "number"\n'
    with pytest.raises(InputError, match="the value of fields"):
        Schema.from_toml(only_label)


def test_a_category_label_must_ask_for_one_of_its_categories() -> None:
    text = edit('field = "num"\nrule = "> 0"', 'field = "cp"\nrule = \'== "9"\'')
    with pytest.raises(InputError, match=r'label\.rule .* "1" \| "2"'):
        Schema.from_toml(text)


def test_a_file_is_loaded_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(PLAIN, encoding="utf-8-sig")
    assert load_schema(path) == Schema.from_toml(PLAIN)


def test_a_schema_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_schema(tmp_path / "gone.toml")
    assert caught.value.code == "readers.schema_no_file"
    (tmp_path / "gbk.toml").write_bytes("title = '会诊示范医院'".encode("gbk"))
    with pytest.raises(InputError) as caught:
        load_schema(tmp_path / "gbk.toml")
    assert caught.value.code == "readers.schema_unreadable"


def test_a_field_is_asked_for_by_name() -> None:
    with pytest.raises(NotFoundError, match="no field nobody"):
        Schema.from_toml(PLAIN).get_field("nobody")
