"""What the gate remembers of questions: who asked, what was answered, what that told.

All of it is written in the transaction that lets an answer out, so that a
restart forgets nothing and no two answers can miss one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from consilium.gate.partition import Axis, Told, pack_told, unpack_told
from consilium.kernel.canonical import Digest
from consilium.kernel.identifiers import AgreementId, DatasetId
from consilium.ledger.database import Transaction
from consilium.ledger.tables import METADATA

QUESTIONS = sa.Table(
    "gate_question",
    METADATA,
    sa.Column("agreement", sa.String(200), primary_key=True),
    sa.Column("content", sa.String(80), primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("dataset", sa.String(200), nullable=False),
    sa.Column("code", sa.String(80), nullable=False),
    sa.Column("asked", sa.String(32), nullable=False),
)
"""Questions that cost a place under an agreement, by what they ask. `place`
counts them from 1; `code` is that of a refusal that the data gave, else empty."""

ANSWERS = sa.Table(
    "gate_answer",
    METADATA,
    sa.Column("agreement", sa.String(200), primary_key=True),
    sa.Column("content", sa.String(80), primary_key=True),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("dataset", sa.String(200), nullable=False),
    sa.Column("figures", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("beta", sa.Text, nullable=False),
    sa.Column("sites", sa.Text, nullable=False),
    sa.Column("answered", sa.String(32), nullable=False),
    sa.Index("ix_gate_answer_dataset", "dataset"),
)
"""Answers that left, so that the same question has the same answer, its noise
too. `size` counts figures, `steps` how many the question may take; `beta` and
`sites` are where a step began and whose figures led there, as JSON."""

TOLD = sa.Table(
    "gate_told",
    METADATA,
    sa.Column("dataset", sa.String(200), primary_key=True),
    sa.Column("axis", sa.String(900), primary_key=True),
    sa.Column("cells", sa.LargeBinary, nullable=False),
)
"""The partition of a dataset's rows, by axis; see `gate.partition`."""


def find_question(
    connection: sa.Connection, *, agreement: AgreementId, content: Digest
) -> sa.RowMapping | None:
    """Return a question's row under an agreement, or None when it was never asked."""
    query = sa.select(QUESTIONS).where(
        QUESTIONS.c.agreement == agreement, QUESTIONS.c.content == content
    )
    return connection.execute(query).mappings().first()


def count_questions(connection: sa.Connection, agreement: AgreementId) -> int:
    """Count the questions that an agreement has paid for."""
    query = sa.select(sa.func.count()).where(QUESTIONS.c.agreement == agreement)
    return int(connection.execute(query).scalar_one())


def add_question(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Keep a question."""
    tx.execute(sa.insert(QUESTIONS).values(**row))


def find_answer(
    connection: sa.Connection, *, agreement: AgreementId, content: Digest, step: int
) -> sa.RowMapping | None:
    """Return an answer's row, or None."""
    query = sa.select(ANSWERS).where(
        ANSWERS.c.agreement == agreement, ANSWERS.c.content == content, ANSWERS.c.step == step
    )
    return connection.execute(query).mappings().first()


def add_answer(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Keep an answer."""
    tx.execute(sa.insert(ANSWERS).values(**row))


def count_answers(connection: sa.Connection, dataset: DatasetId) -> int:
    """Count the answers about a dataset, under any agreement."""
    query = sa.select(sa.func.count()).where(ANSWERS.c.dataset == dataset)
    return int(connection.execute(query).scalar_one())


def count_step_figures(connection: sa.Connection, dataset: DatasetId) -> int:
    """Count the figures about a dataset that were answered in several steps."""
    query = sa.select(sa.func.coalesce(sa.func.sum(ANSWERS.c.size), 0)).where(
        ANSWERS.c.dataset == dataset, ANSWERS.c.steps > 1
    )
    return int(connection.execute(query).scalar_one())


def load_told(connection: sa.Connection, dataset: DatasetId) -> dict[Axis, Told]:
    """Read what a dataset's answers have told."""
    query = sa.select(TOLD.c.axis, TOLD.c.cells).where(TOLD.c.dataset == dataset)
    rows = connection.execute(query).all()
    return {Axis.from_key(axis): unpack_told(cells) for axis, cells in rows}


def save_told(tx: Transaction, dataset: DatasetId, told: Mapping[Axis, Told]) -> None:
    """Keep what a dataset's answers have told, axis by axis."""
    for axis, one in told.items():
        same = sa.and_(TOLD.c.dataset == dataset, TOLD.c.axis == axis.key)
        found = tx.execute(sa.update(TOLD).where(same).values(cells=pack_told(one)))
        if found.rowcount == 0:
            fresh = {"dataset": dataset, "axis": axis.key, "cells": pack_told(one)}
            tx.execute(sa.insert(TOLD).values(**fresh))


def mark_refused(tx: Transaction, *, agreement: AgreementId, content: Digest, code: str) -> None:
    """Keep that the data refused a question, so that it is refused for nothing the next time."""
    same = sa.and_(QUESTIONS.c.agreement == agreement, QUESTIONS.c.content == content)
    tx.execute(sa.update(QUESTIONS).where(same).values(code=code))
