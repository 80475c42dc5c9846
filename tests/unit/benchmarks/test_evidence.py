"""The benchmark of the evidence log, small: the same functions with smaller numbers."""

from pathlib import Path

from benchmarks.evidence import measure_log, measure_writing
from benchmarks.mutations import LOG_CHANGES, Bench, Tally, try_mutations


def test_every_mutation_is_found_and_the_first_bad_entry_named(tmp_path: Path) -> None:
    tally = try_mutations(tmp_path, count=40, entries=40, seed=11)
    assert tally.found == tally.tried
    assert tally.named == tally.tried


def test_each_kind_of_mutation_is_found(tmp_path: Path) -> None:
    bench, tally = Bench(tmp_path, entries=40), Tally()
    for change in LOG_CHANGES:
        bench.try_log(tally, change)
    assert len(tally.tried) == len(LOG_CHANGES)
    assert tally.found == tally.tried


def test_writers_and_a_long_log_are_measured(tmp_path: Path) -> None:
    told = measure_writing(f"sqlite:///{tmp_path / 'node.db'}", writers=8, entries=240)
    assert told["entries_per_s"] > 0
    assert told["commits"] < 240
    long = measure_log(tmp_path, entries=2_000, proving_s=0.1)
    assert long["entries"] == 2_002
    assert long["checkpoint_s"] < 1
    assert long["proofs_per_s"] > 0
