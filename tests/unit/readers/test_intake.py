"""Intake: what a steward's file becomes, and what its report says of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from consilium.kernel.canonical import digest_of
from consilium.readers.records import IntakeResult

pytestmark = pytest.mark.slow


def words(result: IntakeResult) -> list[str]:
    return [one["code"].removeprefix("readers.warn_") for one in result.quality["warnings"]]


def sentence(result: IntakeResult, word: str) -> str:
    found = [w["en"] for w in result.quality["warnings"] if w["code"] == f"readers.warn_{word}"]
    return str(found[0])


def test_a_clean_export_becomes_one_array_file_and_no_warning(clinic: Any) -> None:
    source = clinic.save(clinic.rows())
    result = clinic.take_in(source)
    found = clinic.arrays(result)
    assert {name: (one.shape, one.dtype.str) for name, one in found.items()} == {
        "x": ((40, 3), "<f8"),
        "y": ((40,), "<f8"),
        "group": ((40,), "<i8"),
        "part": ((40,), "|i1"),
    }
    assert found["x"][:3].tolist() == [[30, 1, 0], [31, 0, 1], [32, 0, 2]]
    assert found["y"][:4].tolist() == [1, 1, 0, 0]
    assert found["group"][:4].tolist() == [0, 0, 1, 1]
    assert words(result) == []
    assert result.n_patients == 20
    assert (result.n_train, result.n_test) == (26, 14)
    assert result.fingerprint == digest_of(source.read_bytes())
    assert result.arrays_digest == digest_of(result.arrays.read_bytes())
    assert os.listdir(result.arrays.parent) == ["arrays.npz"]
    assert result.arrays.stat().st_mode & 0o777 == 0o600


def test_the_same_source_and_schema_give_the_same_bytes(clinic: Any) -> None:
    source = clinic.save(clinic.rows())
    first, again = clinic.take_in(source), clinic.take_in(source)
    assert first.arrays_digest == again.arrays_digest
    assert first.as_record() == again.as_record()
    assert IntakeResult.from_record(first.as_record()) == first


def test_gaps_stay_where_the_schema_keeps_them(clinic: Any) -> None:
    rows = clinic.rows(60)
    rows[0] = "P0,A,,女,1,ill,n"
    rows[3] = "P1,A,34,,2,well,n"
    rows[5] = "P2,A,35,女,1,,n"  # no label: left out all the same
    result = clinic.take_in(clinic.save(rows), 'missing = "keep"\n' + clinic.schema)
    x = clinic.arrays(result)["x"]
    assert x.shape == (59, 3)
    assert np.argwhere(np.isnan(x)).tolist() == [[0, 0], [3, 1]]
    assert result.quality["rows"]["dropped"]["missing_value"] == 0
    assert "missing" in words(result)
    assert "constant" not in words(result)


def test_the_report_counts_every_kind_of_bad_cell(clinic: Any) -> None:
    rows = clinic.rows(60)
    rows[0] = "P0,A,,女,1,ill,n"  # an empty cell
    rows[1] = "P0,A,-9.0,男,2,ill,n"  # a mark of a missing value, written as a decimal
    rows[2] = "P1,A,old,男,3,well,n"  # not a number
    rows[3] = "P1,A,1_0,女,1,well,n"  # not a number either
    rows[4] = "P2,A,250,男,2,ill,n"  # out of range, kept
    rows[5] = "P2,A,35,X,3,ill,n"  # not a category
    rows[6] = "P3,A,36,女,1,?,n"  # no label
    rows[7] = ",A,37,男,2,well,n"  # no patient
    rows[8] = "P4,A,nan,男,3.0,ill,"  # NaN, and a decimal category
    rows[9] = rows[10]  # a doubled row
    result = clinic.take_in(clinic.save(rows))
    report = result.quality
    assert report["rows"] == {
        "read": 60,
        "complete": 52,
        "dropped": {"broken_line": 0, "no_label": 1, "no_patient": 1, "missing_value": 6},
    }
    fine = {"missing": 0, "unparseable": 0, "out_of_range": 0, "unknown_category": 0}
    assert report["fields"] == {
        "age": {"kind": "number", **fine, "missing": 3, "unparseable": 2, "out_of_range": 1},
        "sex": {"kind": "category", **fine, "unknown_category": 1},
        "grade": {"kind": "category", **fine},
        "outcome": {"kind": "category", **fine, "missing": 1},
        "note": {"kind": "text", **fine, "missing": 1},
    }
    assert report["duplicates"]["rows"] == 1
    assert words(result) == [
        "rows_dropped",
        "missing",
        "unparseable",
        "unknown_category",
        "out_of_range",
        "duplicate_rows",
    ]
    assert "age (3), outcome (1), note (1)" in sentence(result, "missing")
    assert 250 in clinic.arrays(result)["x"][:, 0]


def test_numbers_outside_the_range_can_be_told_to_count_as_missing(clinic: Any) -> None:
    rows = clinic.rows()
    rows[3] = rows[3].replace(",33,", ",300,")
    schema = clinic.schema.replace("range = [0, 120]", 'range = [0, 120]\noutside = "missing"')
    result = clinic.take_in(clinic.save(rows), schema)
    assert result.quality["fields"]["age"]["out_of_range"] == 1
    assert result.quality["rows"]["dropped"]["missing_value"] == 1


def test_classes_and_patients_are_counted_by_side(clinic: Any) -> None:
    result = clinic.take_in(clinic.save(clinic.rows()))
    report = result.quality
    assert report["patients"] == 20
    assert report["duplicates"]["patients_with_several_rows"] == 20
    assert report["duplicates"]["rows_of_these_patients"] == 40
    found = clinic.arrays(result)
    for side, name in enumerate(("train", "held_out")):
        labels = found["y"][found["part"] == side]
        counts = {"negative": int((labels == 0).sum()), "positive": int(labels.sum())}
        assert report["classes"][name] == counts
    assert report["classes"]["positive"] == "ill"
    assert report["split"] == {"by": "patient", "stratified": True}


def test_a_site_with_one_class_takes_part_with_a_warning(clinic: Any) -> None:
    rows = [row.replace(",well,", ",ill,") for row in clinic.rows()]
    result = clinic.take_in(clinic.save(rows))
    assert words(result) == ["one_class"]
    assert result.quality["split"]["stratified"] is False


def test_unexpected_and_constant_columns_are_drift(clinic: Any) -> None:
    rows = [row.replace(f",{30 + n},", ",50,", 1) + ",x" for n, row in enumerate(clinic.rows())]
    rows = [row.replace("P", "P", 1).replace(",A,", ",", 1) for row in rows]
    source = clinic.save(rows, header=clinic.header.replace("ward,", "") + ",extra")
    result = clinic.take_in(source)
    assert result.quality["drift"] == {
        "unexpected_columns": ["extra"],
        "absent_columns": ["ward"],
        "constant": ["age"],
        "mostly_outside": [],
    }
    assert words(result) == ["unexpected_columns", "constant"]


@pytest.mark.parametrize("encoding", ["gbk", "gb18030"])
def test_a_chinese_file_is_recognised_and_says_so(clinic: Any, encoding: str) -> None:
    plain = clinic.take_in(clinic.save(clinic.rows()))
    digest = plain.arrays_digest
    source = clinic.save(clinic.rows(), encoding=encoding)
    result = clinic.take_in(source)
    assert words(result) == ["encoding_guessed"]
    assert result.arrays_digest == digest
    assert result.fingerprint == digest_of(source.read_bytes())


def test_a_named_encoding_is_no_guess(clinic: Any) -> None:
    schema = clinic.schema.replace("[source]", '[source]\nencoding = "gbk"')
    result = clinic.take_in(clinic.save(clinic.rows(), encoding="gbk"), schema)
    assert words(result) == []
    assert result.quality["source"]["encoding"] == "gbk"


@pytest.mark.parametrize(
    ("encoding", "end"),
    [("utf-8-sig", "\n"), ("utf-8", "\r\n"), ("utf-8", "\r"), ("utf-8", "\n\n")],
)
def test_marks_and_line_ends_of_other_systems_do_not_matter(
    clinic: Any, encoding: str, end: str
) -> None:
    plain = clinic.take_in(clinic.save(clinic.rows())).arrays_digest
    source = clinic.save(clinic.rows(), encoding=encoding, end=end)
    assert clinic.take_in(source).arrays_digest == plain


def test_a_file_without_a_header_and_with_a_mark_keeps_its_first_row(clinic: Any) -> None:
    names = ", ".join(f'"{name}"' for name in clinic.header.split(","))
    schema = clinic.schema.replace("[source]", f"[source]\nheader = false\nnames = [{names}]")
    source = clinic.save(clinic.rows(), header="", encoding="utf-8-sig")
    result = clinic.take_in(source, schema)
    assert result.quality["rows"]["read"] == 40
    assert clinic.arrays(result)["x"][0].tolist() == [30, 1, 0]


def test_tabs_and_quoted_delimiters_are_read(clinic: Any) -> None:
    rows = [row.replace(",", "\t").replace("note ", '"a\tb ') + '"' for row in clinic.rows()]
    schema = clinic.schema.replace("[source]", '[source]\ndelimiter = "\\t"')
    source = clinic.save(rows, header=clinic.header.replace(",", "\t"))
    assert clinic.take_in(source, schema).quality["rows"]["complete"] == 40


def test_blanks_around_cells_do_not_matter(clinic: Any) -> None:
    plain = clinic.take_in(clinic.save(clinic.rows())).arrays_digest
    rows = [row.replace(",", " ,\t").replace("男", "\u3000男 ") for row in clinic.rows()]
    source = clinic.save(rows, header=clinic.header.replace(",", " , "))
    assert clinic.take_in(source).arrays_digest == plain


def test_a_few_broken_lines_are_left_out_with_a_warning(clinic: Any) -> None:
    rows = clinic.rows(400)
    rows[7] += ",one too many"
    rows[9] = "P9,A"
    rows[11] = "P9,A,30"
    result = clinic.take_in(clinic.save(rows))
    assert words(result)[:2] == ["broken_lines", "rows_dropped"]
    assert result.quality["rows"]["dropped"]["broken_line"] == 3
    assert result.quality["rows"]["complete"] == 397
    assert result.quality["duplicates"]["rows"] == 0


def test_parquet_gives_what_csv_gives(clinic: Any) -> None:
    source = clinic.save(clinic.rows())
    plain = clinic.take_in(source)
    digest = plain.arrays_digest
    target = clinic.folder / "export.parquet"
    query = f"""COPY (SELECT id, ward, CAST(age AS DOUBLE) AS age, "性别", CAST(grade AS DOUBLE)
                AS grade, outcome, note FROM read_csv('{source}', all_varchar=true))
                TO '{target}' (FORMAT parquet)"""
    duckdb.connect().execute(query)
    result = clinic.take_in(target)
    assert result.arrays_digest == digest
    assert words(result) == []
    assert result.quality["source"]["kind"] == "parquet"


def test_nan_in_parquet_is_missing(clinic: Any) -> None:
    target = clinic.folder / "export.parquet"
    query = f"""COPY (SELECT 'P' || i AS id, '' AS ward, CASE WHEN i < 3 THEN 'nan'::DOUBLE
                WHEN i < 5 THEN NULL ELSE i END AS age, '男' AS "性别",
                CASE WHEN i = 9 THEN 'nan'::DOUBLE ELSE 1 END AS grade,
                CASE WHEN i % 2 = 0 THEN 'ill' ELSE 'well' END AS outcome, 'n' AS note
                FROM range(40) t(i)) TO '{target}' (FORMAT parquet)"""
    duckdb.connect().execute(query)
    result = clinic.take_in(target)
    assert result.quality["fields"]["age"]["missing"] == 5
    assert result.quality["fields"]["grade"]["missing"] == 1
    assert not np.isnan(clinic.arrays(result)["x"]).any()


def test_a_file_name_is_a_name_and_no_pattern(clinic: Any) -> None:
    (clinic.folder / "x1.csv").write_text("not,this\n1,2\n")
    source = clinic.save(clinic.rows(), name="x*'[1]?.csv")
    assert clinic.take_in(source).quality["rows"]["read"] == 40


def test_a_wide_table_is_read_in_several_turns(clinic: Any) -> None:
    width = 130
    generator = np.random.default_rng(1)
    x = generator.normal(size=(50, width)).round(3)
    fields = "".join(f'[[fields]]\nname = "g{n}"\nkind = "number"\n' for n in range(width))
    schema = '[label]\nfield = "y"\nrule = "== 1"\n' + fields
    schema += '[[fields]]\nname = "y"\nkind = "number"\n'
    header = ",".join([*(f"g{n}" for n in range(width)), "y"])
    rows = [",".join([*map(repr, row.tolist()), str(n % 2)]) for n, row in enumerate(x)]
    rows[4] = rows[4].replace(repr(float(x[4, 100])), "", 1)
    result = clinic.take_in(clinic.save(rows, header=header), schema)
    found = clinic.arrays(result)
    assert result.quality["rows"]["complete"] == 49
    assert np.array_equal(found["x"], np.delete(x, 4, axis=0))
    assert found["y"].tolist() == [n % 2 for n in range(50) if n != 4]


def test_broken_lines_are_the_same_in_every_turn_of_a_wide_table(clinic: Any) -> None:
    width = 90
    fields = "".join(f'[[fields]]\nname = "g{n}"\nkind = "number"\n' for n in range(width))
    schema = '[label]\nfield = "g0"\nrule = "> 5"\n' + fields
    rows = [",".join(str(row) for _ in range(width)) for row in range(600)]
    rows[10] = ",".join(["10"] * 41)
    rows[20] += ",21"
    rows[30] = "30"
    rows[40] = ",".join(["40"] * 89)
    header = ",".join(f"g{n}" for n in range(width))
    result = clinic.take_in(clinic.save(rows, header=header), schema)
    x = clinic.arrays(result)["x"]
    assert result.quality["rows"]["dropped"]["broken_line"] == 4
    assert np.array_equal(x, np.repeat(x[:, :1], width - 1, axis=1))


def test_many_rows_keep_their_order_within_little_memory(clinic: Any) -> None:
    n = 60_000
    rows = [
        f"P{row % 9000},A,{row % 120},男,{row % 3 + 1},{'ill' if row % 5 else 'well'},t{row}"
        for row in range(n)
    ]
    result = clinic.take_in(clinic.save(rows), memory_mb=64)
    found = clinic.arrays(result)
    assert np.array_equal(found["x"][:, 0], np.arange(n) % 120)
    assert np.array_equal(found["group"], np.arange(n) % 9000)
    assert result.n_patients == 9000
    side = found["part"][:9000]
    assert np.array_equal(found["part"], side[found["group"]])


def test_the_source_is_never_changed(clinic: Any) -> None:
    source = clinic.save(clinic.rows(), encoding="gbk")
    before = source.read_bytes(), source.stat().st_mtime_ns
    clinic.take_in(source)
    assert (source.read_bytes(), source.stat().st_mtime_ns) == before


def test_what_a_killed_intake_left_is_cleared_away(clinic: Any) -> None:
    left = clinic.folder / "out" / "intake-old"
    left.mkdir(parents=True)
    (left / "staged.db").write_bytes(b"x")
    result = clinic.take_in(clinic.save(clinic.rows()))
    assert os.listdir(result.arrays.parent) == ["arrays.npz"]


def test_a_relative_path_is_found(clinic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = clinic.save(clinic.rows())
    monkeypatch.chdir(clinic.folder)
    assert clinic.take_in(Path(source.name)).n_train == 26
