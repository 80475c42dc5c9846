"""What the gate remembers of questions, on SQLite and on PostgreSQL."""

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, make_url, text

from consilium.gate.partition import ALL, BIN, Axis, Told
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
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import HeldClock
from consilium.kernel.identifiers import AgreementId, DatasetId
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey

AGREEMENT, DATASET = AgreementId("urn:uuid:a"), DatasetId("urn:uuid:d")
KEY = {"agreement": AGREEMENT, "content": digest_of(b"question")}


def opened(url: str) -> Database:
    clock = HeldClock(datetime(2026, 1, 15, 8, tzinfo=UTC))
    return open_database(url, key=SigningKey.generate(), clock=clock, origin="did:web:space:south")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        found = opened(f"sqlite:///{tmp_path / 'node.db'}")
        yield found
        found.close()
        return
    server = os.environ.get("CONSILIUM_TEST_POSTGRES")
    if not server:
        pytest.skip("CONSILIUM_TEST_POSTGRES names no PostgreSQL server")
    name = f"consilium_{secrets.token_hex(6)}"
    engine = create_engine(make_url(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    found = opened(make_url(server).set(database=name).render_as_string(hide_password=False))
    yield found
    found.close()
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()


def test_cells_come_back_as_they_were_kept(database: Database) -> None:
    cells = np.arange(1_000) % 7
    told = Told(cells=cells, covered=cells > 2)
    for axis in (Axis(ALL), Axis(BIN, ('列,"', "age"))):
        for shown in (told, Told(cells=cells * 9, covered=told.covered)):
            with database.write() as tx:
                save_told(tx, DATASET, {axis: shown})
            with database.read() as connection:
                found = load_told(connection, DATASET)[axis]
            assert np.array_equal(found.cells, shown.cells)
            assert np.array_equal(found.covered, shown.covered)
    with database.read() as connection:
        assert load_told(connection, DatasetId("urn:uuid:other")) == {}


def test_questions_and_answers_are_counted(database: Database) -> None:
    with database.write() as tx:
        add_question(tx, {**KEY, "place": 1, "dataset": DATASET, "code": "", "asked": "now"})
        for step, steps in ((0, 12), (1, 12)):
            row = {"figures": "{}", "size": 10, "steps": steps, "beta": "[]", "sites": ""}
            add_answer(tx, {**KEY, **row, "step": step, "dataset": DATASET, "answered": "now"})
        mark_refused(tx, agreement=AGREEMENT, content=KEY["content"], code="gate.cohort_overlaps")
    with database.read() as connection:
        assert count_questions(connection, AGREEMENT) == 1
        assert count_answers(connection, DATASET) == 2
        assert count_step_figures(connection, DATASET) == 20
        asked = find_question(connection, agreement=AGREEMENT, content=KEY["content"])
        assert asked is not None
        assert asked["code"] == "gate.cohort_overlaps"
        missing = find_answer(connection, agreement=AGREEMENT, content=KEY["content"], step=2)
        assert missing is None
