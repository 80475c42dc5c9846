"""The space file is read strictly; each slip gets one sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import InputError
from consilium.space.demo import INVENTED, REAL
from consilium.space.offers import draft_record, terms_record
from consilium.space.plans import StudyPlan
from consilium.space.spacefile import check_files, read_offer, read_space, read_study

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "space-file.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
DEMOS = ROOT / "src" / "consilium" / "space" / "demos"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "space.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path: Path, text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read_space(write(tmp_path, text))
    for language in ("en", "zh"):
        sentence = caught.value.text(language)
        assert "space.toml" in sentence
        assert "\n" not in sentence
    return caught.value


def test_the_documented_example_is_read_as_it_says(tmp_path: Path) -> None:
    plan = read_space(write(tmp_path, EXAMPLE))
    assert plan.name == "rehearsal"
    assert [member.name for member in plan.participants] == ["tiantan", "eye"]
    own = plan.get_dataset("tiantan", "glioma")
    assert own.path == tmp_path / "tiantan.csv"
    assert own.schema == str(tmp_path / "glioma.toml")
    assert own.terms.min_cohort == 20
    assert own.governance["human_genetic_resources"] is False
    assert plan.get_dataset("eye", "glioma").terms.count == 10
    study = plan.studies[0]
    assert study.datasets == {"tiantan": "glioma", "eye": "glioma"}
    assert study.rule_settings == {"server_learning_rate": 0.01}
    assert not plan.is_public(study)
    assert plan.id_of("eye") == "did:web:rehearsal:eye"


def test_every_key_of_the_example_is_explained_on_the_page() -> None:
    tables = PAGE.replace(EXAMPLE, "")
    for key in set(re.findall(r"^(\w+) =", EXAMPLE, re.MULTILINE)) - {"tiantan", "eye"}:
        assert f"`{key}`" in tables, key


@pytest.mark.parametrize("name", [INVENTED, REAL])
def test_the_built_in_space_files_are_valid_and_public(name: str, tmp_path: Path) -> None:
    plan = read_space(DEMOS / f"{name}.toml", data=tmp_path)
    assert len(plan.participants) == 4
    assert plan.is_public(plan.studies[0])
    assert all(each.datasets[0].path.parent == tmp_path for each in plan.participants)


@pytest.mark.parametrize(
    ("old", "new", "code", "told"),
    [
        ('purpose = "medical-research"', 'porpose = "x"', "space.missing_key", "purpose"),
        ("rounds = 15", "rounds = 15\nround = 3", "space.unknown_key", "study grade › round"),
        ("rounds = 15", "rounds = 0", "space.not_whole", "rounds"),
        ("rounds = 15", "rounds = true", "space.not_whole", "rounds"),
        ("rounds = 15", 'rounds = "15"', "space.not_whole", "rounds"),
        ("quorum = 2", "quorum = 3", "space.not_whole", "quorum"),
        ("quorum = 2", "quorum = 1", "space.not_whole", "quorum"),
        ("deadline_s = 60", "deadline_s = inf", "space.not_number", "deadline_s"),
        ("seed = 42", "seed = -1", "space.not_whole", "seed"),
        ('lead = "tiantan"', 'lead = "west"', "space.unknown_name", "'west'"),
        ('eye = "glioma"', 'eye = "stroke"', "space.unknown_name", "'stroke'"),
        ('eye = "glioma"', 'ear = "glioma"', "space.unknown_name", "'ear'"),
        ('recipients = ["tiantan"]', 'recipients = ["t"]', "space.unknown_name", "recipients"),
        ('recipients = ["tiantan"]', "recipients = []", "space.not_texts", "recipients"),
        ('purposes = ["medical-research"]', 'purposes = "x"', "space.not_texts", "purposes"),
        ("days = 365", "days = 4000", "space.not_whole", "terms › days"),
        ("public = false", 'public = "no"', "space.not_flag", "public"),
        ('name = "eye"', 'name = "tiantan"', "space.doubled_name", "'tiantan'"),
        ('name = "eye"', 'name = "Eye Hospital"', "space.bad_name", "'Eye Hospital'"),
        ('name = "eye"', 'name = "hub"', "space.taken_name", "'hub'"),
        ('name = "rehearsal"', 'name = "a b"', "space.bad_name", "'a b'"),
        ('name = "rehearsal"', f'name = "{"x" * 49}"', "space.too_long", "48"),
        ('title = "眼科医院 · Eye Hospital"', f'title = "{"眼" * 65}"', "space.too_long", "64"),
        ('schema = "glioma.toml"\npublic', 'schema = ""\npublic', "space.not_text", "schema"),
        ("port = 0", "port = 70000", "space.not_whole", "hub › port"),
        ('owner = "Medical records office"', "", "space.bad_governance", "owner"),
        ("human_genetic_resources = false", 'human_genetic_resources = "?"',
         "space.bad_governance", "human_genetic_resources"),
        ("[hub]", "[[hub]]", "space.not_table", "hub"),
        ("[[study]]", "[study]", "space.not_tables", "study"),
        ('[study.datasets]\ntiantan = "glioma"\neye = "glioma"', "[study.datasets]",
         "space.no_sites", "datasets"),
        ("[space]", "[space", "space.not_toml", "line"),
    ],
)  # fmt: skip
def test_a_slip_is_named_with_its_key(
    tmp_path: Path, old: str, new: str, code: str, told: str
) -> None:
    assert old in EXAMPLE
    error = refused(tmp_path, EXAMPLE.replace(old, new))
    assert error.code == code
    assert told in error.text("en")


def test_a_misspelt_key_brings_the_nearest_known_one(tmp_path: Path) -> None:
    text = EXAMPLE.replace("deadline_s = 60", "deadline = 60")
    assert "deadline_s" in refused(tmp_path, text).text("en")


def test_a_file_without_hospitals_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, '[space]\nname = "empty"\n').code == "space.no_participants"


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_space(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_space(tmp_path)
    path = tmp_path / "space.toml"
    path.write_bytes("[space]\nname = '北京'".encode("gbk"))
    with pytest.raises(InputError, match="UTF-8"):
        read_space(path)


def test_missing_data_are_noticed_before_anything_starts(tmp_path: Path) -> None:
    plan = read_space(write(tmp_path, EXAMPLE))
    with pytest.raises(InputError, match=re.escape("tiantan.csv")):
        check_files(plan)
    for name in ("tiantan.csv", "eye.parquet"):
        (tmp_path / name).touch()
    check_files(plan)


def test_a_study_file_holds_the_keys_of_a_study_without_its_lead(tmp_path: Path) -> None:
    text = EXAMPLE[EXAMPLE.index("[[study]]") :].replace("[[study]]", "")
    text = text.replace('lead = "tiantan"\n', "").replace("[study.datasets]", "[datasets]")
    plan = read_study(write(tmp_path, text))
    assert isinstance(plan, StudyPlan)
    assert plan.lead == ""
    assert plan.datasets == {"tiantan": "glioma", "eye": "glioma"}


def test_an_offer_file_holds_governance_and_terms(tmp_path: Path) -> None:
    start = EXAMPLE.index("[participant.dataset.governance]")
    text = EXAMPLE[start : EXAMPLE.index("[[participant]]", start)]
    text = text.replace("participant.dataset.", "")
    governance, terms, budget = read_offer(write(tmp_path, text))
    assert budget == {}
    assert (terms.epsilon, terms.outputs, terms.spatial) == (None, (), ())
    assert governance["owner"] == "Department of Neurosurgery"
    assert terms.recipients == ("tiantan",)


FURTHER = """min_participants = 3
epsilon = 2.5
delta = 1e-5
outputs = ["model", "metrics"]
secure_aggregation = false
spatial = ["CN", "DE-BY"]
"""


def test_further_terms_a_budget_and_a_place_can_be_written(tmp_path: Path) -> None:
    text = EXAMPLE.replace("min_cohort = 20\n", f"min_cohort = 20\n{FURTHER}", 1)
    text = text.replace(
        "[participant.dataset.terms]",
        "[participant.dataset.budget]\nepsilon = 20\n\n[participant.dataset.terms]",
        1,
    )
    text = text.replace('name = "tiantan"\ntitle', 'name = "tiantan"\nlocation = "CN-BJ"\ntitle', 1)
    plan = read_space(write(tmp_path, text))
    first, second = plan.participants
    assert (first.location, second.location) == ("CN-BJ", "")
    assert (first.datasets[0].budget, second.datasets[0].budget) == ({"epsilon": 20.0}, {})
    written = terms_record(
        first.datasets[0].terms,
        space="rehearsal",
        recipes=["tabular-logistic"],
        clock=SystemClock(),
    )
    assert {name: written[name] for name in list(written)[7:]} == {
        "min_participants": 3,
        "epsilon": 2.5,
        "delta": 1e-5,
        "outputs": ["model", "metrics"],
        "secure_aggregation": False,
        "spatial": ["CN", "DE-BY"],
    }
    plain = terms_record(
        second.datasets[0].terms,
        space="rehearsal",
        recipes=["tabular-logistic"],
        clock=SystemClock(),
    )
    assert len(plain) == 7


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('outputs = ["weights"]', "space.unknown_name"),
        ('spatial = ["China"]', "space.bad_location"),
        ("epsilon = 0", "space.not_number"),
        ("delta = 1", "space.not_number"),
        ("min_participants = 0", "space.not_whole"),
        ('secure_aggregation = "yes"', "space.not_flag"),
    ],
)
def test_a_slip_in_a_further_term_is_named(tmp_path: Path, line: str, code: str) -> None:
    text = EXAMPLE.replace("min_cohort = 20\n", f"min_cohort = 20\n{line}\n", 1)
    assert refused(tmp_path, text).code == code


SECURE = """
[study.secure]
clip = 4.0
max_cases = 500
"""


def test_a_study_says_how_its_updates_are_masked_or_that_they_are_not(tmp_path: Path) -> None:
    assert read_space(write(tmp_path, EXAMPLE)).studies[0].secure is None
    text = EXAMPLE.replace("[study.datasets]", f"{SECURE}\n[study.datasets]")
    [study] = read_space(write(tmp_path, text)).studies
    assert study.secure == {"clip": 4.0, "max_cases": 500, "bits": 32}
    assert draft_record(study, space="rehearsal")["secure"] == study.secure


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("clip = 4.0\n", ""), "space.missing_key"),
        (("clip = 4.0", "clip = 0"), "space.not_number"),
        (("max_cases = 500", "max_cases = 0"), "space.not_whole"),
        (("max_cases = 500", "max_cases = 500\nnoise = 1"), "space.unknown_key"),
    ],
)
def test_a_slip_in_the_masking_is_named(tmp_path: Path, change: tuple[str, str], code: str) -> None:
    text = EXAMPLE.replace("[study.datasets]", f"{SECURE.replace(*change)}\n[study.datasets]")
    assert refused(tmp_path, text).code == code


def test_a_study_says_how_private_it_is(tmp_path: Path) -> None:
    table = '\n[study.privacy]\npreset = "strict"\nranges = { age = [20, 90] }\n'
    plan = read_space(write(tmp_path, EXAMPLE + table))
    record = draft_record(plan.studies[0], space="rehearsal")
    assert record["privacy"] == {"preset": "strict", "ranges": {"age": [20, 90]}}


def test_a_study_names_the_groups_it_wants_apart(tmp_path: Path) -> None:
    wished = EXAMPLE.replace("seed = 42\n", 'seed = 42\nsubgroups = ["sex", "age:40,60"]\n', 1)
    study = read_space(write(tmp_path, wished)).studies[0]
    assert study.subgroups == ("sex", "age:40,60")
    draft = draft_record(study, space="rehearsal")
    assert draft["subgroups"] == ["sex", "age:40,60"]
    assert draft_record(replace(study, subgroups=()), space="rehearsal")["subgroups"] == []
