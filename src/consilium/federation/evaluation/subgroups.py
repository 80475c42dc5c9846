"""Figures for groups of patients apart, as the plan wants them: by sex, by age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from consilium.federation.contract import Cases, Needs, Tensor
from consilium.federation.evaluation.judge import Judge
from consilium.federation.evaluation.telling import tell_figures
from consilium.gate.subgroups import Places, read_groupings
from consilium.kernel.canonical import Json
from consilium.measures.subgroups import hide_groups


def stratify(cases: Cases, needs: Needs, wanted: Sequence[str]) -> tuple[Places, ...]:
    """Find each case's group for every field that the plan wants apart.

    Parameters
    ----------
    cases : Cases
        As they were read, before `prepare`.
    needs : Needs
        The study's fields.
    wanted : sequence of str
        Such as `sex` and `age:40,60`.

    Raises
    ------
    InputError
        `gate.bad_order`.

    Discloses
    ---------
    Nothing: the places stay in the job process.
    """
    columns = needs.columns
    return tuple(
        one.place(cases.x[:, columns.index(one.need)]) for one in read_groupings(wanted, columns)
    )


def tell_subgroups(judge: Judge, cases: Cases, said: Mapping[str, Tensor | None]) -> list[Json]:
    """Judge candidates in each group of the held-out patients.

    Parameters
    ----------
    judge : Judge
        With `strata`, the groups of all held-out cases for each field.
    cases : Cases
        The held-out part.
    said : mapping of str to array
        What the candidates to show predict.

    Returns
    -------
    list of dict
        For each group `field` and `index` (places in the plan), and either
        `n`, `patients` and `rows` as in an evaluation, or the `reason` why it
        is hidden: fewer than `plan.min_cases` patients, or enough to work out
        such a group. Groups without a patient do not appear.

    Discloses
    ---------
    Figures over groups of at least `plan.min_cases` patients, and their sizes.
    """
    rows: list[Json] = []
    for field, places in enumerate(judge.strata):
        groups = np.unique(places).tolist()
        inside = [np.unique(cases.group[places == one]) for one in groups]
        hidden = hide_groups(inside, least=judge.plan.min_cases)
        for number, one in enumerate(groups):
            place: dict[str, Json] = {"field": field, "index": one}
            if number in hidden:
                rows.append({**place, "reason": hidden[number]})
                continue
            mine = places == one
            figures: dict[str, Json] = {
                name: tell_figures(judge, cases.take(mine), each if each is None else each[mine])
                for name, each in said.items()
            }
            size = {"n": int(mine.sum()), "patients": int(inside[number].size)}
            rows.append({**place, **size, "rows": figures})
    return rows
