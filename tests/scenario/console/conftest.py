"""A whole space with its consoles, and a browser to look at them with."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.extras import need

from consilium.persons.records import Role
from consilium.persons.settings import TWO_PERSONS
from consilium.space.consoles import OpenHospital, open_accounts
from consilium.space.home import node_home
from consilium.space.persons import Persons
from consilium.space.wire import Wire

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from whole_space import WholeSpace, practice_plan, whole_space

CAREFUL = "lakeside"
"""The hospital where two persons let a request for an agreement proceed."""

SECOND = {"name": "第二位管理员", "password": "a long password 二"}


@dataclass(frozen=True)
class OpenSpace:
    """A space of four hospitals that is up, each with a console and an account for each role."""

    whole: WholeSpace
    hospitals: dict[str, OpenHospital]

    def address(self, member: str) -> str:
        return self.hospitals[member].address.rstrip("/")

    def login(self, member: str, role: str) -> dict[str, str]:
        found = next(one for one in self.hospitals[member].accounts if one.role == role)
        return {"name": found.name, "password": found.password}

    def pid(self, member: str) -> int:
        return self.whole.serving(member).pid


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSpace]:
    """Bring four hospitals up, each with its dataset; nothing has been asked of anybody."""
    with open_space(tmp_path_factory.mktemp("s"), careful=CAREFUL) as opened:
        add_second_steward(opened)
        yield opened


@contextmanager
def open_space(home: Path, *, careful: str = "") -> Iterator[OpenSpace]:
    """Bring four hospitals up with their consoles; at the careful one two persons must agree."""
    with whole_space(practice_plan(home / "data"), home / "space", consoles=True) as whole:
        if careful:
            settings = node_home(whole.home, careful) / "node.toml"
            wanted = f'\n[approvals]\nagreements = "{TWO_PERSONS}"\n'
            settings.write_text(settings.read_text(encoding="utf-8") + wanted, encoding="utf-8")
            whole.serve_anew(careful)
        hospitals = {one.member: one for one in open_accounts(whole.home, whole.names)}
        yield OpenSpace(whole, hospitals)


def add_second_steward(space: OpenSpace) -> None:
    """Two persons of one role are wanted where the hospital is careful."""
    first = space.login(CAREFUL, "administrator")
    speaker = (first["name"], first["password"])
    with Wire(node_home(space.whole.home, CAREFUL)) as wire:
        persons = Persons(wire)
        persons.add(SECOND["name"], password=SECOND["password"], speaker=speaker)
        persons.change_role(SECOND["name"], Role.STEWARD, speaker=speaker)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium: Debian's own."""
    playwright = need("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        reason = "chromium is not installed (apt-get install chromium)"
        if os.environ.get("CONSILIUM_CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-sync"]
        )
        yield chromium
        chromium.close()
