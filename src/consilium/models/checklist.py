"""Reporting checklists: what a model's passport answers, and what authors must write.

A passport holds much of what a report needs, and nothing of why. A list says
for each item which facts the passport gives and whether they are all of it, so
that nobody takes a record for a report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from consilium.kernel.canonical import Json
from consilium.models.markdown import escape, table
from consilium.models.passports import Passport, figure

ANSWERED, IN_PART, AUTHORS = "answered", "in part", "authors"
WORDS = {
    ANSWERED: ("answered", "已有"),
    IN_PART: ("in part; authors complete it", "部分已有，由作者补充"),
    AUTHORS: ("authors", "由作者撰写"),
}
"""How each state is said, in English and Chinese."""

Facts = Callable[[Passport], Iterable[str]]
"""What a passport says to one item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistItem:
    """One item of a checklist.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """A published checklist and what passports say to it.

    Attributes
    ----------
    name, source : str
        For people.
    items : mapping of str to pair of str
        Topics by number, English and Chinese, in the statement's order.
    facts : mapping of str to Facts
        By number; items that are not here are the authors'.
    complete : frozenset of str
        Items of which the passport's facts, where it has them, are the whole answer.
    """

    name: str
    source: str
    items: Mapping[str, tuple[str, str]]
    facts: Mapping[str, Facts]
    complete: frozenset[str]

    def list_items(self, passport: Passport) -> tuple[ChecklistItem, ...]:
        """List all items with what the passport says to each.

        Discloses
        ---------
        What stands in the passport, nothing more.
        """
        return tuple(self._item(number, passport) for number in self.items)

    def write(self, passport: Passport) -> str:
        """Write the list as a page in Markdown, headings in English and Chinese.

        Discloses
        ---------
        What stands in the passport, nothing more.
        """
        items = self.list_items(passport)
        done, partly = (sum(one.state == state for one in items) for state in (ANSWERED, IN_PART))
        lines = [
            (
                one.number,
                f"{one.topic_en} {one.topic_zh}",
                " ".join(WORDS[one.state]),
                "; ".join(map(escape, one.facts)) or "–",
            )
            for one in items
        ]
        parts = (
            f"# {self.name}: {escape(passport.name)}",
            f"{self.source}. Topics in our words; the statement's wording is binding. "
            "条目以原文为准。",
            f"Of {len(items)} items the passport answers {done} and {partly} in part. "
            f"共 {len(items)} 项，护照已回答 {done} 项，部分回答 {partly} 项。",
            table(("item 条目", "topic 主题", "state 状态", "from the passport 护照内容"), lines),
        )
        return "\n\n".join(parts) + "\n"

    def _item(self, number: str, passport: Passport) -> ChecklistItem:
        found = self.facts.get(number)
        facts = tuple(found(passport)) if found else ()
        state = AUTHORS if not facts else ANSWERED if number in self.complete else IN_PART
        topic_en, topic_zh = self.items[number]
        return ChecklistItem(
            number=number, topic_en=topic_en, topic_zh=topic_zh, state=state, facts=facts
        )


def tell_sizes(passport: Passport) -> Iterable[str]:
    """Say how many cases each hospital trained on and held out."""
    for site in passport.sites:
        if site.n_train is not None and site.n_test is not None:
            yield f"{site.participant}: {site.n_train} for training, {site.n_test} held out"


def tell_data(passport: Passport) -> Iterable[str]:
    """Name each hospital's dataset by its fingerprint."""
    return (f"{site.participant}: dataset {site.fingerprint}" for site in passport.sites)


def tell_inputs(passport: Passport) -> Iterable[str]:
    """Say what the model reads, with units, categories and shapes."""
    for one in passport.capability.inputs:
        shape = " x ".join(map(str, one.shape))
        more = ", ".join(filter(None, (one.unit, "/".join(one.categories), shape)))
        yield f"{one.name} ({one.kind}{', ' if more else ''}{more})"


def tell_recipe(passport: Passport) -> Iterable[str]:
    """Name the recipe by version and digest."""
    what = passport.capability
    yield f"recipe {what.recipe} {what.recipe_version}, {what.recipe_digest}"


def tell_making(passport: Passport) -> Iterable[str]:
    """Say how the model was made: family, recipe, settings, rule, rounds, seed, parents."""
    what, past = passport.capability, passport.lineage
    yield what.family
    yield from tell_recipe(passport)
    yield from (f"{name} = {value}" for name, value in sorted(what.settings.items()))
    yield f"{past.rule}, {past.rounds} rounds, seed {past.seed}"
    yield from (f"grown from {parent}" for parent in past.parents)


def tell_output(passport: Passport) -> Iterable[str]:
    """Say what the model predicts, with its classes or its unit."""
    what = passport.capability
    more = ", ".join(filter(None, ("/".join(what.classes), what.unit)))
    yield f"{what.task} of {what.label}{f' ({more})' if more else ''}"


def tell_metrics(passport: Passport) -> Iterable[str]:
    """Name the measures that were taken."""
    rows = [row for site in passport.sites for row in site.rows.values()]
    names = sorted({metric for row in rows for metric in row})
    if names:
        yield f"{', '.join(names)}; on each hospital's held-out patients, with bootstrap intervals"


def tell_apart(passport: Passport) -> Iterable[str]:
    """Say that several hospitals were evaluated apart, where they were."""
    if sum(bool(site.rows) for site in passport.sites) > 1:
        yield "every hospital evaluated apart, on patients that were never trained on"


def tell_figures(passport: Passport, *rows: str) -> Iterable[str]:
    """Say every figure of these rows, with its interval."""
    for site in passport.sites:
        for row in rows:
            for metric in sorted(site.rows.get(row, {})):
                found = figure(site, row, metric)
                if found is not None:
                    yield f"{site.participant}: {row} {metric} {_with_ends(found)}"


def tell_choices(passport: Passport) -> Iterable[str]:
    """Say what each hospital chose for itself."""
    return (f"{site.participant} chose {site.chosen}" for site in passport.sites if site.chosen)


def _with_ends(found: Mapping[str, float]) -> str:
    if found.get("low") is None or found.get("high") is None:
        return f"{found['value']:.3f}, no interval"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
