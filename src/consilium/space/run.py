"""Running what a space file says: register its datasets, run its studies, write the reports.

Everything goes through the nodes' own APIs, as a person at each hospital would
do it. What is added here belongs to the space alone: the pooled row where the
data are public, the verdict over all members' evidence, and the report.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from consilium.kernel.clock import Clock, SystemClock, write_time
from consilium.kernel.errors import ConsiliumError, NotFoundError
from consilium.kernel.identifiers import ParticipantId
from consilium.kernel.version import __version__
from consilium.ledger.files import write_atomic
from consilium.space.client import Client
from consilium.space.home import node_home
from consilium.space.offers import draft_record, terms_record
from consilium.space.plans import HUB_NAME, DatasetPlan, ParticipantPlan, StudyPlan
from consilium.space.pooled import add_pooled
from consilium.space.processes import RunningSpace
from consilium.space.proof import verify_home
from consilium.space.record import EvidenceVerdict, ResultRecord
from consilium.space.report import EvidenceLine, Member, Story, TermsLine, render_report
from consilium.space.watch import Stage, Watch, silent

LOG = logging.getLogger(__name__)
RESULTS = "results"
"""Folder of a space home that holds records and reports."""
AT_ONCE = 4
"""Datasets taken in side by side; each has a process of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished study: its record, where it and the report lie, and the space's home."""

    home: Path
    record: ResultRecord
    record_path: Path
    report_path: Path


def run_studies(
    space: RunningSpace, *, watch: Watch = silent, language: str = "en", clock: Clock | None = None
) -> list[Finished]:
    """Register all datasets and run all studies of the space file, one after another.

    Parameters
    ----------
    space : RunningSpace
        The space, up.
    watch : callable
        Told how far it is.
    language : str
        What the reports show first, `en` or `zh`.
    clock : Clock, optional
        For the end of terms; the machine's own by default.

    Raises
    ------
    NotFoundError
        `space.no_study`.
    ConsiliumError
        What a node reported.
    """
    if not space.plan.studies:
        raise NotFoundError("space.no_study")
    register_datasets(space, watch=watch, clock=clock or SystemClock())
    return [run_study(space, study, watch=watch, language=language) for study in space.plan.studies]


def register_datasets(space: RunningSpace, *, watch: Watch, clock: Clock) -> None:
    """Register each hospital's datasets, the hospitals side by side.

    Those registered in an earlier run stay as they are.
    """
    todo = [(each, one) for each in space.plan.participants for one in each.datasets]
    watch(Stage.DATASETS, 0, len(todo))
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        running = [pool.submit(_register, space, each, one, clock=clock) for each, one in todo]
        for number, done in enumerate(as_completed(running), start=1):
            done.result()
            watch(Stage.DATASETS, number, len(todo))


def _register(
    space: RunningSpace, participant: ParticipantPlan, dataset: DatasetPlan, *, clock: Clock
) -> None:
    with Client(space.wire(participant.name)) as client:
        if any(known.get("name") == dataset.name for known in client.datasets.list()):
            return
        client.datasets.add(
            dataset.path,
            schema=dataset.schema,
            name=dataset.name,
            title=dataset.title,
            public=dataset.public,
            governance=dataset.governance,
            budget=dataset.budget,
            terms=terms_record(
                dataset.terms,
                space=space.plan.name,
                recipes=_recipes_on(space, participant.name, dataset.name),
                clock=clock,
            ),
        )


def run_study(
    space: RunningSpace, study: StudyPlan, *, watch: Watch = silent, language: str = "en"
) -> Finished:
    """Run one study at its lead's node and write record and report."""
    with Client(space.wire(study.lead)) as client:
        tell = StudyProgress(watch, study)
        record = client.studies.run(seen=tell, **draft_record(study, space=space.plan.name))
        record = add_pooled(record, space.plan, study)
        lines = prove_members(space)
        record = replace(
            record,
            evidence=EvidenceVerdict(
                entries=sum(line.entries for line in lines),
                verified=all(line.verified for line in lines),
            ),
        )
        story = tell_story(space, study, client=client, lines=lines)
    return _write(space, study, record, story, language=language)


def prove_members(space: RunningSpace) -> tuple[EvidenceLine, ...]:
    """Prove the evidence log of every hospital and of the hub, offline."""
    names = [*(each.name for each in space.plan.participants), HUB_NAME]
    return tuple(_prove(space, name) for name in names)


