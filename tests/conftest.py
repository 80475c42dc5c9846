"""What holds for every test: how skipped tests are told."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# What several folders of tests share (`extras`, `connect_proxy`) is imported by its name.
sys.path.insert(0, str(Path(__file__).parent / "support"))

# A busy machine is not a fault of the property that is tested.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line per reason how many tests were skipped, instead of one per place."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"{number} skipped: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run whole spaces after everything else: they take longest and depend on all of it."""
    items.sort(key=lambda item: item.get_closest_marker("scenario") is not None)
