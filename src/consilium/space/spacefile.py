"""The space file: a whole data space on one machine, written down in TOML.

Hub, hospitals, their datasets with governance and terms, and the studies to
run. The same file serves a rehearsal before any paperwork, the demo and the
tests; `docs/space-file.md` explains every key.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from consilium.dataspace.governance import FURTHER, GOVERNANCE, check_governance
from consilium.gate.orders import MOST_ROUNDS
from consilium.hub.settings import SPACE_LENGTH
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import check_name, participant_id
from consilium.kernel.tables import Section
from consilium.ledger.jointokens import TITLE_LENGTH
from consilium.space.plans import (
    HUB_NAME,
    DatasetPlan,
    HubPlan,
    ParticipantPlan,
    SpacePlan,
    StudyPlan,
    TermsPlan,
)
from consilium.space.tables import open_tables
from consilium.space.terms import read_budget, read_location, read_terms


def read_space(path: Path, *, data: Path | None = None) -> SpacePlan:
    """Read a space file and check everything that the file alone can tell.

    Parameters
    ----------
    path : Path
        The TOML file.
    data : Path, optional
        The folder that datasets' paths start from; the file's own by default.

    Raises
    ------
    InputError
        One sentence that names the file, the key and the remedy.
    """
    top = open_tables(path)
    space = top.section("space")
    name = _space_name(space)
    title = _short_title(space, name)
    space.end()
    hub = _hub(top.section("hub", optional=True))
    base = (data or path.parent).resolve()
    participants = _unique(
        [_participant(each, base) for each in top.sections("participant", optional=True)], top
    )
    if not participants:
        raise top.refuse("space.no_participants", "participant")
    studies = _unique([_study(each) for each in top.sections("study", optional=True)], top)
    top.end()
    plan = SpacePlan(name=name, title=title, hub=hub, participants=participants, studies=studies)
    _check_references(plan, top)
    return plan


def check_files(plan: SpacePlan) -> None:
    """Check that every dataset's file is there before any process starts.

    Raises
    ------
    InputError
        `space.no_data`.
    """
    for participant in plan.participants:
        for dataset in participant.datasets:
            if not dataset.path.exists():
                raise InputError("space.no_data", dataset=dataset.name, path=str(dataset.path))


def _hub(section: Section) -> HubPlan:
    usual = HubPlan()
    plan = HubPlan(
        host=section.line("host", default=usual.host),
        port=section.whole("port", low=0, high=65535, default=usual.port),
        engine_port=section.whole("engine_port", low=0, high=65535, default=usual.engine_port),
    )
    section.end()
    return plan


def _participant(section: Section, base: Path) -> ParticipantPlan:
    name = _name(section)
    if name == HUB_NAME:
        raise section.refuse("space.taken_name", "name", name=name)
    title, location = _short_title(section, name), read_location(section)
    datasets = [_dataset(each, base) for each in section.sections("dataset", optional=True)]
    section.end()
    return ParticipantPlan(
        name=name, title=title, location=location, datasets=_unique(datasets, section)
    )


def _dataset(section: Section, base: Path) -> DatasetPlan:
    name = _name(section)
    schema = section.line("schema")
    plan = DatasetPlan(
        name=name,
        title=section.line("title", default=name),
        path=base / section.line("path"),
        schema=str(base / schema) if schema.endswith(".toml") else schema,
        public=section.flag("public", default=False),
        governance=_governance(section),
        terms=read_terms(section.section("terms")),
        budget=read_budget(section.section("budget", optional=True)),
    )
    section.end()
    return plan


def _governance(section: Section) -> dict[str, Any]:
    """Check governance as a node will, so that a slip shows before anything starts."""
    given = {
        key: value.isoformat() if isinstance(value, date) else value
        for key, value in section.facts("governance").items()
    }
    try:
        return check_governance(given)
    except InputError as error:
        field = str(error.facts.get("field"))
        known = ", ".join(FURTHER if field in FURTHER else GOVERNANCE)
        raise section.refuse(
            "space.bad_governance", f"governance › {field}", known=known
        ) from error


def read_study(path: Path) -> StudyPlan:
    """Read a study file: the keys of a `[[study]]`, without `lead`, at the top of a file.

    The hospital that runs it leads it, so `lead` stays empty.

    Raises
    ------
    InputError
        One sentence that names the file, the key and the remedy.
    """
    top = open_tables(path)
    plan = _plan(top, lead="")
    top.end()
    return plan


def read_offer(path: Path) -> tuple[dict[str, Any], TermsPlan, dict[str, float]]:
    """Read an offer file: `[governance]`, `[terms]`, `[budget]` as a space file's dataset has them.

    Raises
    ------
    InputError
        One sentence that names the file, the key and the remedy.
    """
    top = open_tables(path)
    governance, terms = _governance(top), read_terms(top.section("terms"))
    budget = read_budget(top.section("budget", optional=True))
    top.end()
    return governance, terms, budget


def _study(section: Section) -> StudyPlan:
    plan = _plan(section, lead=section.line("lead"))
    section.end()
    return plan


def _plan(section: Section, *, lead: str) -> StudyPlan:
    name = _name(section)
    datasets = section.section("datasets")
    sites = {member: datasets.line(member) for member in datasets.names()}
    if not sites:
        raise section.refuse("space.no_sites", "datasets")
    least, usual = min(2, len(sites)), max(min(2, len(sites)), len(sites) - 1)
    return StudyPlan(
        name=name,
        title=section.line("title", default=name),
        question=section.line("question", default=""),
        purpose=section.line("purpose"),
        lead=lead,
        datasets=sites,
        recipe=section.line("recipe"),
        settings=section.facts("settings"),
        rule=section.line("rule", default="fedavg"),
        rule_settings=section.facts("rule_settings"),
        rounds=section.whole("rounds", low=1, high=MOST_ROUNDS),
        quorum=section.whole("quorum", low=least, high=len(sites), default=usual),
        deadline_s=section.number("deadline_s", low=1, high=86_400, default=60),
        seed=section.whole("seed", low=0, high=2**32 - 1, default=42),
        subgroups=section.texts("subgroups", default=()),
    )


def _name(section: Section) -> str:
    name = section.line("name")
    try:
        return check_name(name)
    except InputError as error:
        raise section.refuse("space.bad_name", "name", name=name) from error


def _space_name(section: Section) -> str:
    name = section.line("name")
    try:
        participant_id(name, HUB_NAME)
    except InputError as error:
        raise section.refuse("space.bad_name", "name", name=name) from error
    if len(name) > SPACE_LENGTH:
        raise section.refuse("space.too_long", "name", most=SPACE_LENGTH)
    return name


def _short_title(section: Section, name: str) -> str:
    title = section.line("title", default=name)
    if len(title) > TITLE_LENGTH or not title.isprintable():
        raise section.refuse("space.too_long", "title", most=TITLE_LENGTH)
    return title


_Named = TypeVar("_Named", ParticipantPlan, DatasetPlan, StudyPlan)


def _unique(found: Iterable[_Named], section: Section) -> tuple[_Named, ...]:
    kept = tuple(found)
    names = [each.name for each in kept]
    for name in names:
        if names.count(name) > 1:
            raise section.refuse("space.doubled_name", "name", name=name)
    return kept


def _check_references(plan: SpacePlan, top: Section) -> None:
    """Check that every name in terms and studies is one that the file introduces."""
    members = {each.name: {one.name for one in each.datasets} for each in plan.participants}
    for participant in plan.participants:
        for dataset in participant.datasets:
            place = f"participant {participant.name} › dataset {dataset.name} › terms › recipients"
            for name in dataset.terms.recipients:
                _check_known(top, place, name, members)
    for study in plan.studies:
        place = f"study {study.name} › "
        _check_known(top, f"{place}lead", study.lead, members)
        for member, name in study.datasets.items():
            _check_known(top, f"{place}datasets", member, members)
            _check_known(top, f"{place}datasets › {member}", name, members[member])


def _check_known(top: Section, place: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise top.refuse("space.unknown_name", place, name=name, known=", ".join(sorted(known)))
