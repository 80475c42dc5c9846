"""The tables of the report: figures, members, terms, evidence."""

from __future__ import annotations

from collections.abc import Sequence

from consilium.kernel.identifiers import ParticipantId, member_name
from consilium.space.record import CHOSEN, ResultRecord
from consilium.space.report.charts import (
    cross_mark,
    key,
    methods_shown,
    strip,
    strip_axis,
    strip_range,
    tick_mark,
)
from consilium.space.report.markup import Html, Piece, Words, tag
from consilium.space.report.scales import Scale
from consilium.space.report.story import EvidenceLine, Member, Story, TermsLine
from consilium.space.report.words import (
    before_chinese,
    choice_words,
    method_meaning,
    method_words,
    metric_meaning,
    metric_words,
    purpose_words,
    reason_words,
    show,
    spoken,
    worst_words,
)
from consilium.space.results import Row, SiteResult, SubgroupResult


def metric_table(record: ResultRecord, metric: str) -> Html:
    """Write one metric: a row for each hospital, then mean and worst, with intervals."""
    methods, target = methods_shown(record.sites), record.target
    scale = strip_range(record.sites, metric)
    head = [
        tag("th", Words("Hospital", "医院"), scope="col"),
        *(
            tag(
                "th",
                key(method),
                " ",
                method_words(method, target.kind),
                scope="col",
                class_="number",
            )
            for method in methods
        ),
        tag("th", strip_axis(scale), scope="col", class_="strip", aria_hidden="true"),
    ]
    body = [_site_row(site, metric, methods, scale) for site in record.sites]
    return tag(
        "figure",
        tag(
            "figcaption",
            tag("h3", metric_words(metric, target.unit)),
            tag("p", metric_meaning(metric, target.kind), class_="note"),
        ),
        table(head, body, foot=_over_sites(record, metric, methods), kind="results"),
        *_chosen(record, metric),
        *footnotes(record.sites, metric, methods),
        class_="wide",
    )


def _over_sites(record: ResultRecord, metric: str, methods: Sequence[str]) -> list[Html]:
    """Write mean and worst over hospitals, of a figure that has them."""
    if metric not in record.mean:
        return []
    mean = Words("Mean of hospitals", "各院平均")
    return [
        _summary_row(mean, metric, record.mean[metric], methods),
        _summary_row(worst_words(metric), metric, record.worst[metric], methods),
    ]


def _chosen(record: ResultRecord, metric: str) -> list[Html]:
    """Say what the hospitals reach with the model that each chose for itself."""
    if metric not in record.mean or record.mean[metric][CHOSEN] is None:
        return []
    mean, worst = (
        show(metric, record.mean[metric][CHOSEN]),
        show(metric, record.worst[metric][CHOSEN]),
    )
    words = Words(
        f"With the model that each hospital chose for itself: mean {mean}, worst hospital {worst}.",
        f"各院使用自己所选的模型时：平均 {mean}，最差医院 {worst}。",
    )
    return [tag("p", words, class_="footnote")]


def legend(record: ResultRecord) -> Html:
    """Explain each method in words, with its mark."""
    shown = methods_shown(record.sites)
    return tag(
        "dl",
        *(
            tag(
                "div",
                tag("dt", key(method), " ", method_words(method, record.target.kind)),
                tag("dd", method_meaning(method, record.target.kind)),
            )
            for method in shown
        ),
        class_="legend",
    )


def member_table(record: ResultRecord, story: Story) -> Html:
    """List the hospitals, their data, and what each chose to use."""
    members = {member.id: member for member in story.members}
    head = [
        tag("th", Words("Hospital", "医院"), scope="col"),
        tag("th", Words("Data", "数据"), scope="col"),
        tag("th", Words("Patients", "患者数"), scope="col", class_="number"),
        tag("th", Words("Chose to use", "选择使用"), scope="col"),
    ]
    body = [_member_row(site, members.get(site.id)) for site in record.sites]
    return table(head, body, kind="members")


def terms_list(story: Story) -> Html:
    """Say each agreement in one plain sentence."""
    names = {member.id: spoken(member.title) for member in story.members}
    datasets = {member.id: spoken(member.dataset) for member in story.members}
    return tag(
        "ul",
        *(tag("li", _terms_words(line, names, datasets)) for line in story.terms),
        class_="terms",
    )


def evidence_table(story: Story) -> Html:
    """Show each member's log, its length and the verdict."""
    names = {member.id: spoken(member.title) for member in story.members}
    head = [
        tag("th", Words("Log of", "日志所属"), scope="col"),
        tag("th", Words("Entries", "条目"), scope="col", class_="number"),
        tag("th", Words("Verdict", "结论"), scope="col"),
    ]
    body = [
        tag(
            "tr",
            tag("th", _log_name(line, names), scope="row"),
            tag("td", f"{line.entries:,}", class_="number"),
            tag(
                "td",
                tick_mark() if line.verified else cross_mark(),
                " ",
                _verdict(line),
                class_="good" if line.verified else "bad",
            ),
        )
        for line in story.evidence
    ]
    return table(head, body, kind="evidence")


def _site_row(site: SiteResult, metric: str, methods: Sequence[str], scale: Scale) -> Html:
    cells = [figure_cell(site, metric, method) for method in methods]
    held = Words(f"{site.n_test} held out", f"留出 {site.n_test} 人")
    return tag(
        "tr",
        tag("th", spoken(site.title), tag("small", held), scope="row"),
        *cells,
        tag("td", strip(site, metric, scale=scale, shown=methods), class_="strip"),
    )


