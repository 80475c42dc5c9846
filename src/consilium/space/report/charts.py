"""Hand-made SVG: small, sharp in print, coloured by the page's own variables.

Each figure carries a text of its own for those who do not see it, and repeats
nothing that only a colour tells: methods also differ by shape and place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from consilium.measures.targets import WITH_UNIT
from consilium.space.report.markup import Html, Words, plain, tag
from consilium.space.report.scales import Scale, scale_numbers, scale_shares
from consilium.space.results import METHODS, CalibrationBin, CurvePoint, SiteResult

STRIP_WIDTH, LANE = 210, 11
STRIP_PAD = 9
_CORNERS = {
    "recalibrated": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    "fine_tuned": ((0, 1.2), (1.1, -0.85), (-1.1, -0.85)),
    "personalised": (
        (-0.4, -1.2),
        (0.4, -1.2),
        (0.4, -0.4),
        (1.2, -0.4),
        (1.2, 0.4),
        (0.4, 0.4),
        (0.4, 1.2),
        (-0.4, 1.2),
        (-0.4, 0.4),
        (-1.2, 0.4),
        (-1.2, -0.4),
        (-0.4, -0.4),
    ),
    "local": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "pooled": ((0, -1.2), (1.1, 0.85), (-1.1, 0.85)),
}
"""Corners of the methods' shapes: a diamond, triangles, a cross, a square. Others are round."""
LEAST_IN_BIN, MOST_BINS = 8, 8
COIN = math.log(2)
"""Mean log loss of a prediction of 50 % for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Maps values to the drawing: a box with margins and two linear scales."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """Place a value from left to right."""
        low, high = self.x_range
        share = (value - low) / ((high - low) or 1)
        return self.left + share * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Place a value from bottom to top."""
        low, high = self.y_range
        share = (value - low) / ((high - low) or 1)
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)


def marker(method: str, x: float, y: float, *, radius: float = 4.2) -> Html:
    """Draw a method's own shape."""
    kind = f"m m-{method}"
    if method == "majority":
        return tag("path", d=f"M{x - radius:.1f},{y:.1f}h{2 * radius:.1f}", class_=f"{kind} bar")
    if method in _CORNERS:
        places = [(x + dx * radius, y + dy * radius) for dx, dy in _CORNERS[method]]
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        return tag("polygon", points=points, class_=kind)
    return tag("circle", cx=x, cy=y, r=radius, class_=kind)


def key(method: str) -> Html:
    """Draw a method's shape for a table head or a legend."""
    return tag(
        "svg",
        marker(method, 6, 6),
        class_="key",
        viewBox="0 0 12 12",
        width="12",
        height="12",
        aria_hidden="true",
    )


def strip_range(sites: Sequence[SiteResult], metric: str) -> Scale:
    """Return the scale that all strips of a metric share."""
    found = [end for site in sites for end in _ends(site, metric)]
    return scale_numbers(found) if metric in WITH_UNIT else scale_shares(found)


def strip(site: SiteResult, metric: str, *, scale: Scale, shown: Sequence[str]) -> Html:
    """Draw one site's figures with their intervals on the shared scale, a lane each."""
    row, intervals = site.figures[metric], site.intervals[metric]
    lanes = {method: value for method in shown if (value := row[method]) is not None}
    height = LANE * len(shown) + 4
    frame = Frame(
        width=STRIP_WIDTH, height=height, left=STRIP_PAD, right=STRIP_PAD, top=0, bottom=0,
        x_range=scale.ends, y_range=(0, 1),
    )  # fmt: skip
    drawn = [
        tag("line", x1=frame.x(at), x2=frame.x(at), y1="0", y2=float(height), class_="grid")
        for at in scale.ticks
    ]
    for method, value in lanes.items():
        y = LANE * shown.index(method) + LANE / 2 + 2
        interval = intervals[method]
        if interval is not None:
            drawn.append(
                tag("line", x1=frame.x(interval[0]), x2=frame.x(interval[1]), y1=y, y2=y,
                    class_=f"whisker w-{method}")
            )  # fmt: skip
        drawn.append(marker(method, frame.x(value), y, radius=3.6))
    return svg(drawn, frame, label=None, kind="strip")


def strip_axis(scale: Scale) -> Html:
    """Draw the scale that stands above the strips."""
    frame = Frame(
        width=STRIP_WIDTH, height=14, left=STRIP_PAD, right=STRIP_PAD, top=0, bottom=0,
        x_range=scale.ends, y_range=(0, 1),
    )  # fmt: skip
    ticks = scale.ticks
    step = 1 if len(ticks) <= 7 else 2
    drawn = [
        tag("text", scale.write(at), x=frame.x(at), y="11", class_="tick middle")
        for at in ticks[::step]
    ]
    return svg(drawn, frame, label=None, kind="strip")


def curves(
    points: Sequence[CurvePoint], *, rounds: int, scale: Scale, coin: bool, name: Words
) -> Html:
    """Draw the shared model's error at one hospital, round by round; `coin` draws a coin's."""
    frame = Frame(
        width=250, height=160, left=34, right=12, top=10, bottom=28,
        x_range=(0, max(rounds, 2)), y_range=scale.ends,
    )  # fmt: skip
    drawn = grid_lines(frame, scale)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 10**6) if rounds / step <= 5)
    drawn += [
        tag("text", str(at), x=frame.x(at), y=frame.height - 10, class_="tick middle")
        for at in range(0, rounds + 1, step)
    ]
    if coin:
        drawn.append(level_line(frame, COIN))
    found = [(frame.x(p.round), frame.y(p.loss)) for p in points if p.loss is not None]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in found)
    drawn.append(tag("polyline", points=path, class_="curve c-loss"))
    drawn += [tag("circle", cx=x, cy=y, r=2.6, class_="dot c-loss") for x, y in found[-1:]]
    label = Words(f"Learning curve of {name.en}", f"{name.zh}的学习曲线")
    return svg(drawn, frame, label=label, kind="panel")


