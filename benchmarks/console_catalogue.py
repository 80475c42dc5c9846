"""The catalogue of 10,000 datasets in a real browser: scrolled to its end, filtered by words.

The screen is the node's own; its catalogue comes from the route of
`benchmarks.catalogue_search` at another port of this machine.
"""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import uvicorn
from playwright.sync_api import Browser, Route

from benchmarks.catalogue_search import DATASETS, make_app
from benchmarks.console_space import KeptSpace, a_tab, show

WORDS = ("glioma", "胶质瘤", "Parkinson", "hospital-33", "stroke")
STEP_PX = 900
_SCROLL = """async ([step, all]) => {
  const box = document.querySelector(".table-long");
  const frame = () => new Promise(requestAnimationFrame);
  const isDrawn = () => {
    const { left, top, width, height } = box.getBoundingClientRect();
    return [0.15, 0.5, 0.9].every((share) => {
      const row = document.elementFromPoint(left + width / 3, top + 40 + share * (height - 60));
      return row && row.closest("tbody tr:not(.table-gap)");
    });
  };
  const rows = () => Number(box.querySelector("table").getAttribute("aria-rowcount")) - 1;
  const end = () => rows() < all ? Infinity : box.scrollHeight - box.clientHeight;
  const taken = [];
  while (box.scrollTop < end() - 1 && taken.length < 2000) {
    const begun = performance.now();
    const to = box.scrollTop + step;
    const isThere = () => box.scrollTop >= Math.min(to, end()) - 1 && isDrawn();
    do {
      box.scrollTop = to;
      await frame();
    } while (!isThere() && performance.now() - begun < 5000);
    taken.push(performance.now() - begun);
  }
  return { taken, rows: rows() };
}"""
_FILTER = """async ([word, wanted]) => {
  const field = document.querySelector(".catalogue input[type=search]");
  const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  const total = () => Number((document.querySelector(".catalogue .table-tools .hint")
    ?.textContent || "").replace(/\\D/g, ""));
  const begun = performance.now();
  write.call(field, word);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  while (total() !== wanted && performance.now() - begun < 5000)
    await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - begun;
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueSpeed:
    """Milliseconds until rows stand there: after a step of scrolling, after the last letter."""

    rows: int
    steps: int
    scroll_p50_ms: float
    scroll_p99_ms: float
    scroll_worst_ms: float
    filter_p50_ms: float
    filter_worst_ms: float
    filter_ms: dict[str, list[float]]


def measure_catalogue(kept: KeptSpace, browser: Browser, *, repeats: int) -> CatalogueSpeed:
    """Scroll through all datasets once, and filter by each word several times."""
    state, _ = kept.sign_in(browser, "research-lead")
    with _served() as port, a_tab(browser, state=state) as page:

        def elsewhere(route: Route) -> None:
            route.continue_(url=f"http://127.0.0.1:{port}/{route.request.url.split('/api/')[1]}")

        page.route("**/api/catalog?**", elsewhere)
        show(page, f"{kept.address()}/catalogue")
        found = page.evaluate(_SCROLL, [STEP_PX, DATASETS])
        wanted = {word: _count(port, word) for word in WORDS}
        filtered: dict[str, list[float]] = {word: [] for word in WORDS}
        for _ in range(repeats):
            for word in WORDS:
                filtered[word].append(round(page.evaluate(_FILTER, [word, wanted[word]]), 1))
                page.evaluate(_FILTER, ["", DATASETS])
    taken = sorted(found["taken"])
    waits = sorted(ms for times in filtered.values() for ms in times)
    return CatalogueSpeed(
        rows=found["rows"],
        steps=len(taken),
        scroll_p50_ms=round(float(np.quantile(taken, 0.5)), 1),
        scroll_p99_ms=round(float(np.quantile(taken, 0.99)), 1),
        scroll_worst_ms=round(taken[-1], 1),
        filter_p50_ms=round(float(np.quantile(waits, 0.5)), 1),
        filter_worst_ms=waits[-1],
        filter_ms=filtered,
    )


def _count(port: int, word: str) -> int:
    answer = httpx.get(f"http://127.0.0.1:{port}/catalog", params={"search": word, "limit": 1})
    return int(answer.json()["total"])


@contextmanager
def _served() -> Iterator[int]:
    """Serve the catalogue of many datasets in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    try:
        _await(port)
        yield port
    finally:
        process.terminate()
        process.join()


def serve(port: int) -> None:
    """Serve the catalogue until ended."""
    app: Any = make_app()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


def _await(port: int, *, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/catalog", params={"limit": 1}, timeout=within_s)
            return
        except httpx.TransportError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
