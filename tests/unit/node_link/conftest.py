from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from list_bench import ListBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ListBench]:
    found = ListBench(tmp_path)
    yield found
    found.database.close()
