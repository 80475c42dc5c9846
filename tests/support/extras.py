<<<<<<< HEAD
"""Tests of extras: skipped where the extra is not installed, a failure in CI."""
=======
"""Optional packages in tests: skipped with a reason at a newcomer's, demanded where CI runs."""
>>>>>>> main

from __future__ import annotations

import importlib
import os
<<<<<<< HEAD
from types import ModuleType

import pytest


def need(name: str) -> ModuleType:
    """Return a module that only an extra brings; without it skip, or fail in CI."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if os.environ.get("CONSILIUM_CI"):
            pytest.fail(f"{name} is not installed, and CI must have it")
        pytest.skip(f"needs {name}", allow_module_level=True)
=======
from typing import Any

import pytest

EXTRA_OF = {
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
>>>>>>> main
