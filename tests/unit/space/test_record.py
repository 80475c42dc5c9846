"""The result record keeps its form through JSON, and every field is documented."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from consilium.kernel.errors import IntegrityError
from consilium.measures.targets import OF_TARGET
from consilium.space.record import CHOSEN, ResultRecord
from consilium.space.results import METHODS

METRICS = ("auroc", "accuracy", "brier", "slope")

PAGE = (Path(__file__).parents[3] / "docs" / "result-record.md").read_text(encoding="utf-8")


def paths(kind: type, prefix: str = "") -> Iterator[str]:
    """List every field of the record as the page writes it."""
    hints = typing.get_type_hints(kind)
    for each in fields(kind):
        hint, many = hints[each.name], False
        if typing.get_origin(hint) is tuple:
            hint, many = typing.get_args(hint)[0], True
        if each.name == "figures":  # they stand beside the other keys, each under its own name
            continue
        name = f"{prefix}{each.name}"
        yield name
        if isinstance(hint, type) and is_dataclass(hint):
            yield from paths(hint, f"{name}{'[]' if many else ''}.")


def test_the_record_survives_json(record: ResultRecord) -> None:
    line = record.as_line()
    assert "\n" not in line
    assert ResultRecord.from_json(line) == record
    assert ResultRecord.from_json(record.as_json()) == record


def test_the_record_has_the_fields_that_programs_count_on(record: ResultRecord) -> None:
    plain = record.as_json()
    for key in ("study", "recipe", "seed", "rounds", "sites", "mean", "worst", "timing",
                "bytes", "evidence", "model"):  # fmt: skip
        assert key in plain
    site = plain["sites"][0]
    for key in ("id", "n_train", "n_test", "auroc", "accuracy", "brier", "chosen"):
        assert key in site
    assert list(site["auroc"]) == list(METHODS)
    assert set(plain["timing"]) == {"command_to_first_round_s", "round_overhead_s", "total_s"}


def test_every_field_is_documented() -> None:
    inner = {
        f"sites[].{name}"
        for name in ("calibration", "curve", "choice", "decision", "classes", "subgroups")
    }
    for path in paths(ResultRecord):
        parent = path.rpartition(".")[0].removesuffix("[]")
        assert f"| `{path}` |" in PAGE or parent in inner, path
    figures = {name for names in OF_TARGET.values() for name in names} - {"calibration_slope"}
    inner_words = (
        "predicted observed n round loss threshold value low high treat_all index reason patients "
        "field group unit"
    )
    words = inner_words.split()
    for name in (*METHODS, CHOSEN, *METRICS, *figures, *words):
        assert f"`{name}`" in PAGE or f"`sites[].{name}`" in PAGE, name


def test_mean_and_worst_leave_out_what_is_undefined(record: ResultRecord) -> None:
    found = [site.figures["auroc"]["federated"] for site in record.sites]
    known = [value for value in found if value is not None]
    assert len(known) == 3
    assert record.mean["auroc"]["federated"] == pytest.approx(math.fsum(known) / 3)
    assert record.worst["auroc"]["federated"] == min(known)
    assert record.worst["brier"]["federated"] == max(
        value for site in record.sites if (value := site.figures["brier"]["federated"]) is not None
    )
    assert record.mean["accuracy"]["majority"] is not None


def test_a_figure_that_no_site_has_is_null(result: dict[str, Any]) -> None:
    for site in result["sites"]:
        site["auroc"]["pooled"] = None
    record = ResultRecord.from_json(result)
    assert record.mean["auroc"]["pooled"] is None
    assert record.worst["auroc"]["pooled"] is None


def test_a_node_need_not_send_the_pooled_row(result: dict[str, Any]) -> None:
    for site in result["sites"]:
        for metric in METRICS:
            del site[metric]["pooled"]
            del site["intervals"][metric]["pooled"]
    assert ResultRecord.from_json(result).sites[0].figures["auroc"]["pooled"] is None


def spoil(result: dict[str, Any], path: str, value: Any) -> None:
    place: Any = result
    *way, last = path.split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("study", None, "study"),
        ("seed", "42", "seed"),
        ("rounds", -1, "rounds"),
        ("sites", {}, "sites"),
        ("sites.0.n_test", 1.5, "sites.n_test"),
        ("sites.0.auroc.federated", "0.8", "sites.auroc.federated"),
        ("sites.0.auroc.federated", float("nan"), "sites.auroc.federated"),
        ("sites.0.intervals.auroc.local", [0.9, 0.1], "sites.intervals.auroc.local"),
        ("sites.0.undefined", {"auroc.local": None}, "sites.undefined.auroc.local"),
        ("sites.0.curve", [{"round": "1"}], "sites.curve.round"),
        ("timing.total_s", None, "timing.total_s"),
        ("evidence.verified", "yes", "evidence.verified"),
        ("model", [], "model"),
    ],
)
def test_a_record_that_does_not_keep_its_form_is_refused(
    result: dict[str, Any], path: str, value: Any, key: str
) -> None:
    spoil(result, path, value)
    with pytest.raises(IntegrityError) as caught:
        ResultRecord.from_json(result)
    assert caught.value.code == "space.bad_record"
    assert caught.value.facts["key"] == key


def test_each_hospitals_own_choice_has_its_mean_and_worst(record: ResultRecord) -> None:
    chosen = [site.figures["accuracy"][site.chosen] for site in record.sites]
    known = [value for value in chosen if value is not None]
    assert record.mean["accuracy"][CHOSEN] == pytest.approx(math.fsum(known) / 4)
    assert record.worst["accuracy"][CHOSEN] == min(known)


@pytest.mark.parametrize("kind", sorted(OF_TARGET))
def test_a_record_of_any_kind_of_target_survives_json(result: dict[str, Any], kind: str) -> None:
    result["target"] = {"kind": kind, "label": "y", "classes": ["a", "b"], "unit": "mm"}
    for site in result["sites"]:
        for number, name in enumerate(OF_TARGET[kind]):
            site[name] = dict.fromkeys(METHODS, 0.5 + number)
        site["classes"] = [
            {"index": 0, "n": 40, "auroc": {"value": 0.9, "interval": [0.8, 1.0]}},
            {"index": 1, "n": None, "reason": "measures.too_few"},
        ]
    record = ResultRecord.from_json(result)
    assert ResultRecord.from_json(record.as_line()) == record
    assert record.metrics[0] in record.mean
    assert "slope" not in record.mean
    assert "mean_error" not in record.worst
    leading = record.as_json()["sites"][0][record.metrics[0]]
    assert leading == dict.fromkeys(METHODS, 0.5)


def test_a_record_from_before_other_targets_is_one_of_yes_or_no(result: dict[str, Any]) -> None:
    for key in ("target",):
        del result[key]
    for site in result["sites"]:
        for key in ("choice", "decision", "classes", "subgroups"):
            del site[key]
    record = ResultRecord.from_json(result)
    assert record.target.kind == "binary"
    assert record.sites[0].choice.by is None
