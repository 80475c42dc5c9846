"""What the benchmarks read from others' output, and their arithmetic."""

from __future__ import annotations

import math
import socket
import threading
from pathlib import Path

import pytest
from benchmarks.commands import Done, FailedError, pytest_counts, python, run
from benchmarks.comparison import Comparison, Row
from benchmarks.events import end_of_last_round, read_rounds
from benchmarks.footprint import role_of
from benchmarks.fresh import disk_mb
from benchmarks.measuring import median, overheads, ratio, spread
from benchmarks.science import TWO_CLASSES, parse_table, summarise_demos, table_text
from benchmarks.wiretap import Wiretap

SCIENCE = """\
....
UCI Heart Disease, FLamby's protocol, seeds 42 to 46.
accuracy by site (cleveland hungary switzerland va), mean; AUROC ...; Brier; slope
FedAvg, lr 1e-3; published raw accuracy .685 (sd .025)
  federated     0.683 0.697 0.750 0.644  0.693 | 0.805 0.815 0.666  0.762 | 0.205 | 1.28
  majority      0.538 0.629 0.938 0.778  0.721 | 0.500 0.500 0.500  0.500 | 0.179 |   -
  chosen at seed 42: local recalibrated recalibrated recalibrated
FedAdam, lr 1e-2; published raw accuracy .726 (sd .012)
  recalibrated  0.779 0.787 0.938 0.756  0.815 | 0.849 0.861 0.706  0.806 | 0.130 | 0.63

9 passed in 29.67s
"""

EVENTS = [
    {"kind": "round_started", "facts": {"round": 1, "time": "2026-11-23T14:00:00.000000Z"}},
    {
        "kind": "round_closed",
        "facts": {"round": 1, "time": "2026-11-23T14:00:01.500000Z", "work_s": {"a": 0.2, "b": 1}},
    },
    {"kind": "round_started", "facts": {"round": 2, "time": "2026-11-23T14:00:02.000000Z"}},
    {
        "kind": "round_closed",
        "facts": {"round": 2, "time": "2026-11-23T14:00:02.400000Z", "work_s": {"a": 0.1}},
    },
]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("....\n9 passed in 29.67s\n", {"passed": 9}),
        ("1 failed, 8 passed, 2 skipped in 3.2s", {"failed": 1, "passed": 8, "skipped": 2}),
        ("=== 3 passed, 1 error in 0.1s ===", {"passed": 3, "error": 1}),
        ("=== 2 errors in 0.1s ===", {"error": 2}),
        ("All checks passed!", {}),
    ],
)
def test_the_counts_of_a_test_run_are_read(text: str, counts: dict[str, int]) -> None:
    assert pytest_counts(text) == counts


def test_the_table_of_the_science_tests_is_read() -> None:
    printed = table_text(SCIENCE)
    table = parse_table(printed)
    assert printed.startswith("UCI")
    assert printed.endswith("0.63")
    assert table["FedAvg, lr 1e-3"]["federated"].accuracy == 0.693
    assert table["FedAvg, lr 1e-3"]["majority"].auroc == 0.5
    assert table["FedAdam, lr 1e-2"]["recalibrated"].auroc == 0.806
    assert table["FedAdam, lr 1e-2"]["recalibrated"].brier == 0.13


def test_output_without_a_table_is_refused() -> None:
    with pytest.raises(FailedError):
        table_text("9 skipped in 1s")
    with pytest.raises(FailedError):
        parse_table("UCI Heart Disease")


def test_demos_are_summarised_over_seeds_and_the_sites_with_both_classes() -> None:
    def record(value: float) -> dict[str, object]:
        sites = [
            {"id": f"did:web:heart:{name}", "auroc": {"federated": value, "recalibrated": value}}
            for name in (*TWO_CLASSES, "switzerland")
        ]
        sites[-1]["auroc"] = {"federated": None, "recalibrated": None}
        both = {"federated": value, "recalibrated": value}
        return {"evidence": {"verified": True}, "mean": {"accuracy": both}, "sites": sites}

    found = summarise_demos([record(0.6), record(0.8)])
    assert found["recalibrated accuracy"] == pytest.approx(0.7)
    assert found["federated auroc"] == pytest.approx(0.7)


def test_rounds_are_read_from_a_studys_events() -> None:
    starts, end, work = read_rounds(EVENTS)
    assert end == end_of_last_round(EVENTS)
    assert starts[2] - starts[1] == 2.0
    assert work == {1: [0.2, 1.0], 2: [0.1]}
    assert overheads(starts, end, work) == pytest.approx([1.0, 0.3])


def test_a_round_that_was_all_work_has_no_overhead_below_zero() -> None:
    assert overheads({0: 10.0, 1: 11.0}, 11.5, {0: [1.2], 1: [0.5]}) == [0.0, 0.0]


def test_figures_of_nothing_are_not_numbers() -> None:
    assert math.isnan(median([]))
    assert math.isnan(ratio(1.0, 0.0))
    assert spread([1.0, 3.0, 2.0]) == "median 2.00 s, worst 3.00 s (n = 3)"


def test_a_comparison_is_read_back_as_it_was_written() -> None:
    row = Row(what="wall, command to result", unit="s", plain=30.0, ours=6.0)
    found = Comparison(title="t", rows=(row,), apart=1e-12)
    assert Comparison.from_record(found.as_record()) == found
    assert found.find("wall, command to result").ratio == 0.2
    assert "the same model" in found.render()
    assert "NOT" in Comparison(title="t", rows=(), apart=0.1).render()


def test_a_folder_weighs_what_its_files_take_and_each_hard_link_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(range(256)) * 4096)
    once = disk_mb(tmp_path)
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert disk_mb(tmp_path) == once
    assert once >= 1.0


def test_processes_are_named_by_their_command_line() -> None:
    assert role_of("python -m consilium.federation.flare.client_main kit") == "engine client"
    assert role_of("python -m consilium node serve home") == "node"
    assert role_of("sleep 1") == "other"


def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(FailedError, match="last words"):
        run(python("-c", "import sys; print('last words'); sys.exit(3)"))


def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(FailedError, match="not over"):
        run(python("-c", "import time; time.sleep(60)"), timeout_s=0.5)


def test_the_last_line_of_a_command_is_read_as_json() -> None:
    assert Done(status=0, text='words\n{"a": 1}\n\n', seconds=0.1).last_json() == {"a": 1}
    with pytest.raises(FailedError):
        Done(status=0, text="words", seconds=0.1).last_json()


def test_the_wiretap_passes_everything_on_and_counts_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answerer = threading.Thread(target=_answer_once, args=(server,))
        answerer.start()
        with Wiretap(server.getsockname()[1]) as tap:
            with socket.create_connection(("127.0.0.1", tap.port), timeout=5) as near:
                near.sendall(b"12345")
                near.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: near.recv(64), b""))
            answerer.join(timeout=5)
            assert answer == b"12345!!!"
            assert (tap.up, tap.down, tap.total) == (5, 8, 13)


def _answer_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        said = b"".join(iter(lambda: connection.recv(64), b""))
        connection.sendall(said + b"!!!")
