"""Results for people: the table at the end of a study, in their language."""

from __future__ import annotations

import os

import typer

from consilium.cli.language import language_of
from consilium.cli.printing import show_rows
from consilium.space.proof import marks_of
from consilium.space.record import ResultRecord
from consilium.space.report.words import metric_words, spoken
from consilium.space.results import METHODS, Row
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
        "合约已撤销",
    ),
}

_VERDICTS = {
    "en": ("✗ {} entries, NOT all proved", "✓ {} entries, all proved"),
    "zh": ("✗ {} 条，未能全部验证", "✓ {} 条，全部通过验证"),
}
"""What is said of the evidence: not proved, proved."""

MOST_TABLES = 2
"""Figures that are printed; record and report hold all."""

_METHODS = {
    "en": ("together", "adjusted", "trained on", "personal", "alone", "no model", "pooled"),
    "zh": ("联合", "联合校准", "联合微调", "个性化", "单院", "无模型", "集中"),
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
        typer.echo(f"⚠ {words[8]}: {mark.agreement} · {mark.by} · {mark.reason}")


def show_result(record: ResultRecord) -> None:
    """Print the figures that lead, of every method at every hospital."""
    language = language_of(os.environ)
    words = _WORDS[language]
    for metric in [name for name in record.metrics if name in record.mean][:MOST_TABLES]:
        mean = record.mean[metric]
        shown = [method for method in METHODS if mean[method] is not None]
        names = [f"{_METHODS[language][METHODS.index(method)]} #" for method in shown]
        rows: list[list[object]] = [
            [
                getattr(spoken(site.title), language),
                site.n_test,
                *_figures(site.figures[metric], shown),
            ]
            for site in record.sites
        ]
        rows.append([words[2], "", *_figures(mean, shown)])
        rows.append([words[3], "", *_figures(record.worst[metric], shown)])
        title = getattr(metric_words(metric, record.target.unit), language)
        show_rows(title, (words[0], words[1], *names), rows)


def _figures(row: Row, shown: list[str]) -> list[float | None]:
    return [row[method] for method in shown]
