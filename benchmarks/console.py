"""How fast the console is in a real browser, with a whole space behind it.

python -m benchmarks.console [--quick]

Every screen, loaded from nothing and reached by a click; a study of 100 events a
second on its page; a catalogue of 10,000 datasets scrolled and filtered. Writes
`docs/proof/console.json`, a quick run writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from benchmarks.commands import ROOT
from benchmarks.console_catalogue import measure_catalogue
from benchmarks.console_run import measure_run
from benchmarks.console_space import (
    READY,
    KeptSpace,
    Screen,
    a_browser,
    a_tab,
    all_screens,
    await_screen,
    kept_demo,
    show,
)
from benchmarks.measuring import median
from benchmarks.proof import machine

RESULT = ROOT / "docs" / "proof" / "console.json"
REPEATS, QUICK_REPEATS = 5, 1
RUN_S, QUICK_RUN_S = 30.0, 5.0
SCREEN_MS, CATALOGUE_MS = 1_000.0, 200.0
LAG_MS = 2_000.0
_NOTE = f"""() => {{
  const isReady = {READY};
  const look = () => {{
    if (location.protocol === "http:" && isReady()) window.readyAt ??= performance.now();
    else requestAnimationFrame(look);
  }};
  look();
}}"""
_TURN = f"""async (path) => {{
  const isReady = {READY};
  const old = document.querySelector("h1");
  const begun = performance.now();
  window.history.pushState({{}}, "", path);
  window.dispatchEvent(new PopStateEvent("popstate", {{ state: {{}} }}));
  while ((!isReady() || document.querySelector("h1") === old) && performance.now() - begun < 9000)
    await new Promise(requestAnimationFrame);
  return performance.now() - begun;
}}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSpeed:
    """Milliseconds until a screen's heading and data stand there.

    `loaded` is the whole page in a fresh browser, `turned` is coming from
    another screen, as a click on a link does it.
    """

    screen: str
    loaded_ms: float
    loaded_worst_ms: float
    turned_ms: float | None


def measure_screens(kept: KeptSpace, browser: Browser, *, repeats: int) -> list[ScreenSpeed]:
    """Open every screen several times; medians."""
    found = []
    for screen in all_screens(kept, browser):
        state = kept.sign_in(browser, screen.role)[0] if screen.role else None
        loaded = [_load(kept, browser, screen, state) for _ in range(repeats)]
        turned = _turn(kept, browser, screen, state, repeats) if screen.role else None
        one = ScreenSpeed(
            screen=screen.name,
            loaded_ms=round(median(loaded), 1),
            loaded_worst_ms=round(max(loaded), 1),
            turned_ms=None if turned is None else round(turned, 1),
        )
        found.append(one)
        print(
            f"{one.screen:>12}: loaded {one.loaded_ms:6.0f} ms, turned {one.turned_ms or 0:6.0f} ms"
        )
    return found


def _load(kept: KeptSpace, browser: Browser, screen: Screen, state: Any) -> float:
    with a_tab(browser, state=state) as page:
        page.add_init_script(f"({_NOTE})()")
        show(page, kept.address() + screen.path)
        page.wait_for_function("() => window.readyAt")
        return float(page.evaluate("() => window.readyAt"))


def _turn(kept: KeptSpace, browser: Browser, screen: Screen, state: Any, repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        with a_tab(browser, state=state) as page:
            show(page, f"{kept.address()}/{'account' if screen.path != '/account' else 'help'}")
            taken.append(float(page.evaluate(_TURN, screen.path)))
            await_screen(page)
    return median(taken)


def measure_all(*, quick: bool) -> dict[str, Any]:
    """Bring the demo up, measure, and stop it."""
    repeats = QUICK_REPEATS if quick else REPEATS
    home = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    load = round(os.getloadavg()[0], 1)
    try:
        with kept_demo(home) as kept, a_browser() as browser:
            screens = measure_screens(kept, browser, repeats=repeats)
            run = measure_run(kept, browser, seconds=QUICK_RUN_S if quick else RUN_S)
            print(run)
            catalogue = measure_catalogue(kept, browser, repeats=repeats)
            print(catalogue)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    slowest = max(screens, key=lambda one: one.loaded_ms)
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "load": load,
        "screens": [asdict(one) for one in screens],
        "run": asdict(run),
        "catalogue": asdict(catalogue),
        "met": {
            "screens": slowest.loaded_ms <= SCREEN_MS,
            "run": run.stream_missing == run.page_missing == 0 and run.page_worst_ms <= LAG_MS,
            "catalogue": catalogue.scroll_worst_ms <= CATALOGUE_MS
            and catalogue.filter_worst_ms <= CATALOGUE_MS,
        },
    }


def main() -> int:
    """Measure, keep the result, and print it as one JSON object at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="once each, and nothing is kept")
    quick = parser.parse_args().quick
    found = measure_all(quick=quick)
    if not quick:
        text = json.dumps(found, ensure_ascii=False, indent=2)
        RESULT.write_text(f"{text}\n", encoding="utf-8")
    print(json.dumps(found, ensure_ascii=False))
    return 0 if all(found["met"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
