"""The report as one HTML file that needs nothing else: no script, no network, no font to load."""

from __future__ import annotations

from importlib.resources import files

from consilium.space.proof import marks_of
from consilium.space.record import ResultRecord
from consilium.space.report.charts import calibration, curve_range, curves, key
from consilium.space.report.checklists import checklists
from consilium.space.report.decision import decision_curves
from consilium.space.report.details import class_tables, subgroup_tables
from consilium.space.report.markup import Html, Words, join, plain, tag
from consilium.space.report.story import Story
from consilium.space.report.summary import happened, opening, section, size
from consilium.space.report.tables import (
    evidence_table,
    legend,
    member_table,
    metric_table,
    terms_list,
)
from consilium.space.report.words import METHOD, METRIC, METRIC_MEANING, figure, note_words, spoken


def render_report(record: ResultRecord, story: Story, *, language: str = "en") -> str:
    """Write the whole page.

    Parameters
    ----------
    record : ResultRecord
        The figures.
    story : Story
        Who, on which terms, with what proof.
    language : str
        `en` or `zh`: which of the two is shown first. Both are in the page; a
        switch at its top changes between them without a script.

    Discloses
    ---------
    What record and story hold: aggregate figures, names of hospitals, terms.
    """
    style = files("consilium.space.report").joinpath("style.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{plain(spoken(story.title))} · Consilium"),
        tag("style", Html(style)),
    )
    body = tag("body", *_switch(language), _page(record, story))
    whole = tag("html", head, body, lang="zh-CN" if language == "zh" else "en")
    return f"<!doctype html>\n{whole}\n"


def _switch(language: str) -> list[Html]:
    radios = [
        tag("input", type="radio", name="language", id=each, checked=each == language,
            class_="language", aria_label=spoken)
        for each, spoken in (("en", "English"), ("zh", "中文"))
    ]  # fmt: skip
    labels = [
        tag("label", "English", for_="en", lang="en"),
        tag("label", "中文", for_="zh", lang="zh-CN"),
    ]
    return [*radios, tag("nav", *labels, class_="languages", aria_label="Language / 语言")]


def _page(record: ResultRecord, story: Story) -> Html:
    question = (tag("p", spoken(story.question), class_="question"),) if story.question else ()
    return tag(
        "main",
        tag(
            "header",
            tag(
                "p",
                "Consilium · 会诊",
                tag("span", Words("Study report", "研究报告")),
                class_="brand",
            ),
            tag("h1", spoken(story.title)),
            *question,
        ),
        opening(record, story),
        happened(record, story),
        _results(record),
        *_curves(record),
        *_calibrations(record),
        *decision_curves(record),
        *class_tables(record),
        *subgroup_tables(record),
        section(
            Words("Hospitals and their choices", "医院及其选择"),
            member_table(record, story),
            note=Words(
                "Each hospital chose on its own patients, before the held-out ones were looked at.",
                "各院在查看留出患者之前，依据自己的患者作出选择。",
            ),
        ),
        section(Words("What was agreed", "协议条款"), terms_list(story)),
        _proof(record, story),
        *checklists(record),
        _foot(story),
    )


def _results(record: ResultRecord) -> Html:
    return section(
        Words("Results", "结果"),
        legend(record),
        *(
            _slopes(record) if metric == "slope" else metric_table(record, metric)
            for metric in record.metrics
        ),
        note=Words(
            "Every figure is taken on the hospital's own held-out patients. Small figures and "
            "whiskers are 95 % intervals (bootstrap over patients); mean and worst are taken over "
            "the hospitals where a figure is defined.",
            "所有数值均在各院自己的留出患者上得到。小字与横线为 95% 置信区间（按患者重抽样）；"
            "平均值和最差值只计入有定义的医院。",
        ),
    )


def _slopes(record: ResultRecord) -> Html:
    """Say the calibration slopes in one line for each hospital."""
    lines = [
        tag(
            "li",
            spoken(site.title),
            ": ",
            join(
                tag("span", key(method), " ", METHOD[method], f" {figure(value, digits=2)}",
                    class_="pair")
                for method, value in site.figures["slope"].items()
                if value is not None and method != "majority"
            ) or Html("—"),
        )
        for site in record.sites
    ]  # fmt: skip
    return tag(
        "div",
        tag("h3", METRIC["slope"]),
        tag("p", METRIC_MEANING["slope"], class_="note"),
        tag("ul", *lines, class_="slopes"),
    )


def _curves(record: ResultRecord) -> list[Html]:
    shown = [site for site in record.sites if site.curve]
    if not shown:
        return []
    coin = record.target.kind == "binary"
    scale = curve_range(shown, coin=coin)
    panels = [
        _panel(
            spoken(site.title),
            curves(
                site.curve, rounds=record.rounds, scale=scale, coin=coin, name=spoken(site.title)
            ),
        )
        for site in shown
    ]
    note = Words(
        "Error of the shared model (mean log loss) on each hospital's training patients, round by "
        "round; lower is better. The dashed line is a coin toss.",
        "共享模型在各院训练患者上的误差（平均对数损失），按轮次；越低越好。虚线相当于抛硬币。",
    )
    other = Words(
        "Loss of the shared model on each hospital's training patients, round by round; lower is "
        "better.",
        "共享模型在各院训练患者上的损失，按轮次；越低越好。",
    )
    note = note if coin else other
    return [section(Words("Learning", "学习过程"), _grid(panels), note=note)]


