"""One recorded run serves all tests here that look at what is left of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .scene import Remains, recorded_run


@pytest.fixture(scope="session")
def remains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remains]:
    """Return homes and recordings of a run whose processes have all ended."""
    with recorded_run(tmp_path_factory.mktemp("trust")) as found:
        yield found
