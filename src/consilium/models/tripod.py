"""The TRIPOD+AI checklist of a model: what its passport answers, and what authors must write."""

from __future__ import annotations

from collections.abc import Iterable

from consilium.models.checklist import (
    Checklist,
    ChecklistItem,
    tell_apart,
    tell_data,
    tell_figures,
    tell_inputs,
    tell_making,
    tell_metrics,
    tell_output,
    tell_recipe,
    tell_sizes,
)
from consilium.models.passports import Passport, figure
from consilium.models.tripod_items import ITEMS

_UPDATED = {
    "recalibrated": "recalibrated: {what} per hospital, fitted on its own training part",
    "fine_tuned": "fine_tuned: further rounds of training at each hospital alone",
    "personalised": "personalised: with what each hospital kept for itself",
}
_CORRECTION = {"classification": "one bias for each class", "regression": "one shift"}
"""What is fitted in recalibration, by task; otherwise one intercept."""


def _hospitals(passport: Passport) -> Iterable[str]:
    names = ", ".join(site.participant for site in passport.sites)
    yield f"{len(passport.sites)} hospitals: {names}"


def _between(passport: Passport) -> Iterable[str]:
    told = [
        site
        for site in passport.sites
        if any(figure(site, "federated", metric) for metric in site.rows.get("federated", {}))
    ]  # one hospital alone shows no differences between hospitals
    return tell_figures(passport, "federated") if len(told) > 1 else ()


def _updating(passport: Passport) -> Iterable[str]:
    what = _CORRECTION.get(passport.capability.task, "one intercept")
    for row, words in _UPDATED.items():
        if any(row in site.rows for site in passport.sites):
            yield words.format(what=what)


TRIPOD = Checklist(
    name="TRIPOD+AI",
    source="Collins et al., BMJ 2024; 385: e078378",
    items=ITEMS,
    facts={
        "1": lambda passport: (f"{passport.lineage.title}; predicts {passport.capability.label}",),
        "3b": lambda passport: (passport.intended_use,),
        "4": lambda passport: filter(None, (passport.lineage.question,)),
        "5a": tell_data,
        "6a": _hospitals,
        "8a": lambda passport: (f"column {passport.capability.label}",),
        "9b": tell_inputs,
        "10": tell_sizes,
        "12a": tell_sizes,
        "12c": tell_making,
        "12d": tell_apart,
        "12e": tell_metrics,
        "12f": _updating,
        "12g": tell_recipe,
        "15": tell_output,
        "18c": lambda passport: (f"signed plan {passport.lineage.plan}",),
        "18f": tell_recipe,
        "21": tell_sizes,
        "22": lambda passport: (f"weights {passport.weights}", *tell_recipe(passport)),
        "23a": lambda passport: tell_figures(passport, "federated"),
        "23b": _between,
        "24": lambda passport: tell_figures(passport, *_UPDATED),
        "26": lambda passport: passport.limitations,
    },
    complete=frozenset({"12f", "23b", "24"}),
)
"""The statement's 27 items in 52 parts."""


def list_tripod_items(passport: Passport) -> tuple[ChecklistItem, ...]:
    """List all items of TRIPOD+AI with what the passport says to each.

    Returns
    -------
    tuple of ChecklistItem
        All 52, in the statement's order.

    Discloses
    ---------
    What stands in the passport, nothing more.

    Sources
    -------
    Collins et al., TRIPOD+AI statement, BMJ 385:e078378, 2024.
    """
    return TRIPOD.list_items(passport)


def write_tripod(passport: Passport) -> str:
    """Write the checklist as a page in Markdown, headings in English and Chinese.

    Discloses
    ---------
    What stands in the passport, nothing more.
    """
    return TRIPOD.write(passport)
