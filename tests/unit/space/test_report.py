"""The report is one honest file: valid, self-contained, in both languages, escaped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from consilium.measures.targets import OF_TARGET
from consilium.space.record import EvidenceVerdict, ResultRecord
from consilium.space.report import EvidenceLine, Story, render_report
from consilium.space.report.scales import scale_numbers, scale_shares
from consilium.space.report.words import METHOD, METRIC, REASON
from consilium.space.results import METHODS

VOID = {"meta", "input", "br"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "input", "nav", "label", "main", "header",
    "footer", "section", "div", "p", "h1", "h2", "h3", "span", "strong", "small", "code", "ol",
    "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot", "tr", "th", "td", "figure",
    "figcaption", "details", "summary", "svg", "line", "circle", "rect", "path", "polygon",
    "polyline", "text",
}  # fmt: skip


class Reader(HTMLParser):
    """Keeps the tree's shape and complains about what does not nest."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a beginning"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def page(record: ResultRecord, story: Story) -> str:
    return render_report(record, story)


def test_the_page_is_well_formed_and_uses_known_elements_only(page: str) -> None:
    assert page.startswith("<!doctype html>")
    assert set(read(page).tags) <= ALLOWED


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    reader = read(page)
    names = {name for name, _ in reader.attributes}
    assert not names & {"src", "href", "srcset", "action", "data", "poster"}
    assert not any(name.startswith("on") for name in names)
    assert "script" not in reader.tags
    for word in ("http://", "https://", "url(", "@import", "//"):
        assert word not in re.sub(r"<!doctype html>", "", page), word


def test_ids_are_unique_and_labels_point_to_them(page: str) -> None:
    attributes = read(page).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    assert {value for name, value in attributes if name == "for"} <= set(ids)


def test_both_languages_are_in_the_page_and_one_is_chosen(
    record: ResultRecord, story: Story
) -> None:
    for language in ("en", "zh"):
        page = render_report(record, story, language=language)
        assert re.search(rf'id="{language}"[^>]* checked', page)
        assert page.count(" checked") == 1
        for method in METHOD.values():
            assert method.en in page
            assert method.zh in page
    assert render_report(record, story, language="zh").count('<html lang="zh-CN">') == 1


def test_every_english_sentence_has_its_chinese_twin(page: str) -> None:
    assert page.count('class="en"') == page.count('class="zh"') > 60


def test_a_title_in_both_languages_is_split(page: str) -> None:
    assert '<span class="en" lang="en">Hungarian Institute of Cardiology, Budapest</span>' in page
    assert '<span class="zh" lang="zh-CN">匈牙利心脏病研究所</span>' in page


def test_every_figure_of_the_tables_is_shown(page: str, record: ResultRecord) -> None:
    shown = " ".join(read(page).text)
    for site in record.sites:
        for metric in ("auroc", "accuracy", "brier"):
            for value in site.figures[metric].values():
                assert value is None or f"{value:.3f}" in shown
    assert record.model.digest in shown
    assert record.model.passport in shown


def test_an_undefined_figure_is_a_dash_with_its_reason(page: str) -> None:
    assert '<span class="none">—</span>' in page
    assert REASON["measures.one_class"].en in page
    assert REASON["measures.one_class"].zh in page


def test_names_are_escaped(record: ResultRecord, story: Story) -> None:
    hostile = '<script>alert("x")</script>'
    sites = [replace(record.sites[0], title=hostile), *record.sites[1:]]
    record = replace(record.with_sites(sites), recipe=hostile, rule=hostile, notes=(hostile,))
    page = render_report(record, replace(story, title=hostile, question=hostile, home=hostile))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    read(page)


def test_a_failed_proof_is_told_at_the_top(record: ResultRecord, story: Story) -> None:
    bad = EvidenceLine(member="did:web:x:west", entries=3, verified=False, reason="ledger.tail_cut")
    record = replace(record, evidence=EvidenceVerdict(entries=3, verified=False))
    page = render_report(record, replace(story, evidence=(bad,)))
    assert "NOT all proved" in page
    assert "ledger.tail_cut" in page
    assert page.index("Stop and tell a person") < page.index("What happened")


def test_a_model_that_guesses_worse_than_the_majority_is_named(page: str) -> None:
    assert "V.A. Medical Center, Long Beach: the shared model is right less often" in page
    assert "only 16 held-out patients" in page


def test_working_together_that_did_not_pay_is_not_praised(
    record: ResultRecord, story: Story
) -> None:
    sites = [
        replace(
            site,
            figures=site.figures
            | {
                "auroc": site.figures["auroc"]
                | {"local": 0.95, "federated": 0.7, "recalibrated": 0.7}
            },
        )
        for site in record.sites
    ]
    page = render_report(record.with_sites(sites), story)
    assert "working together did not pay" in page
    assert "没有带来收益" in page


