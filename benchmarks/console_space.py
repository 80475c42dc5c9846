"""A whole space with consoles and a browser in front of it, for measurements and pictures.

The space is the demo of `consilium demo --keep`: four hospitals, one finished
study. Every screen is named here with the account that meets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from consilium.space.consoles import OpenHospital, open_accounts
from consilium.space.demo import run_demo
from consilium.space.processes import alive, down

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LEAD, OTHER = "north", "lakeside"
PATIENCE_MS = 30_000.0
Language = Literal["zh", "en"]
Look = Literal["light", "dark"]
READY = """() => document.querySelector("h1")
  && !document.querySelector(".loading, .frame-wait, [aria-busy=true]")"""
_SIGN_IN = """async ([name, password]) => {
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name, password, code: "" }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return await answer.json();
}"""


@dataclass(frozen=True, kw_only=True)
class Screen:
    """One screen: its name in files, its address, and the role that meets it."""

    name: str
    path: str
    role: str


@dataclass(kw_only=True)
class KeptSpace:
    """The demo's space while it runs; remembers who has signed in."""

    home: Path
    hospitals: Mapping[str, OpenHospital]
    seats: dict[tuple[str, str], tuple[Any, str]] = field(default_factory=dict)

    def address(self, member: str = LEAD) -> str:
        """Return where a hospital's console answers, without a slash at its end."""
        return self.hospitals[member].address.rstrip("/")

    def password(self, role: str, member: str = LEAD) -> str:
        """Return the password of a role's account."""
        accounts = self.hospitals[member].accounts
        return next(one.password for one in accounts if one.role == role)

    def sign_in(self, browser: Browser, role: str, member: str = LEAD) -> tuple[Any, str]:
        """Sign in once for each account; return the browser's cookies and the page's token."""
        if (member, role) not in self.seats:
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{self.address(member)}/icon.svg")
            session = page.evaluate(_SIGN_IN, [role, self.password(role, member)])
            self.seats[member, role] = (context.storage_state(), str(session["csrf"]))
            context.close()
        return self.seats[member, role]

    def get(self, browser: Browser, role: str, path: str, *, member: str = LEAD) -> Any:
        """Read something as an account, through the console's interface."""
        state, _ = self.sign_in(browser, role, member)
        context = browser.new_context(storage_state=state)
        found = context.request.get(f"{self.address(member)}/api{path}").json()
        context.close()
        return found


@contextmanager
def kept_demo(home: Path) -> Iterator[KeptSpace]:
    """Run the demo, keep it with its consoles for the block, and stop it afterwards."""
    try:
        run_demo(home=home, keep=True, language="zh")
        members = [child.name for child in alive(home) if child.name != "hub"]
        opened = open_accounts(home, members)
        yield KeptSpace(home=home, hospitals={one.member: one for one in opened})
    finally:
        down(home)


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Start a headless Chromium for the block."""
    with sync_playwright() as machine:
        browser = machine.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def a_tab(
    browser: Browser,
    *,
    state: Any = None,
    language: Language = "zh",
    look: Look = "light",
    width: int = 1280,
    height: int = 800,
    scale: float = 1.0,
) -> Iterator[Page]:
    """Open one tab as an account, in a language and a look."""
    context: BrowserContext = browser.new_context(
        storage_state=state,
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        color_scheme=look,
        reduced_motion="reduce",
        locale="zh-CN" if language == "zh" else "en-GB",
        timezone_id="Asia/Shanghai",
    )
    context.add_init_script(
        f"localStorage.setItem('consilium.language', '{language}');"
        f"localStorage.setItem('consilium.look', '{look}');"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    try:
        yield page
    finally:
        context.close()


def show(page: Page, address: str) -> None:
    """Go to a screen and wait until its heading and what it read are there."""
    page.goto(address, wait_until="domcontentloaded")
    await_screen(page)


def await_screen(page: Page) -> None:
    """Wait until a screen's heading and what it read are there."""
    page.wait_for_function(READY)


def all_screens(kept: KeptSpace, browser: Browser) -> Sequence[Screen]:
    """Name every screen of the lead's console, with addresses of what really is there."""

    def ask(role: str, path: str) -> list[dict[str, Any]]:
        found = kept.get(browser, role, path)
        return list(found["items"] if isinstance(found, dict) else found)

    study = ask("research-lead", "/studies")[0]["id"]
    dataset = ask("steward", "/datasets")[0]["name"]
    agreement = ask("steward", "/agreements")[0]["id"]
    model = ask("research-lead", "/models")[0]["digest"]
    lead, steward = "research-lead", "steward"
    return [
        Screen(name="signin", path="/", role=""),
        Screen(name="home", path="/", role=lead),
        Screen(name="queue", path="/queue", role=steward),
        Screen(name="approvals", path="/approvals", role=steward),
        Screen(name="sources", path="/sources", role=steward),
        Screen(name="connect", path="/sources/connect", role=steward),
        Screen(name="dataset", path=f"/datasets/{_part(dataset)}", role=steward),
        Screen(name="catalogue", path="/catalogue", role=lead),
        Screen(name="contracts", path="/contracts", role=steward),
        Screen(name="contract", path=f"/contracts/{_part(agreement)}", role=steward),
        Screen(name="studies", path="/studies", role=lead),
        Screen(name="new-study", path="/studies/new", role=lead),
        Screen(name="run", path=f"/studies/{_part(study)}", role=lead),
        Screen(name="compare", path=f"/studies/{_part(study)}/compare", role=lead),
        Screen(name="models", path="/models", role=lead),
        Screen(name="model", path=f"/models/{_part(model)}", role=lead),
        Screen(name="nodes", path="/nodes", role="auditor"),
        Screen(name="evidence", path="/evidence", role="auditor"),
        Screen(name="big-screen", path="/screen", role="office"),
        Screen(name="persons", path="/persons", role="administrator"),
        Screen(name="settings", path="/settings", role="administrator"),
        Screen(name="account", path="/account", role="doctor"),
        Screen(name="help", path="/help", role="doctor"),
    ]


def _part(value: str) -> str:
    return quote(value, safe="")
