"""The benchmark of secure sums, made small."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.secure_sums import ERROR_BAR, measure


def test_a_sum_of_ten_thousand_parameters_keeps_the_bars() -> None:
    found = measure(4, 10_000)
    assert found.holds
    assert (found.lost, found.bits) == (1, 32)
    assert 40_000 < found.up_bytes < 80_000
    assert found.site_cpu_ms > 0


def test_the_bars_are_judged() -> None:
    found = measure(4, 10_000)
    assert not replace(found, error=2 * ERROR_BAR).holds
    assert not replace(found, up_ratio=2.01).holds
    assert not replace(found, traffic_ratio=2.01).holds
    assert replace(found, traffic_ratio=2.01, size=1_000).holds
