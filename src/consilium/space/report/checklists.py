"""The reporting checklists in the report: what the space knows, and what authors must write."""

from __future__ import annotations

from pathlib import Path

from consilium.kernel.errors import ConsiliumError
from consilium.models.checklist import ANSWERED, IN_PART, WORDS, Checklist, ChecklistItem
from consilium.models.claim import CLAIM, is_imaging
from consilium.models.passports import Passport, read_passport
from consilium.models.tripod import TRIPOD
from consilium.space.record import ResultRecord
from consilium.space.report.markup import Html, Words, tag
from consilium.space.report.summary import section
from consilium.space.report.tables import table

MOST_FACTS = 6
"""Facts of one item that are shown; the passport holds the others."""


def checklists(record: ResultRecord) -> list[Html]:
    """Show TRIPOD+AI, and for a model of images CLAIM, where the passport is at hand.

    The passport is read, not verified, as marks are: `consilium passport
    verify` proves it.
    """
    passport = _passport(record)
    if passport is None:
        return []
    shown = (TRIPOD, CLAIM) if is_imaging(passport) else (TRIPOD,)
    note = Words(
        "What a paper about this model must report, and what the model's passport says to it. "
        "Items without a fact are for the authors: the space does not know them.",
        "论文报告该模型时须写明的条目，以及模型护照对此已有的内容。没有内容的条目须由作者撰写：本空间不掌握。",
    )
    return [
        section(
            Words("For the paper", "论文报告清单"),
            *(_checklist(one, passport) for one in shown),
            note=note,
        )
    ]


def _passport(record: ResultRecord) -> Passport | None:
    path = Path(record.model.passport)
    if not path.is_file():
        return None
    try:
        return read_passport(path.read_text(encoding="utf-8"))
    except (ConsiliumError, UnicodeDecodeError):
        return None


def _checklist(checklist: Checklist, passport: Passport) -> Html:
    items = checklist.list_items(passport)
    done, partly = (sum(one.state == state for one in items) for state in (ANSWERED, IN_PART))
    summary = Words(
        f"{checklist.name}: {done} of {len(items)} items answered, {partly} in part",
        f"{checklist.name}：{len(items)} 项中已有 {done} 项，部分已有 {partly} 项",
    )
    head = [
        tag("th", Words("Item", "条目"), scope="col"),
        tag("th", Words("Asks about", "内容"), scope="col"),
        tag("th", Words("State", "状态"), scope="col"),
        tag("th", Words("From the passport", "护照内容"), scope="col"),
    ]
    binding = Words(
        f"{checklist.source}. Topics in our words; the statement's wording is binding.",
        f"{checklist.source}。条目以原文为准。",
    )
    return tag(
        "details",
        tag("summary", summary),
        table(head, [_row(one) for one in items], kind="checklist"),
        tag("p", binding, class_="footnote"),
    )


def _row(one: ChecklistItem) -> Html:
    more = len(one.facts) - MOST_FACTS
    facts = [tag("li", fact) for fact in one.facts[:MOST_FACTS]]
    if more > 0:
        facts.append(tag("li", Words(f"and {more} more", f"另有 {more} 条")))
    state = "done" if one.state == ANSWERED else "part" if one.state == IN_PART else "none"
    return tag(
        "tr",
        tag("th", one.number, scope="row"),
        tag("td", Words(one.topic_en, one.topic_zh)),
        tag("td", Words(*WORDS[one.state]), class_=state),
        tag("td", tag("ul", *facts) if facts else "—", class_="said-facts"),
    )