def level_line(frame: Frame, value: float) -> Html:
    """Draw the dashed line of one value from left to right."""
    y = frame.y(value)
    return tag("line", x1=frame.left, x2=frame.width - frame.right, y1=y, y2=y, class_="ideal")


def merge_bins(bins: Sequence[CalibrationBin]) -> tuple[CalibrationBin, ...]:
    """Join neighbouring bins until each has enough patients to say something."""
    enough = max(LEAST_IN_BIN, sum(each.n for each in bins) // MOST_BINS)
    merged: list[CalibrationBin] = []
    for each in sorted(bins, key=lambda one: one.predicted):
        if merged and merged[-1].n < enough:
            merged[-1] = _join_bins(merged[-1], each)
        else:
            merged.append(each)
    if len(merged) > 1 and merged[-1].n < enough:
        last = merged.pop()
        merged[-1] = _join_bins(merged[-1], last)
    return tuple(merged)


def _join_bins(first: CalibrationBin, second: CalibrationBin) -> CalibrationBin:
    n = first.n + second.n
    return CalibrationBin(
        predicted=(first.predicted * first.n + second.predicted * second.n) / n,
        observed=(first.observed * first.n + second.observed * second.n) / n,
        n=n,
    )


def calibration(
    before: Sequence[CalibrationBin], after: Sequence[CalibrationBin], *, name: Words
) -> Html:
    """Draw predicted risk against what came true, before and after the hospital's adjustment."""
    frame = Frame(
        width=240, height=220, left=38, right=18, top=10, bottom=30,
        x_range=(0, 1), y_range=(0, 1),
    )  # fmt: skip
    drawn = grid_lines(frame, Scale(low=0, high=1, step=0.25), percent=True)
    drawn += [
        tag("text", percent, x=frame.x(at), y=frame.height - 12, class_="tick middle")
        for at, percent in ((0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %"))
    ]
    drawn.append(
        tag("line", x1=frame.x(0), y1=frame.y(0), x2=frame.x(1), y2=frame.y(1), class_="ideal")
    )
    pairs = (("federated", merge_bins(before)), ("recalibrated", merge_bins(after)))
    most = max((each.n for _, bins in pairs for each in bins), default=1)
    for method, bins in pairs:
        places = [(frame.x(each.predicted), frame.y(each.observed), each.n) for each in bins]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
        drawn.append(tag("polyline", points=path, class_=f"curve c-{method}"))
        drawn += [marker(method, x, y, radius=2.4 + 3 * (n / most) ** 0.5) for x, y, n in places]
    label = Words(f"Calibration at {name.en}", f"{name.zh}的校准图")
    return svg(drawn, frame, label=label, kind="panel square")


def curve_range(sites: Sequence[SiteResult], *, coin: bool) -> Scale:
    """Return the scale that all learning curves share.

    Log loss goes from 0 to the next fifth above the worst, a coin's included
    and at most 2; other losses over round steps from 0.
    """
    found = [point.loss for site in sites for point in site.curve if point.loss is not None]
    if not coin:
        return scale_numbers(found, zero=True)
    worst = min(max([COIN, *found]), 2.0)
    return Scale(low=0.0, high=math.ceil(worst * 5) / 5, step=0.2)


def methods_shown(sites: Sequence[SiteResult]) -> list[str]:
    """List the methods that have a figure somewhere: the columns of every table."""
    rows = [row for site in sites for row in site.figures.values()]
    return [method for method in METHODS if any(row[method] is not None for row in rows)]


def tick_mark() -> Html:
    """Draw the mark of a proof that held."""
    shape = tag("path", d="M2.5 8.6 6.3 12.4 13.5 4", class_="check")
    return tag(
        "svg", shape, class_="key", viewBox="0 0 16 16", width="16", height="16", aria_hidden="true"
    )


def cross_mark() -> Html:
    """Draw the mark of a proof that failed."""
    shape = tag("path", d="M3.5 3.5 12.5 12.5M12.5 3.5 3.5 12.5", class_="check")
    return tag(
        "svg", shape, class_="key", viewBox="0 0 16 16", width="16", height="16", aria_hidden="true"
    )


def _ends(site: SiteResult, metric: str) -> list[float]:
    found: list[float] = [v for v in site.figures[metric].values() if v is not None]
    for interval in site.intervals[metric].values():
        found += interval or ()
    return found


def grid_lines(frame: Frame, scale: Scale, *, percent: bool = False) -> list[Html]:
    """Draw a line and a label at each tick from bottom to top."""
    drawn = []
    for at in scale.ticks:
        y = frame.y(at)
        drawn.append(
            tag("line", x1=frame.left, x2=frame.width - frame.right, y1=y, y2=y, class_="grid")
        )
        text = f"{100 * at:.0f} %" if percent else scale.write(at)
        drawn.append(tag("text", text, x=frame.left - 6, y=y + 3.5, class_="tick end"))
    return drawn


def svg(drawn: Sequence[Html], frame: Frame, *, label: Words | None, kind: str) -> Html:
    """Put what was drawn into one picture; `label` says what it shows to those who do not see."""
    spoken = {"role": "img", "aria_label": plain(label)} if label else {"aria_hidden": "true"}
    return tag(
        "svg",
        *drawn,
        class_=kind,
        viewBox=f"0 0 {frame.width:g} {frame.height:g}",
        width=f"{frame.width:g}",
        height=f"{frame.height:g}",
        **spoken,
    )
