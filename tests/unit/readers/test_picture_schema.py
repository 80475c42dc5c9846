"""Schemas with images, signals and other targets: what they say, and what they may not."""

from __future__ import annotations

from typing import Any

import pytest

from consilium.kernel.errors import InputError
from consilium.readers.open_data import schema_text
from consilium.readers.records import Feature, Target
from consilium.readers.schema import Schema

EYE = """
patient = "id"

[label]
kind = "classes"
field = "grade"
classes = ["none", "mild", "severe"]

[[fields]]
name = "fundus"
kind = "image"
source = "file"
shape = [256, 256, 3]

[[fields]]
name = "age"
kind = "number"
unit = "a"

[[fields]]
name = "oct"
kind = "image"
modality = "tomography"
shape = [64, 96, 1]
depth = 16
fit = "stretch"
interpolation = "area"

[[fields]]
name = "erg"
kind = "signal"
shape = [500, 2]
unit = "uV"

[[fields]]
name = "idh1"
kind = "category"
modality = "genomics"
categories = ["0", "1"]

[[fields]]
name = "grade"
kind = "category"
categories = ["0", "1", "2"]

[[fields]]
name = "visit"
kind = "number"

[[fields]]
name = "set"
kind = "category"
categories = ["train", "test"]

[[fields]]
name = "vessels"
kind = "image"
shape = [256, 256, 1]
"""
MASK = '[label]\nkind = "mask"\nfield = "vessels"\nthreshold = 127'
CLASSES = EYE[EYE.index("[label]") : EYE.index("[[fields]]")]


def eye(**changes: str) -> Schema:
    text = EYE
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return Schema.from_toml(text, file="eye.toml")


def with_label(label: str, split: str = "") -> Schema:
    return Schema.from_toml(EYE.replace(CLASSES, f"{label}\n\n{split}\n\n"), file="eye.toml")


def test_columns_stand_before_images_and_signals() -> None:
    schema = eye()
    assert [one.name for one in schema.features] == [
        *("age", "idh1", "visit", "set"),
        *("fundus", "oct", "erg", "vessels"),
    ]
    assert [one.name for one in schema.columns] == ["age", "idh1", "visit", "set"]
    assert schema.features[4] == Feature(
        name="fundus", kind="image", modality="fundus", shape=(256, 256, 3)
    )
    assert schema.features[1].modality == "genomics"
    assert schema.features[5].modality == "tomography"
    assert schema.features[6] == Feature(
        name="erg", kind="signal", unit="uV", modality="erg", shape=(500, 2)
    )


def test_an_order_of_features_is_kept_within_columns_and_within_images() -> None:
    order = 'order = ["erg", "set", "vessels", "idh1", "fundus", "visit", "oct", "age"]\n'
    names = [one.name for one in Schema.from_toml(order + EYE).features]
    assert names == ["set", "idh1", "visit", "age", "erg", "vessels", "fundus", "oct"]


def test_each_kind_of_target_says_classes_and_unit() -> None:
    assert eye().target == Target(kind="classes", classes=("none", "mild", "severe"))
    number = with_label('[label]\nkind = "number"\nfield = "age"')
    assert number.target == Target(kind="number", unit="a")
    assert "age" not in {one.name for one in number.features}
    survival = with_label(
        '[label]\nkind = "survival"\nfield = "grade"\nrule = \'== "2"\'\ntime = "age"'
    )
    assert survival.target == Target(kind="survival", unit="a")
    assert not {"age", "grade"} & {one.name for one in survival.features}
    mask = with_label(MASK)
    assert mask.target == Target(kind="mask")
    assert "vessels" not in {one.name for one in mask.features}
    assert [one.name for one in mask.pictures] == ["fundus", "oct", "erg", "vessels"]
    assert Schema.from_toml(schema_text("heart-disease")).target == Target()
    assert eye().target.as_record() == {
        "kind": "classes",
        "classes": ["none", "mild", "severe"],
        "unit": "",
    }


def test_classes_are_called_like_the_categories_unless_named() -> None:
    plain = Schema.from_toml(EYE.replace('classes = ["none", "mild", "severe"]', ""))
    assert plain.target.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    "text",
    [
        EYE,
        EYE.replace(CLASSES, MASK + "\n\n"),
        EYE.replace(CLASSES, '[label]\nkind = "number"\nfield = "age"\n\n'),
        EYE.replace(
            CLASSES,
            '[label]\nkind = "survival"\nfield = "grade"\nrule = \'in ["1"]\'\ntime = "age"\n\n',
        ),
        EYE.replace("[label]", '[split]\ncolumn = "set"\nheld_out_in = ["test"]\n\n[label]'),
        EYE.replace("[label]", '[split]\norder = "visit"\nheld_out = 0.2\n\n[label]'),
        EYE.replace("[label]", '[source]\nimages = "a/b"\nparts = ["x", "y"]\n\n[label]'),
        'patient_pattern = "^(P[0-9]+)-"\n' + EYE,
    ],
    ids=["classes", "mask", "number", "survival", "given", "order", "source", "pattern"],
)
def test_what_a_schema_writes_it_reads_again(text: str) -> None:
    schema = Schema.from_toml(text)
    again = Schema.from_record(schema.as_record())
    assert again.as_record() == schema.as_record()
    assert again == schema
    assert again.digest == schema.digest


def test_schemas_of_columns_with_a_yes_or_no_keep_their_fingerprints() -> None:
    # These stand in agreements and passports; a new key must not move them.
    assert {name: Schema.from_toml(schema_text(name)).digest for name in DIGESTS} == DIGESTS
    record = Schema.from_toml(schema_text("breast-cancer")).as_record()
    assert set(record["label"]) == {"field", "rule", "positive"}
    assert set(record["split"]) == {"train_size", "seed", "stratify"}
    assert "modality" not in record["fields"][0]


