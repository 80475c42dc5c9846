"""Every screen, in both languages: accessible, nothing cut off, no word missing.

`CONSILIUM_TEST_PICTURES=docs/console` keeps a picture of each (docs/console/README.md).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from clicking import Person, person
from looking import find_faults, find_violations
from tests.support.extras import need

from conftest import OpenSpace, open_space
from consilium.space.home import node_home
from consilium.space.run import run_studies
from consilium.space.wire import Wire

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
LEAD = "north"
WIDE, LARGE = (1920, 1080), (640, 400)
"""Beside 1280 × 800: a large screen, and the usual one at 200 %."""
PICTURES = os.environ.get("CONSILIUM_TEST_PICTURES", "")
READY = "() => !document.querySelector('.loading')"
GIVEN = (
    "North University",
    "Telling malignant",
    "Breast fine-needle",
    "consilium ",
    "published",
    "UCI",
)
"""What people wrote themselves, and what machines read: the same in both languages."""


@dataclass(frozen=True)
class Sight:
    """One screen: its address, who looks at it, and what its picture is called."""

    route: str
    role: str
    name: str
    path: str


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSpace]:
    """A space where one study has been completed."""
    with open_space(tmp_path_factory.mktemp("s")) as opened:
        run_studies(opened.whole.running)
        yield opened


@pytest.fixture(scope="module")
def sights(finished: OpenSpace) -> list[Sight]:
    """Name every screen of the table, with something real in it."""
    with Wire(node_home(finished.whole.home, LEAD)) as wire:
        study = wire.get("/studies")["items"][0]["id"]
        agreement = wire.get("/agreements")["items"][0]["id"]
        model = wire.get("/models")["items"][0]["digest"]
    table = {
        "research-lead": {
            "/": "home", "/approvals": "releases", "/catalogue": "catalogue",
            "/contracts": "contracts", "/contracts/:agreement": "contract",
            "/studies": "studies", "/studies/new": "new-study", "/studies/:study": "run",
            "/studies/:study/compare": "compare", "/models": "models", "/models/:digest": "model",
            "/nodes": "nodes", "/screen": "big-screen", "/account": "account", "/help": "help",
        },
        "steward": {
            "/queue": "queue", "/sources": "sources", "/sources/connect": "connect",
            "/datasets/:dataset": "dataset", "/evidence": "evidence", "/settings": "settings",
        },
        "administrator": {"/persons": "persons"},
    }  # fmt: skip
    real = {":study": study, ":agreement": agreement, ":digest": model, ":dataset": "breast"}
    return [
        Sight(route, role, name, _filled(route, real))
        for role, routes in table.items()
        for route, name in routes.items()
    ]


def _filled(route: str, real: dict[str, str]) -> str:
    for hole, value in real.items():
        route = route.replace(hole, quote(value, safe=""))
    return route


def test_every_screen_of_the_table_is_looked_at(sights: list[Sight]) -> None:
    table = (ROOT / "web" / "src" / "routes.tsx").read_text(encoding="utf-8")
    routes = set(re.findall(r'path: "([^"]+)"', table))
    # An item of the queue is the queue with one of its items open.
    assert routes - {"/queue/:item"} == {one.route for one in sights}


@pytest.mark.parametrize(
    ("language", "look"), [("zh", "light"), ("en", "light"), ("zh", "dark"), ("en", "dark")]
)
def test_every_screen_is_accessible_and_whole(
    finished: OpenSpace, browser: Any, sights: list[Sight], language: str, look: str
) -> None:
    flaws = []
    for role in dict.fromkeys(one.role for one in sights):
        login = finished.login(LEAD, role)
        address = finished.address(LEAD)
        with person(browser, address, language=language, look=look, **login) as somebody:
            for sight in (one for one in sights if one.role == role):
                flaws += look_at(somebody, sight, look)
    assert flaws == []


def test_signing_in_is_accessible_and_whole(finished: OpenSpace, browser: Any) -> None:
    door = Sight("/", "", "sign-in", "/")
    for language in ("zh", "en"):
        with person(browser, finished.address(LEAD), language=language) as somebody:
            somebody.go()
            if language == "en":
                somebody.click("English")
            assert look_at(somebody, door, "light") == []


def look_at(somebody: Person, sight: Sight, look: str) -> list[str]:
    """Open a screen at three sizes; return what is wrong with it."""
    page = somebody.page
    if sight.role:
        somebody.go(sight.path)
    page.get_by_role("heading").first.wait_for()
    page.wait_for_function(READY)
    page.wait_for_timeout(300)
    found = [f"{one['rule']}: {one['where']}" for one in find_violations(page)]
    found += find_faults(page, somebody.language, names=GIVEN)
    if look == "light":
        keep(page, f"{sight.name}-{somebody.language}")
        for size, name in ((WIDE, "1920"), (LARGE, "200")):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.wait_for_timeout(150)
            found += [f"{name}: {one}" for one in find_faults(page, somebody.language, names=GIVEN)]
            keep(page, f"{sight.name}-{somebody.language}-{name}")
        page.set_viewport_size({"width": 1280, "height": 800})
    return [f"{sight.name} {somebody.language} {look}: {one}" for one in found]


def keep(page: Any, name: str) -> None:
    """Save a small picture, if pictures are wanted."""
    if not PICTURES:
        return
    image = need("PIL.Image")
    picture = image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(128).save(Path(PICTURES) / f"{name}.png", optimize=True)
