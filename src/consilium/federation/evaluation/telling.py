"""From predictions to figures that may be told."""

from __future__ import annotations

from dataclasses import replace

from consilium.federation.contract import Cases, Tensor
from consilium.federation.evaluation.judge import Judge
from consilium.kernel.canonical import Json
from consilium.measures.records import TOO_FEW, Measurement

NOT_FINITE = "federation.not_finite"


def tell_figures(judge: Judge, cases: Cases, said: Tensor | None) -> dict[str, Json]:
    """Take each figure of the target's kind, with its interval, as a measurement's record.

    Discloses
    ---------
    Figures over all cases given. One that stands on fewer than
    `plan.min_cases` of them, because it is undefined for the others, is kept back.
    """
    if said is None:
        lost = Measurement(value=None, n=cases.n, reason=NOT_FINITE)
        return dict.fromkeys(judge.kind.metrics, lost.as_record())
    seed = int(judge.plan.chance.draw("bootstrap").integers(2**31))
    found = judge.kind.measure(cases, said, seed=seed, resamples=judge.plan.resamples)
    least = judge.plan.min_cases
    return {name: _told(found[name], cases.n, least).as_record() for name in judge.kind.metrics}


def _told(found: Measurement, n: int, least: int) -> Measurement:
    """Count all cases judged, so that nobody learns for how many a figure is undefined."""
    if found.n < min(n, least) and found.value is not None:
        return Measurement(value=None, n=n, reason=TOO_FEW)
    return replace(found, n=n)
