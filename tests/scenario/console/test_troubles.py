"""Trouble that is nobody's fault: a full disk, a hospital that is away, a node that stops.

The page says what happened, what it means and what to do; nothing typed is lost.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from clicking import LONG_MS, Person, person
from test_no_code_path import LEAD, answer_questions
from whole_space import is_gone, wait_until

from conftest import OpenSpace
from consilium.space.home import node_home
from consilium.space.wire import Wire

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]

AWAY = "renhe"
DISK_MB = 64
NAME = "写了一半的研究"


def test_an_administrator_makes_a_backup_and_sees_it_proved(space: OpenSpace, browser: Any) -> None:
    with at(space, browser, LEAD, "administrator", language="en") as administrator:
        administrator.open("settings")
        administrator.sees(administrator.say("backups", "none"))
        administrator.click(administrator.say("backups", "make"))
        administrator.sees(administrator.say("backups", "proved"), timeout=LONG_MS)
        administrator.sees(administrator.find("backups", "provedText"))
        with administrator.page.expect_response(lambda one: one.url.endswith("/proof")) as told:
            administrator.click(administrator.say("backups", "prove"))
        assert told.value.ok
        administrator.sees(administrator.say("backups", "proved"), timeout=LONG_MS)
    with at(space, browser, LEAD, "auditor", language="en") as auditor:
        auditor.open("evidence")
        auditor.sees("backup.proved")


def test_on_a_full_disk_nothing_typed_is_lost(
    small_disk: Path, space: OpenSpace, browser: Any
) -> None:
    with at(space, browser, LEAD, "research-lead", language="zh") as lead:
        answer_questions(lead, title=NAME, rounds=2)
        with a_full_disk(small_disk):
            lead.click(lead.say("newStudy", "start"))
            told = lead.page.get_by_role("alert")
            told.wait_for()
            assert re.search("磁盘已满.+请释放空间后重试", told.inner_text())
            assert NAME in lead.page.get_by_role("main").inner_text()
            assert titles(space) == []
        lead.click(lead.say("newStudy", "start"))
        lead.page.get_by_role("heading", name=NAME).wait_for()
    assert titles(space) == [NAME]


def test_a_hospital_that_is_away_is_named_where_it_matters(space: OpenSpace, browser: Any) -> None:
    with at(space, browser, LEAD, "research-lead", language="en") as lead:
        lead.open("catalogue")
        lead.page.locator("tbody tr").nth(3).wait_for()
        space.whole.kill(space.whole.serving(AWAY))
        lead.page.get_by_role("row").filter(has_text="Renhe").get_by_role("button").first.click()
        lead.click(lead.say("catalogue", "ask"))
        told = lead.page.get_by_role("alert")
        told.wait_for(timeout=LONG_MS)
        assert re.search("renhe did not answer.+try again", told.inner_text())
        assert "Renhe Model Hospital" in lead.page.get_by_role("dialog").inner_text()
        lead.click(lead.say("catalogue", "close"))
        lead.open("nodes")
        away = lead.page.get_by_text(lead.find("nodes", "away", count=1)).first
        away.wait_for(timeout=LONG_MS)
        assert "Renhe" in away.inner_text()
        assert lead.page.get_by_text(lead.say("nodes", "awayNext")).is_visible()


def test_a_node_that_stops_is_told_of_and_its_return_too(space: OpenSpace, browser: Any) -> None:
    with at(space, browser, LEAD, "research-lead", language="zh") as lead:
        lead.go("/studies/new")
        name = lead.page.get_by_label(lead.say("newStudy", "name")).first
        name.fill(NAME)
        space.whole.kill(space.whole.serving(LEAD))
        lead.sees(lead.say("shell", "offline.node"), timeout=LONG_MS)
        lead.sees(lead.say("shell", "offline.nodeText"))
        space.whole.restart(LEAD)
        lead.page.get_by_text(lead.say("shell", "offline.node")).wait_for(
            state="hidden", timeout=LONG_MS
        )
        assert name.input_value() == NAME


def titles(space: OpenSpace) -> list[str]:
    """List the lead's studies by what they are called."""
    with Wire(node_home(space.whole.home, LEAD)) as wire:
        return [str(one["title"]) for one in wire.get("/studies")["items"]]


@contextmanager
def at(
    space: OpenSpace, browser: Any, member: str, role: str, *, language: str
) -> Iterator[Person]:
    login = space.login(member, role)
    with person(browser, space.address(member), language=language, **login) as somebody:
        yield somebody


@pytest.fixture(scope="module")
def small_disk(space: OpenSpace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Move the lead's home to a disk of its own, of 64 MB."""
    home = node_home(space.whole.home, LEAD)
    copy = tmp_path_factory.mktemp("copy") / "home"
    process = space.whole.serving(LEAD)
    process.terminate()
    wait_until(lambda: is_gone(process), within_s=30, what=f"{LEAD}'s end")
    shutil.copytree(home, copy, symlinks=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", str(home)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        space.whole.restart(LEAD)
        pytest.skip("a small disk cannot be mounted here (it needs root)")
    try:
        shutil.copytree(copy, home, symlinks=True, dirs_exist_ok=True)
        space.whole.restart(LEAD)
        space.whole.await_ready()
        yield home
        space.whole.kill(space.whole.serving(LEAD))
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


@contextmanager
def a_full_disk(folder: Path) -> Iterator[None]:
    """Fill the disk of a folder to its last byte."""
    filler = folder / "filler"
    try:
        with filler.open("wb") as file, suppress(OSError):
            while os.write(file.fileno(), bytes(1 << 16)):
                pass
        with filler.open("ab") as file, suppress(OSError):
            while os.write(file.fileno(), b"0"):
                pass
        yield
    finally:
        filler.unlink()
