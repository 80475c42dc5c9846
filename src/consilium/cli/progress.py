"""Progress bars: one line for each stage of a run, on the standard error."""

from __future__ import annotations

import os
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from consilium.cli.language import language_of
from consilium.space.watch import Stage

WORDS = {
    Stage.HUB: ("Starting the hub", "启动服务平台"),
    Stage.JOIN: ("Hospitals join", "医院接入"),
    Stage.DATASETS: ("Connecting data", "接入数据"),
    Stage.AGREEMENTS: ("Negotiating agreements", "协商协议"),
    Stage.ROUNDS: ("Training rounds", "训练轮次"),
    Stage.EVALUATION: ("Evaluating", "评估"),
}


class Bars:
    """Shows how far a run is; call it as a `Watch`. Prints plain lines where no one looks."""

    def __init__(self) -> None:
        self._zh = language_of(os.environ) == "zh"
        console = Console(stderr=True, highlight=False)
        self._plain = not console.is_terminal
        self._console = console
        self._tasks: dict[Stage, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=self._plain,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """Move a stage's bar."""
        words = WORDS[stage][1 if self._zh else 0]
        if self._plain:
            if done == total:
                self._console.print(f"{words}: {done}/{total}")
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(words, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)
