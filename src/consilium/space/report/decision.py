"""Decision curves: what acting on the chosen model gains over treating everybody or nobody."""

from __future__ import annotations

from collections.abc import Sequence

from consilium.space.record import ResultRecord
from consilium.space.report.charts import Frame, grid_lines, level_line, svg
from consilium.space.report.markup import Html, Words, tag
from consilium.space.report.scales import Scale, scale_numbers
from consilium.space.report.summary import section
from consilium.space.report.words import choice_words, spoken
from consilium.space.results import DecisionPoint, SiteResult

_DEEPEST = -0.1
"""Curves that fall further are cut: how useless is too useless to show."""


def decision_curves(record: ResultRecord) -> list[Html]:
    """Draw one curve for each hospital that has one, all on one scale."""
    shown = [site for site in record.sites if len(site.decision) > 1]
    if not shown:
        return []
    scale = _scale(shown)
    panels = [
        tag(
            "figure",
            decision_curve(site.decision, scale=scale, name=spoken(site.title)),
            tag("figcaption", spoken(site.title), tag("small", choice_words(site.chosen))),
        )
        for site in shown
    ]
    marks = tag(
        "p",
        *(
            tag("span", _stroke(kind), " ", words, class_="pair")
            for kind, words in (
                ("model", Words("as the chosen model says", "按所选模型")),
                ("all", Words("treat everybody", "全部处理")),
                ("none", Words("treat nobody", "全部不处理")),
            )
        ),
        class_="marks",
    )
    note = Words(
        "Across: the risk at which one would treat. Up: net benefit, the patients treated rightly "
        "less those treated needlessly, weighed by that risk, for each patient. Where the model's "
        "line is the highest, acting on it does more good than treating everybody or nobody. "
        "Risks that would set few patients apart are left out; the band is the 95 % interval.",
        "横轴：决定处理时的风险阈值；纵轴：净获益，即每名患者中正确处理的比例减去按该阈值加权的"
        "不必要处理。模型曲线最高之处，按模型处理优于全部处理或全部不处理。会区分出少数患者的阈值"
        "不予显示；色带为 95% 置信区间。",
    )
    title = Words("Is it worth acting on?", "按它行动是否值得？")
    return [section(title, marks, tag("div", *panels, class_="grid"), note=note)]


def decision_curve(points: Sequence[DecisionPoint], *, scale: Scale, name: Words) -> Html:
    """Draw net benefit over thresholds, with the two ways that need no model."""
    frame = Frame(
        width=250, height=180, left=40, right=14, top=10, bottom=30,
        x_range=(0, 1), y_range=scale.ends,
    )  # fmt: skip
    drawn = grid_lines(frame, scale)
    drawn += [
        tag("text", text, x=frame.x(at), y=frame.height - 12, class_="tick middle")
        for at, text in ((0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %"))
    ]
    drawn.append(level_line(frame, 0.0))
    band = [(p.threshold, p.low, p.high) for p in points if p.low is not None]
    ends = [(at, high) for at, _, high in band] + [(at, low) for at, low, _ in reversed(band)]
    drawn.append(tag("polygon", points=_path(frame, ends, scale), class_="band"))
    everybody = [(point.threshold, point.treat_all) for point in points]
    drawn.append(tag("polyline", points=_path(frame, everybody, scale), class_="curve c-all"))
    model = [(point.threshold, point.value) for point in points]
    drawn.append(tag("polyline", points=_path(frame, model, scale), class_="curve c-loss"))
    label = Words(f"Decision curve of {name.en}", f"{name.zh}的决策曲线")
    return svg(drawn, frame, label=label, kind="panel")


def _path(frame: Frame, found: Sequence[tuple[float, float | None]], scale: Scale) -> str:
    """Write places; what lies below the scale runs along its foot."""
    return " ".join(
        f"{frame.x(at):.1f},{frame.y(max(value, scale.low)):.1f}"
        for at, value in found
        if value is not None
    )


def _scale(sites: Sequence[SiteResult]) -> Scale:
    found = [
        max(_DEEPEST, end)
        for site in sites
        for point in site.decision
        for end in (point.value, point.high, point.treat_all)
        if end is not None
    ]
    return scale_numbers(found, zero=True)


def _stroke(kind: str) -> Html:
    """Draw a piece of line for the legend."""
    style = {"model": "curve c-loss", "all": "curve c-all", "none": "ideal"}[kind]
    line = tag("line", x1="0", x2="18", y1="6", y2="6", class_=style)
    return tag(
        "svg", line, class_="key", viewBox="0 0 18 12", width="18", height="12", aria_hidden="true"
    )