def _calibrations(record: ResultRecord) -> list[Html]:
    shown = [site for site in record.sites if any(site.calibration.values())]
    if not shown:
        return []
    panels = [
        _panel(
            spoken(site.title),
            calibration(
                site.calibration.get("federated", ()),
                site.calibration.get("recalibrated", ()),
                name=spoken(site.title),
            ),
        )
        for site in shown
    ]
    marks = tag(
        "p",
        *(
            tag("span", key(method), " ", METHOD[method], class_="pair")
            for method in ("federated", "recalibrated")
        ),
        class_="marks",
    )
    note = Words(
        "Across: the risk that the model states. Up: the share of those patients who had the "
        "condition. On the diagonal, a stated 30 % means 30 %. Patients are put into "
        "groups of similar risk; too small ones are joined or left out.",
        "横轴：模型给出的风险；纵轴：这些患者中实际患病的比例。落在对角线上表示“30%”确实是 30%。"
        "风险相近的患者归为一组，过小的组会合并或不显示。",
    )
    of_classes = Words(
        "Across: how sure the model is of the class that it names. Up: how often that class was "
        "right. On the diagonal it is as sure as it should be. Patients are put into groups of "
        "similar chance; too small ones are joined or left out.",
        "横轴：模型对所判类别的把握；纵轴：该类别实际正确的比例。落在对角线上表示把握恰当。"
        "把握相近的患者归为一组，过小的组会合并或不显示。",
    )
    return [
        section(
            Words("Can the stated risks be trusted?", "风险数值可信吗？"),
            marks,
            _grid(panels),
            note=of_classes if record.target.kind == "classes" else note,
        )
    ]


def _revoked(record: ResultRecord) -> list[tuple[Words, Html]]:
    """Name the agreements of the model that were revoked, from the marks beside its passport."""
    return [
        (
            Words("Agreement revoked", "合约已撤销"),
            join((tag("code", mark.agreement), " · ", mark.by, " · ", mark.reason)),
        )
        for mark in marks_of(record)
    ]


def _proof(record: ResultRecord, story: Story) -> Html:
    timing, traffic = record.timing, record.bytes
    overhead = sorted(timing.round_overhead_s)
    median = overhead[len(overhead) // 2] if overhead else None
    facts = (
        (Words("Model", "模型"), tag("code", record.model.digest)),
        (Words("Passport", "模型护照"), tag("code", record.model.passport)),
        *_revoked(record),
        (
            Words("Method", "方法"),
            join(
                (
                    tag("code", record.recipe),
                    " · ",
                    tag("code", record.rule),
                    " · ",
                    Words(
                        f"{record.rounds} rounds, seed {record.seed}",
                        f"{record.rounds} 轮，随机种子 {record.seed}",
                    ),
                )
            ),
        ),
        (
            Words("Time", "用时"),
            tag("span", Words(
                f"{figure(timing.total_s, digits=1)} s in all; first round after "
                f"{figure(timing.command_to_first_round_s, digits=1)} s; "
                f"{figure(median, digits=2)} s a round beyond the hospitals' own work (median)",
                f"共 {figure(timing.total_s, digits=1)} 秒；"
                f"{figure(timing.command_to_first_round_s, digits=1)} 秒后开始第一轮；"
                f"每轮除医院自身计算外 {figure(median, digits=2)} 秒（中位数）",
            )),
        ),
        (
            Words("Sent", "传输"),
            tag("span", Words(
                f"{size(traffic.up)} from the hospitals, {size(traffic.down)} to them: "
                "model weights and figures only",
                f"医院发出 {size(traffic.up)}，收到 {size(traffic.down)}：仅模型参数和统计数值",
            )),
        ),
        (Words("Check it yourself", "自行验证"),
         tag("code", f"consilium evidence verify --home {story.home}")),
    )  # fmt: skip
    rows = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    notes = [tag("p", note_words(code), class_="footnote") for code in record.notes]
    return section(
        Words("Evidence and model", "存证与模型"),
        evidence_table(story),
        tag("dl", *rows, class_="facts"),
        *notes,
        note=Words(
            "Each log is a Merkle tree under a signed checkpoint: whoever changes, removes or "
            "reorders an entry is found out.",
            "每份日志都是带签名检查点的默克尔树：任何修改、删除或调换都会被发现。",
        ),
    )


def _panel(title: Words, drawing: Html) -> Html:
    return tag("figure", drawing, tag("figcaption", title))


def _grid(panels: list[Html]) -> Html:
    return tag("div", *panels, class_="grid")


def _foot(story: Story) -> Html:
    day = story.created[:16].replace("T", " ")
    return tag(
        "footer",
        tag(
            "p",
            Words(
                "A research result, not a medical device: it must not guide the care of a patient.",
                "本结果仅供研究，不是医疗器械，不得用于指导患者诊疗。",
            ),
        ),
        tag("p", f"{story.space} · {day} UTC · Consilium {story.version}"),
    )
