"""The intake as a process of its own: JSON in, JSON lines out, and no value anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CANARIES = ("Li-Na-CANARY", "777.125", "note-canary")


def ask(request: object) -> tuple[int, list[dict[str, Any]], str]:
    text = request if isinstance(request, str) else json.dumps(request)
    done = subprocess.run(
        [sys.executable, "-m", "consilium.readers.intake"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_request_ends_with_a_result_and_no_value_is_ever_told(clinic: Any) -> None:
    rows = clinic.rows(400)
    rows[0] = f"{CANARIES[0]},A,{CANARIES[1]},男,1,ill,{CANARIES[2]}"
    rows[1] = f"{CANARIES[0]},A,{CANARIES[2]},{CANARIES[0]},{CANARIES[1]},ill,x"
    rows[2] += f",{CANARIES[0]}"
    source = clinic.save(rows, encoding="gbk")
    out = clinic.folder / "out"
    code, lines, stderr = ask({"source": str(source), "schema": clinic.schema, "out": str(out)})
    assert (code, stderr) == (0, "")
    assert [next(iter(line)) for line in lines[:-1]] == ["progress"] * (len(lines) - 1)
    assert {line["progress"]["step"] for line in lines[:-1]} <= {
        "checking",
        "reading",
        "counting",
        "writing",
    }
    result = lines[-1]["result"]
    assert result["n_train"] + result["n_test"] == 398
    assert Path(result["arrays"]) == out / "arrays.npz"
    told = json.dumps(lines, ensure_ascii=False)
    assert not [one for one in CANARIES if one in told]
    kept = (out / "arrays.npz").read_bytes()
    assert not [one for one in (CANARIES[0], CANARIES[2]) if one.encode() in kept]


@pytest.mark.slow
def test_pictures_are_read_within_the_bounds_of_the_process(gallery: Any) -> None:
    rows = gallery.rows()
    gallery.paint(gallery.picture(0, (2000, 3000, 3)), "眼底0.jpg", quality=60)
    rows[0] = rows[0].replace("png", "jpg")
    source = gallery.save(rows, header=gallery.header)
    out = gallery.folder / "out"
    code, lines, stderr = ask({"source": str(source), "schema": gallery.schema, "out": str(out)})
    assert (code, stderr) == (0, "")
    steps = {line["progress"]["step"] for line in lines[:-1]}
    assert {"images", "comparing"} <= steps
    assert lines[-1]["result"]["quality"]["images"]["fundus"]["read"] == 24
    assert "眼底" not in json.dumps(lines, ensure_ascii=False)


def test_an_error_is_told_in_both_languages_with_its_familys_exit_code(clinic: Any) -> None:
    request = {"source": str(clinic.folder / "gone.csv"), "schema": clinic.schema, "out": "/nope/x"}
    request["out"] = str(clinic.folder / "out")
    code, lines, stderr = ask(request)
    assert (code, stderr) == (3, "")
    error = lines[-1]["error"]
    assert error["code"] == "readers.no_file"
    assert "gone.csv" in error["en"]
    assert "不存在" in error["zh"]


def test_a_request_in_an_unknown_form_is_refused() -> None:
    for request in ("", "[]", "{}", {"source": "a", "out": "b", "schema": "", "colour": 1}):
        code, lines, stderr = ask(request)
        assert (code, stderr) == (2, "")
        assert lines[-1]["error"]["code"] in ("readers.bad_request", "readers.schema_missing_key")


def test_too_little_memory_is_told(clinic: Any) -> None:
    rows = clinic.rows(20_000)
    source = clinic.save(rows)
    request = {
        "source": str(source),
        "schema": clinic.schema,
        "out": str(clinic.folder / "out"),
        "memory_mb": 1,
    }
    code, lines, stderr = ask(request)
    assert (code, stderr) == (5, "")
    assert lines[-1]["error"]["code"] == "readers.no_room"
    assert list((clinic.folder / "out").iterdir()) == []