def figure_cell(site: SiteResult | SubgroupResult, metric: str, method: str) -> Html:
    """Write a figure with its interval, or a dash and the reason for it."""
    value = site.figures[metric][method]
    if value is None:
        words = reason_words(site.undefined.get(f"{metric}.{method}", ""))
        return tag(
            "td",
            tag("span", "—", class_="none"),
            tag("span", words, class_="said"),
            class_="number",
        )
    interval = site.intervals[metric][method]
    bounds = "" if interval is None else "–".join(show(metric, end, digits=2) for end in interval)
    return tag(
        "td", show(metric, value), *((tag("small", bounds),) if bounds else ()), class_="number"
    )


def _summary_row(title: Words, metric: str, row: Row, methods: Sequence[str]) -> Html:
    return tag(
        "tr",
        tag("th", title, scope="row"),
        *(tag("td", show(metric, row[method]), class_="number") for method in methods),
        tag("td", class_="strip"),
    )


def footnotes(sites: Sequence[SiteResult], metric: str, methods: Sequence[str]) -> list[Html]:
    """Say why each dash is a dash, a reason once with its hospitals."""
    reasons: dict[str, list[Words]] = {}
    for site in sites:
        for method in methods:
            if site.figures[metric][method] is None:
                code = site.undefined.get(f"{metric}.{method}", "")
                reasons.setdefault(code, [])
                if spoken(site.title) not in reasons[code]:
                    reasons[code].append(spoken(site.title))
    lines = [
        Words(
            f"— {'; '.join(name.en for name in names)}: {reason_words(code).en}.",
            f"— {'；'.join(name.zh for name in names)}：{reason_words(code).zh}。",
        )
        for code, names in reasons.items()
    ]
    return [tag("p", line, class_="footnote") for line in lines]


def _member_row(site: SiteResult, member: Member | None) -> Html:
    marks: list[Piece] = []
    if member is not None and member.lead:
        marks += [" ", tag("span", Words("lead", "牵头"), class_="badge")]
    if member is not None and member.public:
        marks += [" ", tag("span", Words("public data", "公开数据"), class_="badge quiet")]
    split = Words(
        f"{site.n_train} + {site.n_test} held out", f"{site.n_train} + 留出 {site.n_test}"
    )
    return tag(
        "tr",
        tag("th", spoken(site.title), *marks, scope="row"),
        tag("td", spoken(member.dataset) if member else "—"),
        tag("td", f"{site.n_train + site.n_test:,}", tag("small", split), class_="number"),
        tag("td", choice_words(site.chosen)),
    )


def _terms_words(line: TermsLine, names: dict[str, Words], datasets: dict[str, Words]) -> Words:
    who = names.get(line.provider, _short(line.provider))
    data = datasets.get(line.provider, Words("its data", "其数据"))
    purposes = [purpose_words(name) for name in line.purposes]
    for_en, for_zh = ", ".join(p.en for p in purposes), "、".join(p.zh for p in purposes)
    to = [names.get(each, _short(each)) for each in line.recipients]
    day = line.not_after[:10]
    to_en = ", ".join(name.en for name in to) or "nobody"
    to_zh = "、".join(name.zh for name in to) or "（无接收方）"
    start = Words(
        f"{who.en} lets {to_en} use “{data.en}”",
        f"{before_chinese(who.zh)}允许{_after_chinese(before_chinese(to_zh))}使用“{data.zh}”",
    )
    if line.recipients == (line.provider,):
        start = Words(
            f"{who.en} uses its own “{data.en}”", f"{before_chinese(who.zh)}使用本院的“{data.zh}”"
        )
    en = [f"{start.en} for {for_en} until {day}"]
    zh = [f"{start.zh}进行{for_zh}，有效期至 {day}"]
    if line.count is not None:
        en.append(f"at most {line.count} studies")
        zh.append(f"最多 {line.count} 项研究")
    if line.max_rounds is not None:
        en.append(f"{line.max_rounds} rounds each")
        zh.append(f"每项最多 {line.max_rounds} 轮")
    if line.min_cohort is not None:
        en.append(f"never on fewer than {line.min_cohort} patients")
        zh.append(f"每次不少于 {line.min_cohort} 名患者")
    return Words(", ".join(en) + ".", "，".join(zh) + "。")


def _after_chinese(name: str) -> str:
    return f" {name}" if name[:1].isascii() else name


def _verdict(line: EvidenceLine) -> Words:
    if line.verified and line.witnessed:
        return Words("whole and unaltered, as the hub witnessed", "完整且未被篡改，与平台见证一致")
    if line.verified:
        return Words("whole and unaltered", "完整且未被篡改")
    reason = f" ({line.reason})" if line.reason else ""
    return Words(f"not proved{reason}", f"未通过验证{reason}")


def _log_name(line: EvidenceLine, names: dict[str, Words]) -> Words:
    if line.member.endswith(":hub"):
        return Words("the hub", "服务平台")
    return names.get(line.member, _short(line.member))


def _short(participant: str) -> Words:
    name = member_name(ParticipantId(participant)) if ":" in participant else participant
    return Words(name, name)


def table(
    head: Sequence[Html], body: Sequence[Html], *, kind: str, foot: Sequence[Html] = ()
) -> Html:
    """Put rows into a table that scrolls on a narrow page."""
    parts = [tag("thead", tag("tr", *head)), tag("tbody", *body)]
    if foot:
        parts.append(tag("tfoot", *foot))
    return tag("div", tag("table", *parts, class_=kind), class_="scroll", tabindex="0")
