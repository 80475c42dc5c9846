"""The TRIPOD+AI checklist of a model: what its passport answers, and what authors must write.

A passport holds much of what a report needs, and nothing of why. The list says
for each item which facts the passport gives and whether they are all of it, so
that nobody takes a record for a report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from consilium.kernel.canonical import Json
from consilium.models.markdown import escape, table
from consilium.models.passports import Passport, figure
from consilium.models.tripod_items import ITEMS

ANSWERED, IN_PART, AUTHORS = "answered", "in part", "authors"
WORDS = {
    ANSWERED: "answered 已有",
    IN_PART: "in part; authors complete it 部分已有，由作者补充",
    AUTHORS: "authors 由作者撰写",
}
COMPLETE = frozenset({"12f", "23b", "24"})
"""Items of which the passport's facts, where it has them, are the whole answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistItem:
    """One item of the checklist.

    Attributes
    ----------
    number : str
        As in the statement, such as `12d`.
    topic_en, topic_zh : str
        What it asks about, in our words; the statement's wording is binding.
    state : str
        `answered`, `in part` or `authors`.
    facts : tuple of str
        What the passport says to it; empty when the authors must write it.
    """

    number: str
    topic_en: str
    topic_zh: str
    state: str
    facts: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Json]:
        """Give plain JSON."""
        return {
            "number": self.number,
            "topic_en": self.topic_en,
            "topic_zh": self.topic_zh,
            "state": self.state,
            "facts": list(self.facts),
        }


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
    found = []
    for number, (topic_en, topic_zh) in ITEMS.items():
        facts = tuple(FACTS[number](passport)) if number in FACTS else ()
        state = AUTHORS if not facts else ANSWERED if number in COMPLETE else IN_PART
        found.append(
            ChecklistItem(
                number=number, topic_en=topic_en, topic_zh=topic_zh, state=state, facts=facts
            )
        )
    return tuple(found)


def write_tripod(passport: Passport) -> str:
    """Write the checklist as a page in Markdown, headings in English and Chinese.

    Discloses
    ---------
    What stands in the passport, nothing more.
    """
    items = list_tripod_items(passport)
    done = sum(one.state == ANSWERED for one in items)
    partly = sum(one.state == IN_PART for one in items)
    lines = [
        (
            one.number,
            f"{one.topic_en} {one.topic_zh}",
            WORDS[one.state],
            "; ".join(map(escape, one.facts)) or "–",
        )
        for one in items
    ]
    return (
        "\n\n".join(
            (
                f"# TRIPOD+AI: {escape(passport.name)}",
                "Collins et al., BMJ 2024; 385: e078378. Topics in our words; the statement's "
                "wording is binding. 条目以原文为准。",
                f"Of {len(items)} items the passport answers {done} and {partly} in part. "
                f"共 {len(items)} 项，护照已回答 {done} 项，部分回答 {partly} 项。",
                table(
                    ("item 条目", "topic 主题", "state 状态", "from the passport 护照内容"), lines
                ),
            )
        )
        + "\n"
    )


def _sizes(passport: Passport) -> Iterable[str]:
    for site in passport.sites:
        if site.n_train is not None and site.n_test is not None:
            yield f"{site.participant}: {site.n_train} for training, {site.n_test} held out"


def _hospitals(passport: Passport) -> Iterable[str]:
    names = ", ".join(site.participant for site in passport.sites)
    yield f"{len(passport.sites)} hospitals: {names}"


def _data(passport: Passport) -> Iterable[str]:
    return (f"{site.participant}: dataset {site.fingerprint}" for site in passport.sites)


def _inputs(passport: Passport) -> Iterable[str]:
    for one in passport.capability.inputs:
        more = ", ".join(filter(None, (one.unit, "/".join(one.categories))))
        yield f"{one.name} ({one.kind}{', ' if more else ''}{more})"


def _recipe(passport: Passport) -> Iterable[str]:
    what = passport.capability
    yield f"recipe {what.recipe} {what.recipe_version}, {what.recipe_digest}"


def _making(passport: Passport) -> Iterable[str]:
    what, past = passport.capability, passport.lineage
    yield what.family
    yield from _recipe(passport)
    yield from (f"{name} = {value}" for name, value in sorted(what.settings.items()))
    yield f"{past.rule}, {past.rounds} rounds, seed {past.seed}"
    yield from (f"grown from {parent}" for parent in past.parents)


def _metrics(passport: Passport) -> Iterable[str]:
    rows = [row for site in passport.sites for row in site.rows.values()]
    names = sorted({metric for row in rows for metric in row})
    if names:
        yield f"{', '.join(names)}; on each hospital's held-out patients, with bootstrap intervals"


def _apart(passport: Passport) -> Iterable[str]:
    if sum(bool(site.rows) for site in passport.sites) > 1:
        yield "every hospital evaluated apart, on patients that were never trained on"


def _figures(passport: Passport, row: str) -> Iterable[str]:
    for site in passport.sites:
        for metric in sorted(site.rows.get(row, {})):
            found = figure(site, row, metric)
            if found is not None:
                yield f"{site.participant}: {row} {metric} {_with_ends(found)}"


def _with_ends(found: Mapping[str, float]) -> str:
    if found.get("low") is None or found.get("high") is None:
        return f"{found['value']:.3f}, no interval"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _between(passport: Passport) -> Iterable[str]:
    told = [
        site.participant for site in passport.sites if figure(site, "federated", "auroc")
    ]  # one hospital alone shows no differences between hospitals
    return _figures(passport, "federated") if len(told) > 1 else ()


def _updating(passport: Passport) -> Iterable[str]:
    if any("recalibrated" in site.rows for site in passport.sites):
        yield "recalibrated: one intercept per hospital, fitted on its own training part"


FACTS: Mapping[str, Callable[[Passport], Iterable[str]]] = {
    "1": lambda passport: (f"{passport.lineage.title}; predicts {passport.capability.label}",),
    "3b": lambda passport: (passport.intended_use,),
    "4": lambda passport: filter(None, (passport.lineage.question,)),
    "5a": _data,
    "6a": _hospitals,
    "8a": lambda passport: (f"column {passport.capability.label}",),
    "9b": _inputs,
    "10": _sizes,
    "12a": _sizes,
    "12c": _making,
    "12d": _apart,
    "12e": _metrics,
    "12f": _updating,
    "12g": _recipe,
    "15": lambda passport: (passport.capability.task,),
    "18c": lambda passport: (f"signed plan {passport.lineage.plan}",),
    "18f": _recipe,
    "21": _sizes,
    "22": lambda passport: (f"weights {passport.weights}", *_recipe(passport)),
    "23a": lambda passport: _figures(passport, "federated"),
    "23b": _between,
    "24": lambda passport: _figures(passport, "recalibrated"),
    "26": lambda passport: passport.limitations,
}
"""What a passport says to an item; items that are not here are the authors'."""