def tell_story(
    space: RunningSpace, study: StudyPlan, *, client: Client, lines: tuple[EvidenceLine, ...]
) -> Story:
    """Gather the words that stand around the figures."""
    plan = space.plan
    members = tuple(
        Member(
            id=plan.id_of(member),
            title=plan.get_participant(member).title,
            dataset=plan.get_dataset(member, name).title,
            public=plan.get_dataset(member, name).public,
            lead=member == study.lead,
        )
        for member, name in study.datasets.items()
    )
    return Story(
        space=plan.name,
        title=study.title,
        question=study.question,
        purpose=study.purpose,
        members=members,
        terms=_terms_lines(client, {member.id for member in members}),
        evidence=lines,
        home=str(node_home(space.home, study.lead)),
        created=write_time(SystemClock().now()),
        version=__version__,
    )


class StudyProgress:
    """Turns a study's events into stages and counts."""

    def __init__(self, watch: Watch, study: StudyPlan) -> None:
        self._watch = watch
        self._rounds = study.rounds
        self._sites = len(study.datasets)
        self._steps = 0

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take one event of the study."""
        kind, facts = str(event["kind"]), dict(event.get("facts", {}))
        if kind == "recruiting":
            self._watch(Stage.AGREEMENTS, 0, 2 * self._sites)
        elif kind in {"agreed", "opened"}:
            # Each hospital first agrees, then takes the signed plan.
            self._steps += 1
            self._watch(Stage.AGREEMENTS, self._steps, 2 * self._sites)
        elif kind == "submitted":
            self._watch(Stage.ROUNDS, 0, self._rounds)
        elif kind == "round_closed":
            self._watch(Stage.ROUNDS, int(facts["round"]), self._rounds)
        elif kind == "evaluation_started":
            self._watch(Stage.EVALUATION, 0, 1)
        elif kind == "evaluated":
            self._watch(Stage.EVALUATION, 1, 1)


def _recipes_on(space: RunningSpace, member: str, dataset: str) -> set[str]:
    """Name the recipes that the file's studies use on a dataset."""
    return {study.recipe for study in space.plan.studies if study.datasets.get(member) == dataset}


def _prove(space: RunningSpace, name: str) -> EvidenceLine:
    """Prove one log, against the checkpoint that the hub received last where there is one."""
    member = space.plan.id_of(name)
    checkpoint = _ask_witness(space, member)
    try:
        verdict = verify_home(node_home(space.home, name), checkpoint=checkpoint)
    except ConsiliumError as error:
        return EvidenceLine(member=member, entries=0, verified=False, reason=error.code)
    return EvidenceLine(
        member=member,
        entries=verdict.entries,
        verified=verdict.verified,
        witnessed=checkpoint is not None,
        reason=verdict.reason_code or "",
    )


def _ask_witness(space: RunningSpace, member: ParticipantId) -> str | None:
    """Ask the hub for a member's last checkpoint; a hub that has none proves nothing false."""
    try:
        with Client(space.wire(HUB_NAME)) as hub:
            return hub.evidence.witnessed(member)
    except ConsiliumError as error:
        LOG.info("no checkpoint of %s from the hub: %s", member, error.code)
        return None


def _terms_lines(client: Client, members: set[str]) -> tuple[TermsLine, ...]:
    """Take the latest agreement with each member, in the members' order."""
    found: dict[str, TermsLine] = {}
    for record in client.agreements.list():
        if record.get("role") == "consumer" and record.get("provider") in members:
            terms = dict(record["terms"])
            found[record["provider"]] = TermsLine(
                provider=record["provider"],
                agreement=record["id"],
                purposes=tuple(terms["purposes"]),
                not_after=terms["not_after"],
                count=terms.get("count"),
                max_rounds=terms.get("max_rounds"),
                min_cohort=terms.get("min_cohort"),
                recipients=tuple(terms["recipients"]),
            )
    return tuple(found[each] for each in sorted(found))


def _write(
    space: RunningSpace, study: StudyPlan, record: ResultRecord, story: Story, *, language: str
) -> Finished:
    folder = space.home / RESULTS
    folder.mkdir(exist_ok=True, mode=0o700)
    record_path, report_path = folder / f"{study.name}.json", folder / f"{study.name}.html"
    write_atomic(record_path, (record.as_line() + "\n").encode())
    write_atomic(report_path, render_report(record, story, language=language).encode())
    return Finished(
        home=space.home, record=record, record_path=record_path, report_path=report_path
    )
