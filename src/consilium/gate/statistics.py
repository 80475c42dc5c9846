"""Answering questions: one way in and one way out, for statistics on a hospital's data.

Each answer is one decision. Who asks and on what ground is checked first; then
the data are opened and it is decided what may be told; then place, noise,
partition, answer and evidence are committed in one transaction, and only then
does the answer leave. A question that the data refuse costs what an answer
costs and always looks the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from consilium.gate.admission import House, nowhere
from consilium.gate.arrays import ArrayFiles
from consilium.gate.budgets import charge_epsilon
from consilium.gate.columns import Table, read_table
from consilium.gate.computation import Computation, Computed, compute_exact
from consilium.gate.disclosure import finest, released_rows, select
from consilium.gate.figures import Answer, check_figures, sign_figures
from consilium.gate.hearing import Heard, Request, hear, read_request
from consilium.gate.noise import Draw
from consilium.gate.noisy import draw_figures
from consilium.gate.orders import FieldNeed
from consilium.gate.partition import Axis, Told, columns_of
from consilium.gate.questions import LABEL_CATEGORIES
from consilium.gate.statistics_store import (
    add_answer,
    add_question,
    count_answers,
    count_questions,
    count_step_figures,
    find_answer,
    find_question,
    load_told,
    mark_refused,
    save_told,
)
from consilium.gate.stepping import find_start, sites_of
from consilium.kernel.canonical import Json, canonical_bytes, digest_of, read_json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
)
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.database import Database, Transaction
from consilium.ledger.files import BlobStore
from consilium.ledger.keys import SigningKey
from consilium.readers.schema import Schema

NAME = "statistics"
"""What the installed computation is called where a steward says what is allowed."""
MOST_QUESTIONS = 200
MIN_CASES = 10
TURNS = 5
"""How often a question begins anew because another was answered meanwhile."""
_REFUSALS = (DeniedError, InputError, IntegrityError, NotFoundError)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """What was found out before the transaction: figures, or None where the data refuse.

    `seen` is how many answers about the dataset there were; with another one
    since, the question begins anew. `table` waits for noise to be drawn.
    """

    seen: int
    computed: Computed | None = None
    told: Mapping[Axis, Told] = field(default_factory=dict)
    table: Table | None = None


class StatisticsGate:
    """Answers questions about this hospital's datasets, or refuses them.

    Parameters
    ----------
    database : Database
        The node's.
    me, key, clock : ParticipantId, SigningKey, Clock
        Of this hospital.
    blobs : BlobStore
        Holds the array files of the registered datasets.
    computation : Computation
        The installed code that computes figures, known by its digest.
    min_cases : int, optional
        k: the fewest patients of any group that can be told apart.
    most_questions : int, optional
        Questions under one agreement.
    draw : callable, optional
        Where noise comes from: the system's secret generator.
    location_of : callable, optional
        Gives a member's country or region, "" if unknown.
    """

    def __init__(
        self,
        database: Database,
        *,
        me: ParticipantId,
        key: SigningKey,
        clock: Clock,
        blobs: BlobStore,
        computation: Computation,
        min_cases: int = MIN_CASES,
        most_questions: int = MOST_QUESTIONS,
        draw: Draw = secrets.randbelow,
        location_of: Callable[[ParticipantId], str] = nowhere,
    ) -> None:
        self._database = database
        self._key = key
        self._house = House(
            me=me,
            key=key.public,
            clock=clock,
            installed={NAME: computation.digest},
            location_of=location_of,
        )
        self._arrays = ArrayFiles(blobs)
        self._computation = computation
        self._min_cases = min_cases
        self._most_questions = most_questions
        self._draw = draw

    def answer(self, document: Mapping[str, object], *, caller: ParticipantId) -> str:
        """Answer one step of a question, or refuse it.

        Plan: (1) who asks, on what ground; (2) the same as before has the same
        answer; (3) what may be told, and its figures; (4) everything that this
        costs and changes, with its evidence, in one transaction.

        Parameters
        ----------
        document : mapping
            `question` (the lead's signed statement), `step`, and `answers`
            (the signed answers of the step before, from the second step on).
        caller : ParticipantId
            Who sent it.

        Returns
        -------
        str
            The signed answer; see `consilium.gate.figures`.

        Raises
        ------
        DeniedError
            With the rule that says no; it stands in the evidence log too. What
            the data refuse is always `gate.cohort_overlaps`.

        Discloses
        ---------
        The figures, to whoever gets the returned text; of a refusal, its rule.
        """
        facts: dict[str, Json] = {}
        with self._refusals(facts):
            # 1.
            request = read_request(document, house=self._house)
            facts |= _names(request)
            signed = None
            for _ in range(TURNS):
                with self._database.read() as connection:
                    heard = hear(connection, request, house=self._house, caller=caller)
                facts |= _ground(heard)
                # 2.
                if self._is_known(heard):
                    return self._repeat(heard, facts)
                # 3.
                prepared = self._prepare(heard)
                # 4.
                signed = self._commit(heard, prepared, facts)
                if signed is not None:
                    break
        if signed is None:
            raise StateError("gate.questions_collide")
        if not signed:
            raise DeniedError("gate.cohort_overlaps")
        return signed

    def _is_known(self, heard: Heard) -> bool:
        """Tell whether this step was answered before, under this agreement.

        Raises
        ------
        DeniedError
            As before, if the data refused it.
        """
        with self._database.read() as connection:
            known = find_question(connection, **heard.key)
            before = find_answer(connection, **heard.key, step=heard.request.step)
        if known is not None and known["code"]:
            raise DeniedError(known["code"])
        return before is not None

    def _repeat(self, heard: Heard, facts: dict[str, Json]) -> str:
        """Say again what was said before; it costs nothing and tells nothing new."""
        with self._database.write() as tx:
            hear(tx.connection, heard.request, house=self._house, caller=_lead(heard))
            row = find_answer(tx.connection, **heard.key, step=heard.request.step)
            if row is None:
                raise StateError("gate.questions_collide")
            figures: Any = read_json(str(row["figures"]))
            beta: Any = read_json(str(row["beta"]))
            signed = self._sign(heard, Computed(figures=figures, beta=tuple(beta)))
            self._record_answer(tx, heard, signed, facts | {"repeated": True})
        return signed

    def _prepare(self, heard: Heard) -> Prepared:
        """Open the data and find out what may be told; nothing is kept or sent."""
        question, dataset = heard.request.question, heard.ground.dataset
        k, schema = self._k(heard), Schema.from_record(dataset.schema)
        with self._database.read() as connection:
            seen = count_answers(connection, dataset.id)
            memory = load_told(connection, dataset.id) if k > 1 else {}
            spent = count_step_figures(connection, dataset.id)
            beta = find_start(connection, heard, computation=self._computation)
        columns = _with_memory(question.columns, columns_of(memory), schema)
        with self._arrays.open(dataset.arrays) as file:
            table = read_table(file, columns, schema=schema)
        if question.epsilon:
            return Prepared(seen=seen, table=table)
        selection = select(question, table, memory, k=k)
        if selection is None or not heard.allows(selection.patients(table)):
            return Prepared(seen=seen)
        computed = compute_exact(
            self._computation,
            question,
            table,
            selection,
            step=heard.request.step,
            beta=beta,
            k=k,
            room=table.rows * len(schema.columns) // 2 - spent,
        )
        return Prepared(seen=seen, computed=computed, told=selection.told)

    def _commit(self, heard: Heard, prepared: Prepared, facts: dict[str, Json]) -> str | None:
        """Write all that an answer, or a refusal by the data, costs and changes.

        Returns the signed answer, empty for a refusal, None to begin anew.
        """
        dataset = heard.ground.dataset
        with self._database.write() as tx:
            hear(tx.connection, heard.request, house=self._house, caller=_lead(heard))
            if count_answers(tx.connection, dataset.id) != prepared.seen:
                return None
            facts["place"] = self._claim(tx, heard)
            computed = self._pay_and_draw(tx, heard, prepared)
            if computed is None:
                refusal = DeniedError("gate.cohort_overlaps")
                mark_refused(tx, **heard.key, code=refusal.code)
                about = str(heard.request.question.question)
                tx.record("statistics.refused", about, _told(refusal, facts))
                return ""
            signed = self._sign(heard, computed)
            self._keep(tx, heard, computed)
            save_told(tx, dataset.id, prepared.told)
            self._record_answer(tx, heard, signed, facts)
        return signed

    def _claim(self, tx: Transaction, heard: Heard) -> int:
        """Claim a question's place under its agreement; its further steps find it again."""
        known = find_question(tx.connection, **heard.key)
        if known is not None:
            return int(known["place"])
        place = count_questions(tx.connection, heard.ground.agreement.id) + 1
        if place > self._most_questions:
            raise DeniedError("gate.questions_used_up", most=self._most_questions)
        row = {"place": place, "dataset": heard.ground.dataset.id, "code": ""}
        add_question(tx, {**heard.key, **row, "asked": write_time(self._house.clock.now())})
        return place

    def _pay_and_draw(self, tx: Transaction, heard: Heard, prepared: Prepared) -> Computed | None:
        """Charge the privacy loss, then draw the noise; exact figures are as they are."""
        question, table = heard.request.question, prepared.table
        if table is None:
            return prepared.computed
        charge_epsilon(
            tx,
            agreement=heard.ground.agreement.id,
            dataset=heard.ground.dataset.id,
            epsilon=question.epsilon,
            use=NAME,
            reference=question.content,
            clock=self._house.clock,
        )
        k, rows = self._k(heard), released_rows(question, table)
        figures, patients = draw_figures(
            question, table, rows, finest(question), k=k, draw=self._draw
        )
        if patients < k or not heard.allows(patients):
            return None
        check_figures(figures, names=question.words)
        return Computed(figures=figures)

    def _keep(self, tx: Transaction, heard: Heard, computed: Computed) -> None:
        question = heard.request.question
        row: dict[str, Any] = {
            "step": heard.request.step,
            "dataset": heard.ground.dataset.id,
            "figures": canonical_bytes(computed.figures).decode(),
            "size": check_figures(computed.figures, names=question.words),
            "steps": question.steps,
            "beta": canonical_bytes(list(computed.beta)).decode(),
            "sites": sites_of(heard),
            "answered": write_time(self._house.clock.now()),
        }
        add_answer(tx, {**heard.key, **row})

    def _sign(self, heard: Heard, computed: Computed) -> str:
        question = heard.request.question
        answer = Answer(
            question=question.digest,
            step=heard.request.step,
            participant=self._house.me,
            agreement=heard.ground.agreement.id,
            figures=dict(computed.figures),
            beta=computed.beta,
            public=heard.ground.dataset.public,
            epsilon=question.epsilon,
        )
        return sign_figures(self._key, answer)

    def _record_answer(
        self, tx: Transaction, heard: Heard, signed: str, facts: Mapping[str, Json]
    ) -> None:
        digest = digest_of(signed.encode())
        about = str(heard.request.question.question)
        tx.record("statistics.answered", about, {**facts, "answer": digest})

    def _k(self, heard: Heard) -> int:
        return 1 if heard.ground.dataset.public else self._min_cases

    @contextmanager
    def _refusals(self, facts: Mapping[str, Json]) -> Iterator[None]:
        """Write every refusal into the evidence log before it is told."""
        try:
            yield
        except _REFUSALS as refusal:
            with self._database.write() as tx:
                about = str(facts.get("question", self._house.me))
                tx.record("statistics.refused", about, _told(refusal, facts))
            raise


def _lead(heard: Heard) -> ParticipantId:
    return heard.request.question.lead


def _told(refusal: ConsiliumError, facts: Mapping[str, Json]) -> dict[str, Json]:
    rule = refusal.rule if isinstance(refusal, DeniedError) else refusal.code
    return {**facts, "code": refusal.code, "rule": rule, "reason": refusal.public}


def _names(request: Request) -> dict[str, Json]:
    question = request.question
    return {
        "question": question.question,
        "statistic": question.statistic,
        "asked": question.digest,
        "content": question.content,
        "step": request.step,
        "epsilon": question.epsilon,
        "agreement": request.place.agreement,
    }


def _ground(heard: Heard) -> dict[str, Json]:
    dataset = heard.ground.dataset
    return {"dataset": dataset.id, "public": dataset.public}


def _with_memory(
    columns: tuple[FieldNeed, ...], further: set[str], schema: Schema
) -> tuple[FieldNeed, ...]:
    """Describe the columns of the question, and those that earlier answers were about."""
    known = {column.name for column in columns}
    label = schema.label.field
    more = [
        FieldNeed(name=one.name, kind=one.kind, unit=one.unit, categories=one.categories)
        for one in schema.columns
        if one.name in further - known
    ]
    if label in further - known:
        more.append(FieldNeed(name=label, kind="category", categories=LABEL_CATEGORIES))
    return (*columns, *more)
