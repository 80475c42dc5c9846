"""The built bundle: small enough, and without anything that the content policy forbids."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest
from sources import BUNDLE

MOST_BYTES = 200_000
_IMPORT = re.compile(r'(?:^|[;}])import(?:[^;()"]*?from)?"(\./[^"]+)"')
_BEGIN = re.compile(r'(?:src|href)="/(assets/[^"]+)"')


@pytest.fixture(scope="module")
def bundle() -> Path:
    if not (BUNDLE / "index.html").exists():
        reason = "no bundle is built (make web)"
        if os.environ.get("CONSILIUM_CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return BUNDLE


def first_files(bundle: Path) -> set[Path]:
    """List what a browser loads before the first screen, but for the words."""
    page = (bundle / "index.html").read_text(encoding="utf-8")
    waiting, found = {bundle / name for name in _BEGIN.findall(page)}, set()
    while waiting:
        path = waiting.pop()
        found.add(path)
        if path.suffix == ".js":
            named = _IMPORT.findall(path.read_text(encoding="utf-8"))
            waiting |= {(path.parent / name).resolve() for name in named} - found
    return found


def weight(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), compresslevel=9))


def test_what_is_loaded_first_weighs_at_most_200_kb(bundle: Path) -> None:
    words = max(
        weight(path) for path in bundle.glob("assets/*.js") if path.name[:3] in {"zh-", "en-"}
    )
    parts = {path.name: weight(path) for path in first_files(bundle)}
    assert sum(parts.values()) + words <= MOST_BYTES, parts


def test_the_page_has_no_inline_script_or_style(bundle: Path) -> None:
    page = (bundle / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", page) == []


def test_nothing_is_loaded_from_elsewhere(bundle: Path) -> None:
    page = (bundle / "index.html").read_text(encoding="utf-8")
    styles = "".join(path.read_text(encoding="utf-8") for path in bundle.glob("assets/*.css"))
    assert re.findall(r'(?:src|href)="(?!/)[^"]*"', page) == []
    assert re.findall(r"url\((?!/assets/)[^)]*\)|@import", styles) == []
