"""Which whole spaces begin first.

Most of a scenario is waiting, so `make scenario` runs two files at a time: tests of
one file share a space. The longest begin first; then the two end together.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONGEST_FIRST = (
    "crashes/test_kills.py",
    "console/test_live.py",
    "flare/test_crashes.py",
    "flare/test_secure_sums.py",
    "console/test_no_code_path.py",
    "demo/test_demo.py",
    "secure/test_secure_space.py",
    "crashes/test_renewal.py",
    "trust/test_bytes.py",
    "trust/test_refusals.py",
    "demo/test_bad_inputs.py",
    "crashes/test_leaving.py",
    "flare/test_admission.py",
    "flare/test_study.py",
    "revocation/test_revocation.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files in order; what is no scenario stays before them."""
    items.sort(key=rank_of)


def rank_of(item: pytest.Item) -> int:
    """Return the place of a test's file; files that are not listed come last."""
    if not item.path.is_relative_to(HERE):
        return -1
    place = item.path.relative_to(HERE).as_posix()
    return LONGEST_FIRST.index(place) if place in LONGEST_FIRST else len(LONGEST_FIRST)
