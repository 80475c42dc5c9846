"""Judging a model at one hospital, on its own held-out patients.

The federated model never stands alone: beside it stand what the hospital could
make of it (recalibrated, fine-tuned, personalised), a model trained on the
site's own data alone, and what one would say without a model. What leaves is
aggregate: figures with intervals, and groups of a minimum size.

The site also chooses which candidate it would use, on patients of its training
side. The held-out part is never asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from consilium.federation.contract import Cases, Prepared, Tensor
from consilium.federation.evaluation.choice import choose
from consilium.federation.evaluation.judge import Judge, read_all
from consilium.kernel.canonical import Json
from consilium.measures.records import TOO_FEW, Measurement

MAJORITY = "majority"
NOT_FINITE = "federation.not_finite"


def evaluate_site(judge: Judge, prepared: Prepared) -> dict[str, Json]:
    """Judge a model for any kind of target on the held-out part.

    Parameters
    ----------
    judge : Judge
        Recipe, weights, settings and plan.
    prepared : Prepared
        The site's cases.

    Returns
    -------
    dict
        `n_train` (with the validation part), `n_test`; `rows`, by candidate
        and for the `majority` guess each figure of the target's kind as a
        measurement's record; `bins`, for targets with chances, the calibration
        of federated, recalibrated and the chosen one; `choice`; further facts
        of the chosen one by kind (`decision`, `classes`).

    Discloses
    ---------
    Figures over the held-out part with intervals, two counts of cases, and
    groups of at least `plan.min_cases` cases. Never a row, a prediction of one
    patient, local or personal weights, or the site's recalibration.

    Sources
    -------
    Steyerberg, Clinical Prediction Models, 2nd ed. 2019, chapters 15 and 20.
    """
    train, held_out = prepared.train, prepared.held_out
    candidates = judge.fit(train)
    said = read_all(judge, candidates, held_out)
    choice = choose(judge, prepared, fitted=candidates)
    rows = said | {MAJORITY: judge.kind.guess(train, held_out)}
    validation = 0 if prepared.validation is None else prepared.validation.n
    return {
        "n_train": train.n + validation,
        "n_test": held_out.n,
        "rows": {name: _measured(judge, held_out, one) for name, one in rows.items()},
        "bins": _bins(judge, held_out, said, chosen=str(choice["chosen"])),
        "choice": choice,
        **_detail(judge, held_out, said[str(choice["chosen"])]),
    }


def _measured(judge: Judge, cases: Cases, said: Tensor | None) -> Mapping[str, Json]:
    if said is None:
        lost = Measurement(value=None, n=cases.n, reason=NOT_FINITE)
        return dict.fromkeys(judge.kind.metrics, lost.as_record())
    seed = int(judge.plan.chance.draw("bootstrap").integers(2**31))
    found = judge.kind.measure(cases, said, seed=seed, resamples=judge.plan.resamples)
    least = judge.plan.min_cases
    return {name: _told(found[name], cases.n, least).as_record() for name in judge.kind.metrics}


def _told(found: Measurement, n: int, least: int) -> Measurement:
    """Count all cases judged, and keep a figure back that stands on a few of them only."""
    if found.n < min(n, least) and found.value is not None:
        return Measurement(value=None, n=n, reason=TOO_FEW)
    return replace(found, n=n)


def _bins(
    judge: Judge, cases: Cases, said: Mapping[str, Tensor | None], *, chosen: str
) -> dict[str, Json]:
    shown = {"federated", "recalibrated", chosen}
    found: dict[str, Json] = {}
    for name in sorted(shown & said.keys()):
        one = said[name]
        minimum = judge.plan.min_cases
        found[name] = [] if one is None else judge.kind.group(cases, one, minimum=minimum)
    return found


def _detail(judge: Judge, cases: Cases, said: Tensor | None) -> dict[str, Json]:
    if said is None or not cases.n:
        return {}
    return judge.kind.detail(cases, said, plan=judge.plan)
