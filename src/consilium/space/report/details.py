"""What the report tells apart: each class, and groups of patients such as by sex or age."""

from __future__ import annotations

from collections.abc import Sequence

from consilium.space.record import ResultRecord
from consilium.space.report.charts import key
from consilium.space.report.markup import Html, Words, tag
from consilium.space.report.summary import section
from consilium.space.report.tables import figure_cell, table
from consilium.space.report.words import (
    choice_words,
    figure,
    method_words,
    metric_words,
    reason_words,
    spoken,
)
from consilium.space.results import ClassResult, Figure, SiteResult, SubgroupResult

_CLASS_FIGURES = ("sensitivity", "specificity", "auroc")
_CLASS_WORDS = {
    "sensitivity": Words("Recognised (sensitivity)", "被识别（灵敏度）"),
    "specificity": Words("Others left out (specificity)", "其余被排除（特异度）"),
    "auroc": Words("Ranking (AUROC)", "排序能力（AUROC）"),
}
_MOST_METRICS = 3
"""Figures of a subgroup table: the ones that lead."""


def class_tables(record: ResultRecord) -> list[Html]:
    """Show each class against the rest, hospital by hospital, under the chosen model."""
    shown = [site for site in record.sites if site.classes]
    if not shown:
        return []
    note = Words(
        "The model that the hospital chose, on its held-out patients. Classes of too few patients "
        "are hidden, and with them others from which these could be worked out.",
        "各院所选模型在其留出患者上的结果。患者过少的类不予显示，可据以推算的类也一并隐藏。",
    )
    tables = [_class_table(record, site) for site in shown]
    return [section(Words("Class by class", "逐类结果"), *tables, note=note)]


def subgroup_tables(record: ResultRecord) -> list[Html]:
    """Show groups of patients apart, hospital by hospital."""
    shown = [site for site in record.sites if site.subgroups]
    if not shown:
        return []
    note = Words(
        "A good mean can hide a group that the model fails. Groups of too few patients are hidden, "
        "and with them others from which these could be worked out.",
        "良好的平均值可能掩盖模型在某一人群上的失败。患者过少的组不予显示，可据以推算的组也一并隐藏。",
    )
    tables = [_subgroup_table(record, site) for site in shown]
    return [section(Words("Groups of patients", "患者亚组"), *tables, note=note)]


def _class_table(record: ResultRecord, site: SiteResult) -> Html:
    head = [
        tag("th", Words("Class", "类别"), scope="col"),
        tag("th", Words("Held out", "留出"), scope="col", class_="number"),
        *(tag("th", _CLASS_WORDS[name], scope="col", class_="number") for name in _CLASS_FIGURES),
    ]
    body = [_class_row(record.target.classes, one) for one in site.classes]
    caption = tag("h3", spoken(site.title), tag("small", choice_words(site.chosen)))
    return tag("figure", tag("figcaption", caption), table(head, body, kind="apart"), class_="wide")


def _class_row(names: Sequence[str], one: ClassResult) -> Html:
    name = names[one.index] if one.index < len(names) else str(one.index)
    title = tag("th", spoken(name), scope="row")
    if one.reason:
        return tag("tr", title, *_hidden(one.reason, columns=1 + len(_CLASS_FIGURES)))
    cells = [_cell(getattr(one, figure_)) for figure_ in _CLASS_FIGURES]
    return tag("tr", title, tag("td", f"{one.n}", class_="number"), *cells)


def _cell(found: Figure | None) -> Html:
    if found is None or found.value is None:
        return tag("td", tag("span", "—", class_="none"), class_="number")
    bounds = "" if found.interval is None else "–".join(f"{end:.2f}" for end in found.interval)
    return tag(
        "td", figure(found.value), *((tag("small", bounds),) if bounds else ()), class_="number"
    )


def _subgroup_table(record: ResultRecord, site: SiteResult) -> Html:
    metrics = record.metrics[:_MOST_METRICS]
    methods = list(dict.fromkeys(("federated", site.chosen)))
    head = [
        tag("th", Words("Group", "组别"), scope="col"),
        tag("th", Words("Held out", "留出"), scope="col", class_="number"),
        *(
            tag(
                "th",
                metric_words(metric, record.target.unit),
                tag("small", key(method), " ", method_words(method, record.target.kind)),
                scope="col",
                class_="number",
            )
            for metric in metrics
            for method in methods
        ),
    ]
    body = [_subgroup_row(one, metrics, methods) for one in site.subgroups]
    caption = tag("h3", spoken(site.title), tag("small", choice_words(site.chosen)))
    return tag("figure", tag("figcaption", caption), table(head, body, kind="apart"), class_="wide")


def _subgroup_row(one: SubgroupResult, metrics: Sequence[str], methods: Sequence[str]) -> Html:
    unknown = Words("not recorded", "未记录")
    group = spoken(one.group) if one.group else unknown
    field, unit = spoken(one.field), f" {one.unit}" if one.unit and one.group else ""
    title = tag(
        "th",
        Words(f"{field.en}: {group.en}{unit}", f"{field.zh}：{group.zh}{unit}"),
        scope="row",
    )
    if one.reason:
        return tag("tr", title, *_hidden(one.reason, columns=1 + len(metrics) * len(methods)))
    size = tag("td", f"{one.n}", class_="number")
    cells = [figure_cell(one, metric, method) for metric in metrics for method in methods]
    return tag("tr", title, size, *cells)


def _hidden(reason: str, *, columns: int) -> list[Html]:
    """Say in place of figures why there are none."""
    words = reason_words(reason)
    said = Words(f"hidden: {words.en}", f"已隐藏：{words.zh}")
    return [tag("td", said, colspan=str(columns), class_="none")]