DIGESTS = {
    "heart-disease": "sha256:9eb674867a79c8e8a66a08892fad97ff1a66851d573c706090ad36218c3c8844",
    "breast-cancer": "sha256:7ae2420b391afd3508b1394bb1480838747d7e69abb00ce4c4438481faea2f44",
}

FUNDUS = 'source = "file"\nshape = [256, 256, 3]'


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (FUNDUS, 'source = "file"', "fields[1].shape"),
        (FUNDUS, "shape = [256, 256]", "fields[1].shape"),
        (FUNDUS, "shape = [256, 256, 4]", "fields[1].shape"),
        (FUNDUS, "shape = [0, 256, 3]", "fields[1].shape"),
        (FUNDUS, "shape = [256, 256, true]", "fields[1].shape"),
        (FUNDUS, "shape = [256, 99999, 3]", "fields[1].shape"),
        (FUNDUS, f"{FUNDUS}\ndepth = 12", "fields[1].depth"),
        (FUNDUS, f'{FUNDUS}\nfit = "crop"', "fields[1].fit"),
        (FUNDUS, f'{FUNDUS}\ninterpolation = "lanczos"', "fields[1].interpolation"),
        (FUNDUS, f"{FUNDUS}\nrange = [0, 1]", "fields[1].range"),
        (FUNDUS, f'{FUNDUS}\ncategories = ["a"]', "fields[1].categories"),
        (FUNDUS, f'{FUNDUS}\nmodality = " "', "fields[1].modality"),
        ('unit = "a"', 'unit = "a"\nshape = [1, 1, 1]', "fields[2].shape"),
        ("shape = [500, 2]", "shape = [500]", "fields[4].shape"),
        ("shape = [500, 2]", "shape = [500, 2]\ndepth = 8", "fields[4].depth"),
        ('field = "grade"', 'field = "age"', "label.field"),
        ('["none", "mild", "severe"]', '["none", "mild"]', "label.classes"),
        ('["none", "mild", "severe"]', '["none", "none", "mild"]', "label.classes"),
        ('kind = "classes"', 'kind = "ordinal"', "label.kind"),
        ('kind = "classes"', 'kind = "classes"\nrule = "> 0"', "label.rule"),
        (CLASSES, '[label]\nfield = "grade"\nrule = \'== "1"\'\ntime = "age"\n', "label.time"),
        (CLASSES, '[label]\nfield = "fundus"\nrule = "> 0"\n', "label.field"),
        (CLASSES, '[label]\nkind = "number"\nfield = "grade"\n', "label.field"),
        (CLASSES, '[label]\nkind = "mask"\nfield = "fundus"\n', "label.field"),
        (CLASSES, '[label]\nkind = "mask"\nfield = "oct"\n', "label.field"),
        (CLASSES, '[label]\nkind = "mask"\nfield = "age"\n', "label.field"),
        (
            CLASSES,
            '[label]\nkind = "survival"\nfield = "grade"\nrule = \'== "1"\'\ntime = "idh1"\n',
            "label.time",
        ),
        ("[label]", '[split]\ncolumn = "set"\n[label]', "split.held_out_in"),
        ("[label]", '[split]\nheld_out_in = ["test"]\n[label]', "split.held_out_in"),
        ("[label]", '[split]\ncolumn = "set"\nheld_out_in = ["val"]\n[label]', "split.held_out_in"),
        (
            "[label]",
            '[split]\ncolumn = "set"\nheld_out_in = ["train", "test"]\n[label]',
            "split.held_out_in",
        ),
        ("[label]", '[split]\ncolumn = "age"\nheld_out_in = ["test"]\n[label]', "split.column"),
        ("[label]", '[split]\norder = "set"\n[label]', "split.order"),
        ("[label]", '[split]\norder = "grade"\n[label]', "split.order"),
        (
            "[label]",
            '[split]\norder = "visit"\ncolumn = "set"\nheld_out_in = ["test"]\n[label]',
            "split.order",
        ),
        ("[label]", '[source]\nimages = "../x"\n[label]', "source.images"),
        ("[label]", '[source]\nimages = "/x"\n[label]', "source.images"),
        ('patient = "id"', 'patient = "id"\npatient_pattern = "(a)(b)"', "patient_pattern"),
        ('patient = "id"', 'patient = "id"\npatient_pattern = "(?=a)"', "patient_pattern"),
        ('patient = "id"', 'patient = "id"\npatient_pattern = "("', "patient_pattern"),
        ('patient = "id"', 'patient_pattern = "a"', "patient_pattern"),
    ],
)
def test_an_impossible_key_is_named(old: str, new: str, key: str) -> None:
    assert old in EYE
    with pytest.raises(InputError) as caught:
        Schema.from_toml(EYE.replace(old, new, 1), file="eye.toml")
    assert key in caught.value.public
    assert "eye.toml" in caught.value.public


def test_what_only_the_split_needs_is_no_feature() -> None:
    schema = with_label('[label]\nkind = "number"\nfield = "age"', '[split]\norder = "visit"')
    assert "visit" not in {one.name for one in schema.features}
    assert schema.needed == ("visit",)


def test_a_record_of_a_picture_holds_its_own_keys_only() -> None:
    records: dict[str, Any] = {one["name"]: one for one in eye().as_record()["fields"]}
    assert set(records["fundus"]) == {
        *("name", "kind", "code", "source", "modality", "shape", "fit"),
        *("depth", "interpolation"),
    }
    assert set(records["erg"]) == {
        *("name", "kind", "code", "source", "modality", "shape", "fit", "unit"),
    }
