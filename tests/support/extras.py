"""Tests of extras: skipped where the extra is not installed, a failure in CI."""

from __future__ import annotations

import importlib
import os
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
