"""Which candidate a site would use: chosen on its own patients, never on the held-out ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Index, Prepared
from consilium.federation.evaluation.judge import CANDIDATES, Judge, Predict, read_all
from consilium.federation.evaluation.kind import Losses
from consilium.kernel.canonical import Json

FOLDS = 5
FALLBACK = "federated"
"""What a site uses where nothing can be scored."""

_Scored = dict[str, Losses | None]
"""Losses by candidate; None where its predictions are not finite."""


def choose(
    judge: Judge, prepared: Prepared, *, fitted: dict[str, Predict] | None = None
) -> dict[str, Json]:
    """Choose a candidate by its loss on patients of the training side that it was not fitted on.

    On the validation part where the recipe made one of at least
    `plan.min_cases` cases; else over patient-wise folds of the training part,
    each scored by candidates fitted on the others (record 0015). The shared
    model has seen the folds' patients, as one site's share of the federation;
    what stands on it is a little flattered, local training is not.

    Of those whose mean loss is within one standard error of the least, the
    first in `CANDIDATES` is taken: what is simplest and most shared.

    Parameters
    ----------
    judge : Judge
        Makes the candidates.
    prepared : Prepared
        The site's cases; the held-out part is not asked.
    fitted : dict, optional
        `judge.fit(prepared.train)`, where the caller has it.

    Returns
    -------
    dict
        `chosen`; `scores`, the mean loss by candidate, null where undefined;
        `by`, which is `validation`, `folds` or, with fewer than two patients,
        `nothing`; `folds`, how many.

    Discloses
    ---------
    One mean loss for each candidate, over no fewer cases than `plan.min_cases`
    where there is a validation part, else over the whole training part.

    Sources
    -------
    Breiman et al., Classification and Regression Trees, 1984, section 3.4.3
    (one standard error).
    """
    validation = prepared.validation
    if validation is not None and validation.n >= max(1, judge.plan.min_cases):
        candidates = fitted or judge.fit(prepared.train)
        return _best(_score(judge, candidates, validation), validation, by="validation")
    folds = deal_folds(prepared.train, judge.plan)
    if len(folds) < 2:
        names = fitted or judge.fit(prepared.train)
        return _told(FALLBACK, dict.fromkeys(names), by="nothing", folds=0)
    scored = _over_folds(judge, prepared.train, folds)
    return _best(scored, prepared.train, by="folds", folds=len(folds))


def deal_folds(train: Cases, plan: EvaluationPlan) -> list[Index]:
    """Deal patients into folds; each fold as a mask over the rows.

    Discloses
    ---------
    Nothing: the folds stay in the job process.
    """
    patients = plan.chance.draw("folds").permutation(np.unique(train.group))
    parts = np.array_split(patients, max(1, min(FOLDS, len(patients))))
    return [np.isin(train.group, part) for part in parts]


def _score(judge: Judge, candidates: Mapping[str, Predict], cases: Cases) -> _Scored:
    said = read_all(judge, candidates, cases)
    return {
        name: None if one is None else judge.kind.losses(cases, one) for name, one in said.items()
    }


def _over_folds(judge: Judge, train: Cases, folds: list[Index]) -> _Scored:
    """Put every case's loss in its place; None as soon as one fold's is."""
    found: _Scored = {}
    for fold in folds:
        scored = _score(judge, judge.fit_without(train.take(~fold)), train.take(fold))
        for name, one in scored.items():
            whole = found.setdefault(name, Losses(each=np.zeros(train.n), weight=np.zeros(train.n)))
            if one is None or whole is None:
                found[name] = None
                continue
            whole.each[fold], whole.weight[fold] = one.each, one.weight
    return found


def _best(scored: _Scored, cases: Cases, *, by: str, folds: int = 0) -> dict[str, Json]:
    scores = {name: _mean(one) for name, one in scored.items()}
    known = {name: scored[name] for name, score in scores.items() if score is not None}
    if not known:
        return _told(FALLBACK, scores, by=by, folds=folds)
    least = min(known, key=lambda name: scores[name] or 0.0)
    near = [
        name
        for name in CANDIDATES
        if name in known and _is_near(known[name], known[least], patients=cases.group)
    ]
    return _told(near[0], scores, by=by, folds=folds)


def _told(
    chosen: str, scores: Mapping[str, float | None], *, by: str, folds: int
) -> dict[str, Json]:
    return {"chosen": chosen, "scores": {**scores}, "by": by, "folds": folds}


def _mean(losses: Losses | None) -> float | None:
    """Average over cases; None where not finite, or where no case counts."""
    if losses is None or not losses.weight.sum():
        return None
    return float(losses.each @ losses.weight / losses.weight.sum())


def _is_near(one: Losses | None, least: Losses | None, *, patients: Index) -> bool:
    """Say whether a mean loss is within one standard error of the least.

    The error is that of the difference on the same cases, patients drawn
    anew: the spread of a ratio of sums over patients, linearised.
    """
    if one is None or least is None:
        return False
    weight = one.weight / one.weight.sum()
    difference = one.each - least.each
    mean = float(difference @ weight)
    place = np.unique(patients, return_inverse=True)[1]
    parts = np.bincount(place, weights=weight * (difference - mean))
    several = len(parts) / max(1, len(parts) - 1)
    return mean <= float(np.sqrt(several * (parts @ parts)))
