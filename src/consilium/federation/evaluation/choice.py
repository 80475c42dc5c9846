"""Which candidate a site would use: chosen on its own patients, never on the held-out ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from consilium.federation.contract import Cases, EvaluationPlan, Index, Prepared, Tensor
from consilium.federation.evaluation.judge import Judge, Predict, read_all
from consilium.federation.evaluation.kind import TargetKind
from consilium.kernel.canonical import Json

FOLDS = 5
FALLBACK = "federated"
"""What a site uses where nothing can be scored."""


def choose(
    judge: Judge, prepared: Prepared, *, fitted: dict[str, Predict] | None = None
) -> dict[str, Json]:
    """Choose a candidate by its loss on patients of the training side that it was not fitted on.

    On the validation part where the recipe made one of at least
    `plan.min_cases` cases; else over patient-wise folds of the training part,
    each scored by candidates fitted on the others (record 0015). The shared
    model has seen the folds' patients, as one site's share of the federation;
    what stands on it is a little flattered, local training is not.

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
    """
    validation = prepared.validation
    if validation is not None and validation.n >= max(1, judge.plan.min_cases):
        candidates = fitted or judge.fit(prepared.train)
        said = read_all(judge, candidates, validation)
        losses = {name: [_loss(judge.kind, validation, one)] for name, one in said.items()}
        return _best(losses, by="validation")
    folds = deal_folds(prepared.train, judge.plan)
    if len(folds) < 2:
        names = fitted or judge.fit(prepared.train)
        return _best({name: [] for name in names}, by="nothing")
    return _best(_over_folds(judge, prepared.train, folds), by="folds", folds=len(folds))


def deal_folds(train: Cases, plan: EvaluationPlan) -> list[Index]:
    """Deal patients into folds; each fold as a mask over the rows.

    Discloses
    ---------
    Nothing: the folds stay in the job process.
    """
    patients = plan.chance.draw("folds").permutation(np.unique(train.group))
    parts = np.array_split(patients, max(1, min(FOLDS, len(patients))))
    return [np.isin(train.group, part) for part in parts]


_Score = tuple[float, int] | None
"""A loss and the cases it is a mean over; None for predictions that are not finite."""


def _over_folds(judge: Judge, train: Cases, folds: list[Index]) -> dict[str, list[_Score]]:
    losses: dict[str, list[_Score]] = {}
    for fold in folds:
        left_out = train.take(fold)
        said = read_all(judge, judge.fit_without(train.take(~fold)), left_out)
        for name, one in said.items():
            losses.setdefault(name, []).append(_loss(judge.kind, left_out, one))
    return losses


def _loss(kind: TargetKind, cases: Cases, said: Tensor | None) -> _Score:
    """Score predictions; a fold in which the loss is undefined weighs nothing."""
    if said is None:
        return None
    loss = kind.loss(cases, said)
    return (0.0, 0) if loss is None else (loss, cases.n)


def _best(losses: dict[str, list[_Score]], *, by: str, folds: int = 0) -> dict[str, Json]:
    scores: dict[str, float | None] = {name: _mean(each) for name, each in losses.items()}
    known = {name: score for name, score in scores.items() if score is not None}
    chosen = min(known, key=lambda name: known[name]) if known else FALLBACK
    return {"chosen": chosen, "scores": {**scores}, "by": by, "folds": folds}


def _mean(losses: Iterable[_Score]) -> float | None:
    """Average over cases; None where a part is not finite or none is defined."""
    total, cases = 0.0, 0
    for one in losses:
        if one is None:
            return None
        total, cases = total + one[0] * one[1], cases + one[1]
    return total / cases if cases else None
