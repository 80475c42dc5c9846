"""What an intake refuses: each with its own code, a remedy, and nothing half-done."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consilium.kernel.errors import ConsiliumError
from consilium.readers.intake import take_in
from consilium.readers.records import IntakeRequest

CANARY = "Zhang-Wei-19630412"

Damage = Callable[[Any], Path]


def missing_file(clinic: Any) -> Path:
    return Path(clinic.folder / "gone.csv")


def a_folder(clinic: Any) -> Path:
    return Path(clinic.folder)


def empty_file(clinic: Any) -> Path:
    return Path(clinic.save([], header="", name="empty.csv"))


def blank_file(clinic: Any) -> Path:
    return Path(clinic.save([" ", "\t"], header="\ufeff"))


def only_a_header(clinic: Any) -> Path:
    return Path(clinic.save([]))


def a_workbook(clinic: Any) -> Path:
    path = Path(clinic.folder / "export.csv")
    path.write_bytes(b"PK\x03\x04" + CANARY.encode())
    return path


def latin_text(clinic: Any) -> Path:
    rows = [*clinic.rows(), f"P1,A,30,x,1,ill,caf\u00e9,{CANARY}"]
    path = Path(clinic.folder / "export.csv")
    path.write_bytes("\n".join(rows).encode("latin-1", errors="replace"))
    return path


def zero_bytes(clinic: Any) -> Path:
    return Path(clinic.save([*clinic.rows(), f"P1,A,30,男,1,ill,{CANARY}\0"]))


def utf_16(clinic: Any) -> Path:
    return Path(clinic.save(clinic.rows(), encoding="utf-16"))


def no_header(clinic: Any) -> Path:
    return Path(clinic.save(clinic.rows(), header=f"P7,A,{CANARY},男,1,ill,n"))


def other_delimiter(clinic: Any) -> Path:
    rows = [row.replace(",", ";") for row in clinic.rows()]
    return Path(clinic.save(rows, header=clinic.header.replace(",", ";")))


def column_missing(clinic: Any) -> Path:
    return Path(clinic.save(clinic.rows(), header=clinic.header.replace("age", "alter")))


def column_doubled(clinic: Any) -> Path:
    return Path(clinic.save(clinic.rows(), header=clinic.header.replace("ward", "age")))


def label_missing(clinic: Any) -> Path:
    return Path(clinic.save(clinic.rows(), header=clinic.header.replace("outcome", "other")))


def words_for_numbers(clinic: Any) -> Path:
    rows = [row.replace(f",{30 + n},", f",{CANARY},") for n, row in enumerate(clinic.rows())]
    return Path(clinic.save(rows))


def foreign_categories(clinic: Any) -> Path:
    return Path(
        clinic.save([row.replace("男", CANARY).replace("女", "F") for row in clinic.rows()])
    )


def few_rows(clinic: Any) -> Path:
    return Path(clinic.save(clinic.rows(9)))


def ragged(clinic: Any) -> Path:
    return Path(clinic.save([row + f",{CANARY}" for row in clinic.rows()]))


def open_quote(clinic: Any) -> Path:
    rows = clinic.rows(2000)
    rows[1900] = f'P9,A,30,男,1,ill,"{CANARY}'
    return Path(clinic.save(rows))


def cut_parquet(clinic: Any) -> Path:
    path = Path(clinic.folder / "export.parquet")
    path.write_bytes(b"PAR1" + CANARY.encode() * 50)
    return path


def false_parquet(clinic: Any) -> Path:
    return Path(clinic.save(clinic.rows(), name="export.parquet"))


REFUSALS: dict[Damage, tuple[str, str]] = {
    missing_file: ("no_file", "gone.csv"),
    a_folder: ("unreadable_file", "directory"),
    empty_file: ("empty_file", "empty.csv"),
    blank_file: ("empty_file", "export.csv"),
    only_a_header: ("empty_file", "export.csv"),
    a_workbook: ("not_a_table", "XLSX"),
    latin_text: ("broken_encoding", "line 41"),
    zero_bytes: ("broken_encoding", "line 42"),
    utf_16: ("broken_encoding", "UTF-16"),
    no_header: ("header_mismatch", "0 of the 6"),
    other_delimiter: ("header_mismatch", "delimiter"),
    column_missing: ("wrong_columns", "missing: age. Not in the schema: alter"),
    column_doubled: ("doubled_column", "age"),
    label_missing: ("label_missing", "outcome"),
    words_for_numbers: ("wrong_types", r"age \(40\)"),
    foreign_categories: ("unknown_categories", r"性别 \(40\)"),
    few_rows: ("too_few_rows", "Only 9 complete"),
    ragged: ("broken_lines", "40 of 40"),
    open_quote: ("broken_quote", "line 1902"),
    cut_parquet: ("bad_parquet", "export.parquet"),
    false_parquet: ("bad_parquet", "export.parquet"),
}


@pytest.mark.parametrize("damage", REFUSALS, ids=lambda one: one.__name__)
def test_a_damaged_source_is_refused_in_one_sentence_without_a_value(
    damage: Damage, clinic: Any
) -> None:
    word, told = REFUSALS[damage]
    source = damage(clinic)
    with pytest.raises(ConsiliumError, match=told) as caught:
        clinic.take_in(source)
    error = caught.value
    assert error.code == f"readers.{word}"
    said = "".join(traceback.format_exception(error)) + error.text("zh") + error.detail
    assert CANARY not in said
    assert error.text("zh") != error.public
    out = clinic.folder / "out"
    assert not out.exists() or list(out.iterdir()) == []


def test_a_schema_without_a_header_refuses_a_file_that_has_one(clinic: Any) -> None:
    names = ", ".join(f'"{name}"' for name in clinic.header.split(","))
    schema = clinic.schema.replace("[source]", f"[source]\nheader = false\nnames = [{names}]")
    with pytest.raises(ConsiliumError) as caught:
        clinic.take_in(clinic.save(clinic.rows()), schema)
    assert caught.value.code == "readers.header_unexpected"
    more = [row + ",x" for row in clinic.rows()]
    with pytest.raises(ConsiliumError, match="8 columns, the schema names 7") as caught:
        clinic.take_in(clinic.save(more, header=""), schema)
    assert caught.value.code == "readers.column_count"


def test_a_named_encoding_that_does_not_fit_is_refused(clinic: Any) -> None:
    schema = clinic.schema.replace("[source]", '[source]\nencoding = "utf-8"')
    with pytest.raises(ConsiliumError, match="not in utf-8: line 1"):
        clinic.take_in(clinic.save(clinic.rows(), encoding="gbk"), schema)


def test_missing_values_can_refuse_the_whole_file(clinic: Any) -> None:
    rows = clinic.rows()
    rows[3] = rows[3].replace(",33,", ",?,")
    with pytest.raises(ConsiliumError, match=r"1 rows lack .*age \(1\)") as caught:
        clinic.take_in(clinic.save(rows), 'missing = "refuse"\n' + clinic.schema)
    assert caught.value.code == "readers.missing_refused"


def test_a_source_that_changes_while_it_is_read_is_refused(clinic: Any) -> None:
    source = clinic.save(clinic.rows())
    request = IntakeRequest(source=source, schema=clinic.schema, out=clinic.folder / "out")

    def touch(_step: str, _done: float) -> None:
        with source.open("a") as more:
            more.write("P99,A,30,男,1,ill,n\n")

    with pytest.raises(ConsiliumError) as caught:
        take_in(request, progress=touch)
    assert caught.value.code == "readers.source_changed"


def test_a_folder_that_cannot_be_made_is_told(clinic: Any) -> None:
    (clinic.folder / "out").write_text("a file stands here")
    with pytest.raises(ConsiliumError) as caught:
        clinic.take_in(clinic.save(clinic.rows()))
    assert caught.value.code == "readers.no_room"


def test_a_full_disk_is_told_and_leaves_nothing(clinic: Any) -> None:
    source = clinic.save(clinic.rows())
    request = IntakeRequest(source=source, schema=clinic.schema, out=clinic.folder / "out")

    def fail(step: str, _done: float) -> None:
        if step == "writing":
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ConsiliumError) as caught:
        take_in(request, progress=fail)
    assert caught.value.code == "readers.no_room"
    assert list((clinic.folder / "out").iterdir()) == []
