"""Counts as bands: how many, as far as a catalogue lets it be known."""

from __future__ import annotations

from bisect import bisect_right

EDGES = (10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000)


def band_of(count: int | None) -> str:
    """Name the band of a count; empty where it is not shown or below the first edge."""
    if count is None or count < EDGES[0]:
        return ""
    place = bisect_right(EDGES, count)
    if place == len(EDGES):
        return f"≥{EDGES[-1]}"
    return f"{EDGES[place - 1]}–{EDGES[place] - 1}"
