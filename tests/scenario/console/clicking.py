"""A person at a browser, who finds things by what they are called in the page's language."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WORDS = Path(__file__).parents[3] / "web" / "src" / "words"
LANGUAGES = {"zh": "zh-CN", "en": "en-GB"}
FIRST, OTHER = "zh", "English"
"""The language that a page speaks at first, and what its button to the other says."""
LONG_MS = 120_000
"""A study takes its time, also on a machine that does much else."""


class Person:
    """Somebody signed in at one hospital's console."""

    def __init__(self, page: Any, address: str, language: str) -> None:
        self.page = page
        self.address = address
        self.language = language

    def say(self, screen: str, key: str, **holes: object) -> str:
        """Return a word of the page; holes that are not filled match anything by `find`."""
        found: Any = json.loads((WORDS / self.language / f"{screen}.json").read_text("utf-8"))
        for part in key.split("."):
            found = found[part]
        for name, value in holes.items():
            found = found.replace("{{" + name + "}}", str(value))
        return str(found)

    def find(self, screen: str, key: str, **holes: object) -> re.Pattern[str]:
        """Return what matches a word whatever stands in its holes."""
        text = re.escape(self.say(screen, key, **holes))
        return re.compile(re.sub(r"\\{\\{\w+\\}\\}", ".+", text))

    def go(self, path: str = "/") -> None:
        self.page.goto(f"{self.address}{path}")

    def sign_in(self, name: str, password: str) -> None:
        self.go()
        if self.language != FIRST:
            self.click(OTHER)
        self.page.get_by_label(self.say("signin", "name"), exact=True).fill(name)
        self.page.get_by_label(self.say("signin", "password"), exact=True).fill(password)
        self.click(self.say("signin", "enter"))
        self.page.get_by_role("banner").get_by_text(name).first.wait_for()

    def click(
        self, name: str | re.Pattern[str], *, role: str = "button", within: Any = None
    ) -> None:
        exact = isinstance(name, str)
        place = within or self.page
        place.get_by_role(role, name=name, exact=exact).first.click()

    def open(self, place: str) -> None:
        """Go somewhere by the list at the side."""
        side = self.page.get_by_role("navigation", name=self.say("shell", "navigation"))
        side.get_by_role("link", name=self.say("places", place)).first.click()

    def give_reason(self, verb: str, reason: str) -> None:
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("textbox").first.fill(reason)
        dialog.get_by_role("button", name=verb, exact=True).click()
        dialog.wait_for(state="hidden")

    def sees(self, text: str | re.Pattern[str], *, timeout: int = 15_000) -> None:
        self.page.get_by_text(text).first.wait_for(timeout=timeout)


@contextmanager
def person(
    browser: Any,
    address: str,
    *,
    language: str,
    name: str = "",
    password: str = "",
    look: str = "light",
) -> Iterator[Person]:
    """Open a browser of their own for somebody; signed in if named.

    `CONSILIUM_TEST_PICTURES` names a folder for pictures of pages where a test failed.
    """
    context = browser.new_context(
        locale=LANGUAGES[language], viewport={"width": 1280, "height": 800}, color_scheme=look
    )
    page = context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    try:
        somebody = Person(page, address, language)
        if name:
            somebody.sign_in(name, password)
        yield somebody
        assert broken == []
    except BaseException:
        if folder := os.environ.get("CONSILIUM_TEST_PICTURES"):
            page.screenshot(path=Path(folder) / f"{name or 'nobody'}.png", full_page=True)
        raise
    finally:
        context.close()