def test_a_record_with_almost_nothing_in_it_still_makes_a_page(
    record: ResultRecord, story: Story
) -> None:
    empty = dict.fromkeys(record.sites[0].figures["auroc"])
    site = replace(
        record.sites[0], figures=dict.fromkeys(record.metrics, empty), n_test=0,
        intervals={key: dict.fromkeys(empty) for key in record.sites[0].intervals},
        undefined={}, calibration={}, curve=(), decision=(), subgroups=(),
    )  # fmt: skip
    record = replace(record.with_sites([site]), timing=replace(record.timing, round_overhead_s=()))
    read(render_report(record, replace(story, terms=(), evidence=(), members=())))


def test_the_decision_curve_stands_beside_treating_everybody_and_nobody(page: str) -> None:
    assert "Is it worth acting on?" in page
    assert "按它行动是否值得？" in page
    assert page.count("Decision curve of") == 4
    assert page.count("c-all") > 4


def test_without_a_decision_curve_nothing_is_said_of_it(record: ResultRecord, story: Story) -> None:
    sites = [replace(site, decision=()) for site in record.sites]
    assert "Is it worth acting on?" not in render_report(record.with_sites(sites), story)


def test_groups_are_shown_apart_and_a_hidden_one_says_why(page: str) -> None:
    assert "Groups of patients" in page
    assert "sex: female" in page
    assert "hidden: it would stand on too few patients to be told" in page
    assert "已隐藏：所依据的患者过少，不能透露" in page


@pytest.fixture
def other(result: dict[str, Any]) -> Callable[[str], ResultRecord]:
    """Give a maker of records of another kind of target."""

    def make(kind: str) -> ResultRecord:
        unit = {"number": "points", "survival": "d"}.get(kind, "")
        classes = ["healthy", "轻度 · mild"] if kind == "classes" else []
        result["target"] = {"kind": kind, "label": "y", "classes": classes, "unit": unit}
        for site in result["sites"]:
            for number, name in enumerate(OF_TARGET[kind]):
                values = [0.7, 0.71, 0.72, 0.73, 0.6, 0.5, 0.75]
                scaled = [10 * value if unit == "points" else value for value in values]
                site[name] = dict(zip(METHODS, scaled, strict=True))
                site["intervals"][name] = {m: [v - 0.1, v + 0.1] for m, v in site[name].items()}
                assert number < 4
            site["decision"], site["subgroups"] = [], []
            if kind not in ("binary", "classes"):
                site["calibration"] = {}
        if classes:
            figure = {"value": 0.91, "interval": [0.8, 1.0]}
            told = dict.fromkeys(("sensitivity", "specificity", "auroc"), figure)
            result["sites"][0]["classes"] = [
                {"index": 0, "n": 40, **told},
                {"index": 1, "n": None, "reason": "measures.too_few"},
            ]
        return ResultRecord.from_json(result)

    return make


@pytest.mark.parametrize("kind", sorted(set(OF_TARGET) - {"binary"}))
def test_each_kind_of_target_has_its_own_figures_and_words(
    other: Callable[[str], ResultRecord], story: Story, kind: str
) -> None:
    page = render_report(other(kind), story)
    read(page)
    for name in OF_TARGET[kind]:
        assert METRIC[name].en in page
        assert METRIC[name].zh in page
    assert "Ranking (AUROC)" not in page or kind == "classes"
    assert "coin" not in page
    assert page.count('class="en"') == page.count('class="zh"')


def test_numbers_are_shown_with_their_unit_and_the_least_error_wins(
    other: Callable[[str], ResultRecord], story: Story
) -> None:
    page = render_report(other("number"), story)
    assert "Mean absolute error [points]" in page
    assert "平均绝对误差（points）" in page
    assert "Here working together did not pay" in page  # 7.0 together, 6.0 alone
    assert "lies further off (7.00) than always guessing the mean (5.00)" in page


def test_each_class_is_named_from_the_plan_and_a_small_one_is_hidden(
    other: Callable[[str], ResultRecord], story: Story
) -> None:
    page = render_report(other("classes"), story)
    assert "Class by class" in page
    assert '<span class="zh" lang="zh-CN">轻度</span>' in page
    assert "0.910" in page
    assert page.count("hidden: it would stand on too few patients") == 1


def test_checklists_are_shown_where_the_passport_is_at_hand(
    record: ResultRecord, story: Story, tmp_path: Path
) -> None:
    assert "TRIPOD+AI" not in render_report(record, story)
    path = tmp_path / "model.passport"
    path.write_text("no passport", encoding="utf-8")
    there = replace(record, model=replace(record.model, passport=str(path)))
    assert "TRIPOD+AI" not in render_report(there, story)


def test_scales_end_at_round_numbers_and_hold_everything() -> None:
    for values in ([0.2, 0.31], [-3.0, 4.0], [120.0, 950.0], [1e-4, 3e-4], [5.0], []):
        scale = scale_numbers(values)
        assert all(scale.low <= value <= scale.high for value in values)
        assert 2 <= len(scale.ticks) <= 9
        assert [float(scale.write(at)) for at in scale.ticks] == pytest.approx(scale.ticks)
    assert scale_shares([0.43, 0.99]).ends == (0.4, 1.0)
    assert scale_numbers([2.0, 3.0], zero=True).low == 0.0
