"""Every link leads somewhere, and both front pages lead to the same places."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import ERRORS, PAGES, PROSE, READMES, ROOT, anchors, links, named


def broken(page: Path) -> list[str]:
    """List the links of a page that lead nowhere; what lies outside the project is not asked."""
    found = []
    for link in links(page):
        place, _, anchor = link.partition("#")
        if "://" in place or place.startswith("mailto:"):
            continue
        target = (page.parent / place).resolve() if place else page
        there = target.exists() and target.is_relative_to(ROOT)
        if not there or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PROSE, ids=named)
def test_the_links_of_a_page_resolve(page: Path) -> None:
    assert broken(page) == []


def test_the_links_of_the_errors_pages_resolve() -> None:
    found = {named(page): broken(page) for page in ERRORS}
    assert {page: links for page, links in found.items() if links} == {}


def test_both_front_pages_have_the_same_links() -> None:
    english, chinese = ({*links(page)} for page in READMES)
    assert english - {READMES[1].name} == chinese - {READMES[0].name}
    assert READMES[1].name in english
    assert READMES[0].name in chinese


def test_every_page_is_reached_from_the_front_page() -> None:
    reached, left = set(), [READMES[0]]
    while left:
        page = left.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            left += [target] if target.is_file() else sorted(target.glob("*.md"))
    assert [named(page) for page in PAGES if page not in reached] == []
