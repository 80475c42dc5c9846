"""The CLAIM checklist of an imaging model: what its passport answers, and what authors write."""

from __future__ import annotations

from collections.abc import Iterable

from consilium.models.checklist import (
    Checklist,
    ChecklistItem,
    tell_apart,
    tell_choices,
    tell_data,
    tell_figures,
    tell_inputs,
    tell_making,
    tell_metrics,
    tell_output,
    tell_recipe,
    tell_sizes,
)
from consilium.models.claim_items import ITEMS
from consilium.models.passports import Passport


def is_imaging(passport: Passport) -> bool:
    """Say whether the model reads images, so that the checklist is meant for it."""
    return any(one.kind == "image" for one in passport.capability.inputs)


def _by_patient(passport: Passport) -> Iterable[str]:
    if any(site.n_test is not None for site in passport.sites):
        yield "by patient: nobody is on both sides; fixed when the dataset was registered"


def _arrays(passport: Passport) -> Iterable[str]:
    for name, shape in sorted(passport.capability.arrays.items()):
        yield f"{name}: {' x '.join(map(str, shape)) or 'one number'}"


def _model(passport: Passport) -> Iterable[str]:
    yield from tell_inputs(passport)
    yield from tell_output(passport)
    yield from _arrays(passport)
    yield from tell_recipe(passport)


def _start(passport: Passport) -> Iterable[str]:
    past = passport.lineage
    grown = ", ".join(past.parents)
    yield f"starting model {past.start}, {f'from {grown}' if grown else f'seed {past.seed}'}"


def _final(passport: Passport) -> Iterable[str]:
    yield f"the model of round {passport.lineage.rounds}, the last one planned"
    yield from tell_choices(passport)


CLAIM = Checklist(
    name="CLAIM",
    source="Mongan, Moy and Kahn, Radiology: Artificial Intelligence 2020; 2(2): e200029",
    items=ITEMS,
    facts={
        "1": lambda passport: (f"{passport.capability.task}: {passport.capability.family}",),
        "3": lambda passport: (passport.intended_use,),
        "4": lambda passport: filter(None, (passport.lineage.question,)),
        "6": lambda passport: (f"purpose {passport.lineage.purpose}",),
        "7": tell_data,
        "9": tell_recipe,
        "11": tell_inputs,
        "14": lambda passport: (f"column {passport.capability.label}",),
        "19": tell_sizes,
        "20": tell_sizes,
        "21": _by_patient,
        "22": _model,
        "23": tell_recipe,
        "24": _start,
        "25": tell_making,
        "26": _final,
        "28": tell_metrics,
        "29": lambda passport: (
            "95 % intervals by bootstrap over patients" for _ in tell_metrics(passport)
        ),
        "32": tell_apart,
        "35": lambda passport: tell_figures(passport, "federated"),
        "36": lambda passport: tell_figures(passport, "federated"),
        "38": lambda passport: passport.limitations,
        "41": lambda passport: (f"signed plan {passport.lineage.plan}",),
    },
    complete=frozenset({"21", "24", "28"}),
)
"""The 42 items of 2020. The update of 2024 (44 items) keeps most of them under new numbers."""


def list_claim_items(passport: Passport) -> tuple[ChecklistItem, ...]:
    """List all items of CLAIM with what the passport says to each.

    Returns
    -------
    tuple of ChecklistItem
        All 42, in the statement's order.

    Discloses
    ---------
    What stands in the passport, nothing more.

    Sources
    -------
    Mongan, Moy and Kahn, Radiology: Artificial Intelligence 2(2):e200029, 2020.
    """
    return CLAIM.list_items(passport)


def write_claim(passport: Passport) -> str:
    """Write the checklist as a page in Markdown, headings in English and Chinese.

    Discloses
    ---------
    What stands in the passport, nothing more.
    """
    return CLAIM.write(passport)
