"""A dataset on the screen: classes, events and pictures in numbers."""

from __future__ import annotations

from typing import Any

import pytest

from consilium.cli.quality import show_dataset

TERMS = {
    "purposes": ["research"],
    "recipients": ["north"],
    "not_after": "2027-01-01",
    "count": 1,
    "max_rounds": 5,
    "min_cohort": 20,
    "min_participants": None,
    "epsilon": None,
    "delta": None,
    "outputs": [],
    "secure_aggregation": None,
    "spatial": [],
}


def shown(capsys: pytest.CaptureFixture[str], classes: dict[str, Any], **more: Any) -> str:
    show_dataset(
        {
            "name": "eyes",
            "title": "Eyes",
            "public": False,
            "fingerprint": "sha256:00",
            "governance": {"ethics_approval": "2026-1"},
            "terms": TERMS,
            "budget": {"epsilon": 4.0, "delta": 1e-5},
            "quality": {
                "rows": {"complete": 60, "read": 61, "dropped": {"unfit_image": 1}},
                "patients": 30,
                "source": {"kind": "csv", "encoding": "gb18030"},
                "fields": {"fundus": {"kind": "image", "missing": 0, "unparseable": 1}},
                "warnings": [],
                "classes": classes,
                **more,
            },
        }
    )
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (
            {
                "positive": "ill",
                "train": {"negative": 30, "positive": 10},
                "held_out": {"negative": 15, "positive": 5},
            },
            "40, of them 10 ill",
        ),
        (
            {
                "kind": "survival",
                "positive": "death",
                "train": {"censored": 30, "event": 10},
                "held_out": {"censored": 15, "event": 5},
            },
            "20, of them 5 death",
        ),
        (
            {
                "kind": "classes",
                "train": {"none": 20, "mild": 13, "severe": 7},
                "held_out": {"none": 10, "mild": 6, "severe": 4},
            },
            "40: none 20, mild 13, severe 7",
        ),
        ({"kind": "number", "train": {"rows": 40}, "held_out": {"rows": 20}}, "40"),
    ],
    ids=["binary", "survival", "classes", "number"],
)
def test_each_target_is_counted_in_its_own_words(
    capsys: pytest.CaptureFixture[str], classes: dict[str, Any], words: str
) -> None:
    assert words in shown(capsys, classes)


def test_pictures_have_a_table_with_copies_across_the_split(
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = {
        "fundus": {
            "kind": "image",
            "read": 60,
            "unfit": {"no_file": 1},
            "copies": {"all": 2, "held_out": 0},
            "near_copies": {"all": 5, "held_out": 3},
        },
        "vessels": {"kind": "mask", "read": 60, "unfit": {}},
    }
    classes = {"kind": "mask", "train": {"rows": 40}, "held_out": {"rows": 20}}
    text = shown(capsys, classes, images=images)
    line = next(one for one in text.splitlines() if "fundus" in one and "60" in one)
    assert [word for word in line.split() if word.isdigit()] == ["60", "1", "5", "3"]
    assert "vessels" in text
