"""How long the hub waits for hospitals and its engine, and how often it tries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the hub waits, in seconds, and how often it tries."""

    all_sites_s: float = 20.0
    """For every hospital that should take part to be connected before a segment."""
    quorum_s: float = 600.0
    """For a quorum of them to be connected before any segment."""
    start_s: float = 90.0
    """For a job's first event."""
    margin_s: float = 30.0
    """Beyond a round's deadline, before a silent job is given up."""
    ended_s: float = 2.0
    """After the engine says that a job has ended or is unknown, for its last files."""
    tries: int = 5
    """Attempts in a row that accept no further round."""
    rest_s: float = 0.5
    """After an attempt that failed; doubled after each fruitless one, ten seconds at most."""
    welcomes: int = 3
    """Times in a row that a segment ends early for a hospital that then takes no part."""
    look_s: float = 0.05
    """Between two looks into an attempt's folder."""
    ask_s: float = 0.5
    """Between two questions to the engine about its job; each costs hub and engine some work."""
