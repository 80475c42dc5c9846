"""A study of 100 events a second, followed on its page in a real browser.

The events are those of the demo's study, round by round with new numbers, in
the table where the node itself writes them; they reach the page by the node's
own stream and routes.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from playwright.sync_api import Browser, Page

from benchmarks.console_space import LEAD, KeptSpace, a_tab, show
from consilium.kernel.clock import SystemClock, write_time

RATE = 100
WAIT_S = 10.0
TITLE = "每秒一百个事件 · 100 events a second"
_FOLLOW = """() => {
  const now = () => performance.timeOrigin + performance.now();
  const seen = (window.seen = { stream: {}, page: {}, tasks: [] });
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) seen.tasks.push(one.duration);
  }).observe({ type: "longtask" });
  const stream = new EventSource("/api/events");
  stream.addEventListener("study", (event) => {
    seen.stream[JSON.parse(event.data).id] ??= now();
  });
  const look = () => {
    for (const line of document.querySelectorAll(".log li"))
      seen.page[line.dataset.event] ??= now();
  };
  new MutationObserver(look).observe(document.querySelector(".log").parentElement, {
    childList: true, subtree: true, characterData: true,
  });
  return new Promise((opened) => (stream.onopen = () => opened(true)));
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpeed:
    """What became of the events; lags in milliseconds from writing to being there.

    `stream` is what the browser heard, `page` what stood in the log on the
    screen. A long task keeps the page from answering for more than 50 ms.
    """

    events: int
    per_second: float
    stream_missing: int
    stream_p50_ms: float
    stream_worst_ms: float
    page_missing: int
    page_p50_ms: float
    page_worst_ms: float
    long_tasks: int
    long_task_worst_ms: float
    long_task_share: float


def measure_run(kept: KeptSpace, browser: Browser, *, seconds: float) -> RunSpeed:
    """Write events at the rate while a browser has the study's page open."""
    state, _ = kept.sign_in(browser, "research-lead")
    finished = kept.get(browser, "research-lead", "/studies")["items"][0]["id"]
    database = kept.home / LEAD / "node.db"
    study, rounds = _begin(database, finished)
    facts = _rounds(rounds, count=round(seconds * RATE))
    with a_tab(browser, state=state) as page:
        show(page, f"{kept.address()}/studies/{quote(study, safe='')}")
        page.wait_for_selector(".log li")
        if page.locator(".log + button").count():
            page.locator(".log + button").click()
        page.evaluate(_FOLLOW)
        written: dict[int, float] = {}
        writer = threading.Thread(target=_write, args=(database, study, facts, written))
        began = time.monotonic()
        writer.start()
        while writer.is_alive():
            page.wait_for_timeout(200)
        took = time.monotonic() - began
        seen = _await_all(page, written)
    _end(database, study)
    return _judge(written, seen, took)


def _begin(database: Path, finished: str) -> tuple[str, list[list[tuple[str, dict[str, Any]]]]]:
    """Make a study that runs, out of the finished one; give its rounds as templates."""
    study = f"urn:uuid:{uuid.uuid4()}"
    with sqlite3.connect(database, timeout=10) as file:
        file.row_factory = sqlite3.Row
        row = dict(file.execute("SELECT * FROM study WHERE id = ?", [finished]).fetchone())
        row |= {
            "id": study,
            "state": "RUNNING",
            "result": "",
            "title": "每秒一百个事件 · 100 events/s",
        }
        row["created"] = row["updated"] = write_time(SystemClock().now())
        marks = ", ".join("?" * len(row))
        file.execute(f"INSERT INTO study ({', '.join(row)}) VALUES ({marks})", list(row.values()))
        told = file.execute(
            "SELECT kind, facts FROM study_event WHERE study = ? ORDER BY id", [finished]
        ).fetchall()
    events = [(one["kind"], json.loads(one["facts"])) for one in told]
    first = next(at for at, (kind, _) in enumerate(events) if kind == "round_started")
    clock = SystemClock()
    with sqlite3.connect(database, timeout=10) as file:
        for kind, facts in events[:first]:
            _insert(file, study, kind, facts, clock=clock)
    return study, _templates(events)


def _templates(
    events: Sequence[tuple[str, dict[str, Any]]],
) -> list[list[tuple[str, dict[str, Any]]]]:
    found: list[list[tuple[str, dict[str, Any]]]] = []
    for kind, facts in events:
        if kind == "round_started":
            found.append([])
        if found and kind in {"round_started", "answered", "round_closed"}:
            found[-1].append((kind, facts))
    return found[:-1]


def _rounds(
    templates: list[list[tuple[str, dict[str, Any]]]], *, count: int
) -> list[tuple[str, dict[str, Any]]]:
    """Repeat rounds with rising numbers."""
    found: list[tuple[str, dict[str, Any]]] = []
    for number in _forever():
        for kind, facts in templates[number % len(templates)]:
            found.append((kind, {**facts, "round": number}))
            if len(found) == count:
                return found
    return found


def _forever() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


def _write(
    database: Path, study: str, facts: list[tuple[str, dict[str, Any]]], written: dict[int, float]
) -> None:
    clock, began = SystemClock(), time.monotonic()
    file = sqlite3.connect(database, timeout=10)
    for at, (kind, one) in enumerate(facts):
        time.sleep(max(0.0, began + at / RATE - time.monotonic()))
        with file:
            event = _insert(file, study, kind, one, clock=clock)
        written[event] = time.time() * 1_000
    file.close()


def _insert(
    file: sqlite3.Connection, study: str, kind: str, facts: dict[str, Any], *, clock: SystemClock
) -> int:
    now = write_time(clock.now())
    told = {**facts, "time": now} if "time" in facts else facts
    done = file.execute(
        "INSERT INTO study_event (study, time, kind, facts) VALUES (?, ?, ?, ?)",
        [study, now, kind, json.dumps(told, ensure_ascii=False, sort_keys=True)],
    )
    return done.lastrowid or 0


def _await_all(page: Page, written: Mapping[int, float]) -> dict[str, Any]:
    end = time.monotonic() + WAIT_S
    while True:
        seen: dict[str, Any] = page.evaluate("() => window.seen")
        is_whole = all(seen[where].keys() >= set(map(str, written)) for where in ("stream", "page"))
        if is_whole or time.monotonic() > end:
            return seen
        page.wait_for_timeout(250)


def _end(database: Path, study: str) -> None:
    with sqlite3.connect(database, timeout=10) as file:
        file.execute("UPDATE study SET state = 'STOPPED' WHERE id = ?", [study])


def _judge(written: dict[int, float], seen: dict[str, Any], took: float) -> RunSpeed:
    lags = {
        where: [
            when - written[int(one)] for one, when in seen[where].items() if int(one) in written
        ]
        for where in ("stream", "page")
    }
    tasks = seen["tasks"]
    return RunSpeed(
        events=len(written),
        per_second=round(len(written) / took, 1),
        stream_missing=len(written) - len(lags["stream"]),
        stream_p50_ms=round(float(np.median(lags["stream"])), 1),
        stream_worst_ms=round(max(lags["stream"]), 1),
        page_missing=len(written) - len(lags["page"]),
        page_p50_ms=round(float(np.median(lags["page"])), 1),
        page_worst_ms=round(max(lags["page"]), 1),
        long_tasks=len(tasks),
        long_task_worst_ms=round(max(tasks, default=0.0), 1),
        long_task_share=round(sum(tasks) / (took * 1_000), 4),
    )
