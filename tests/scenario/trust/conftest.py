"""One recorded run serves all tests here that look at what is left of it."""

from __future__ import annotations

import pytest

from .scene import Remains, recorded_run


@pytest.fixture(scope="session")
def remains(tmp_path_factory: pytest.TempPathFactory) -> Remains:
    """Return homes and recordings of a run whose processes have all ended."""
    return recorded_run(tmp_path_factory.mktemp("trust"))
