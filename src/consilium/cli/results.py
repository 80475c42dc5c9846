"""Results for people: the table at the end of a study, in their language."""

from __future__ import annotations

import os

import typer

from consilium.cli.language import language_of
from consilium.cli.printing import show_rows
from consilium.space.proof import marks_of
from consilium.space.record import METHODS, ResultRecord, Row
from consilium.space.report.words import spoken
from consilium.space.run import Finished

_WORDS = {
    "en": (
        "Hospital",
        "held out #",
        "Mean",
        "Worst",
        "Report",
        "Record",
        "Passport",
        "Evidence",
        "AUROC: ranking, 1 is perfect",
        "Accuracy",
        "Agreement revoked",
    ),
    "zh": (
        "医院",
        "留出 #",
        "平均",
        "最差",
        "报告",
        "结果",
        "模型护照",
        "存证",
        "AUROC：排序能力，1 为完美",
        "正确率",
        "合约已撤销",
    ),
}

_VERDICTS = {
    "en": ("✗ {} entries, NOT all proved", "✓ {} entries, all proved"),
    "zh": ("✗ {} 条，未能全部验证", "✓ {} 条，全部通过验证"),
}
"""What is said of the evidence: not proved, proved."""

_METHODS = {
    "en": ("together", "adjusted", "alone", "majority", "pooled"),
    "zh": ("联合", "联合校准", "单院", "多数类", "集中"),
}
"""Short names of the rows, in the order of `METHODS`."""


def show_finished(finished: Finished) -> None:
    """Print a finished study: tables, then where everything lies."""
    record = finished.record
    show_result(record)
    words = _WORDS[language_of(os.environ)]
    verdict = _VERDICTS[language_of(os.environ)][record.evidence.verified]
    lines = (
        (words[4], str(finished.report_path)),
        (words[5], str(finished.record_path)),
        (words[6], record.model.passport),
        (words[7], verdict.format(record.evidence.entries)),
    )
    for name, value in lines:
        typer.echo(f"{name}: {value}")
    for mark in marks_of(record):
        typer.echo(f"⚠ {words[10]}: {mark.agreement} · {mark.by} · {mark.reason}")


def show_result(record: ResultRecord) -> None:
    """Print AUROC and accuracy of every method at every hospital."""
    language = language_of(os.environ)
    words = _WORDS[language]
    shown = [method for method in METHODS if record.mean["accuracy"][method] is not None]
    names = [f"{_METHODS[language][METHODS.index(method)]} #" for method in shown]
    for metric, title in (("auroc", words[8]), ("accuracy", words[9])):
        rows: list[list[object]] = [
            [
                getattr(spoken(site.title), language),
                site.n_test,
                *_figures(getattr(site, metric), shown),
            ]
            for site in record.sites
        ]
        rows.append([words[2], "", *_figures(record.mean[metric], shown)])
        rows.append([words[3], "", *_figures(record.worst[metric], shown)])
        show_rows(title, (words[0], words[1], *names), rows)


def _figures(row: Row, shown: list[str]) -> list[float | None]:
    return [row[method] for method in shown]
