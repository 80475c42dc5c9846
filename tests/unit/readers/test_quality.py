"""What of a report may be shown outside."""

from __future__ import annotations

import json
from typing import Any

from consilium.readers.quality import public_part


def report_of(negative: int, positive: int, *, patients: int = 50) -> dict[str, Any]:
    return {
        "rows": {"read": 120, "complete": negative + positive, "dropped": {"no_label": 3}},
        "fields": {"age": {"kind": "number", "missing": 7, "unparseable": 2}},
        "duplicates": {"rows": 1},
        "patients": patients,
        "classes": {
            "positive": "ill",
            "train": {"negative": negative - 4, "positive": positive - 2},
            "held_out": {"negative": 4, "positive": 2},
        },
        "drift": {"unexpected_columns": ["surname"]},
        "warnings": [{"code": "x", "en": "y", "zh": "z"}],
    }


def test_a_catalogue_learns_size_prevalence_and_completeness() -> None:
    assert public_part(report_of(60, 30)) == {
        "rows": 90,
        "patients": 50,
        "classes": {"negative": 60, "positive": 30},
        "fields": {"age": {"kind": "number", "missing_share": 0.1}},
    }


def test_a_small_class_hides_the_other_one_too() -> None:
    shown = public_part(report_of(60, 9))
    assert shown["classes"] == {"negative": None, "positive": None}
    assert shown["rows"] == 69


def test_small_counts_are_not_shown() -> None:
    shown = public_part(report_of(5, 4, patients=3))
    assert (shown["rows"], shown["patients"]) == (None, None)
    assert public_part(report_of(5, 4), smallest=1)["rows"] == 9


def test_names_outside_the_schema_and_warnings_stay_at_home(clinic: Any) -> None:
    rows = [row + ",x" for row in clinic.rows()]
    report = clinic.take_in(clinic.save(rows, header=clinic.header + ",surname")).quality
    assert "surname" in json.dumps(report)
    assert "surname" not in json.dumps(public_part(report))
    assert set(public_part(report)) == {"rows", "patients", "classes", "fields"}
