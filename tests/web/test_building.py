"""When the bundle is built: only if it must be, never against the person's word."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from sources import ROOT
from tests.support.extras import need


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    need("hatchling")
    monkeypatch.delenv("CONSILIUM_NO_BUNDLE", raising=False)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, hook: ModuleType) -> Path:
    """A checkout whose bundle was made of its sources."""
    (tmp_path / "web" / "node_modules").mkdir(parents=True)
    (tmp_path / "web" / "package.json").write_text("{}")
    (tmp_path / hook.BUNDLE).mkdir(parents=True)
    (tmp_path / hook.BUNDLE / "sources.sha256").write_text(hook.digest(tmp_path))
    return tmp_path


def test_an_unchanged_source_is_not_built_again(hook: ModuleType, checkout: Path) -> None:
    assert not hook.must_build(checkout)


def test_what_npm_installs_is_no_source(hook: ModuleType, checkout: Path) -> None:
    (checkout / "web" / "node_modules" / "anything.js").write_text("1")
    assert not hook.must_build(checkout)


def test_a_changed_source_is_built(hook: ModuleType, checkout: Path) -> None:
    (checkout / "web" / "package.json").write_text('{"private": true}')
    assert hook.must_build(checkout)


def test_a_missing_bundle_is_built(hook: ModuleType, checkout: Path) -> None:
    (checkout / hook.BUNDLE / "sources.sha256").unlink()
    assert hook.must_build(checkout)


def test_the_switch_leaves_the_bundle_out(
    hook: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / hook.BUNDLE / "sources.sha256").unlink()
    monkeypatch.setenv("CONSILIUM_NO_BUNDLE", "1")
    assert not hook.must_build(checkout)


def test_without_the_sources_there_is_nothing_to_build(hook: ModuleType, tmp_path: Path) -> None:
    assert not hook.must_build(tmp_path)
