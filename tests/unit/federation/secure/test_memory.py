"""What a site remembers of sums, in a process and in the node's database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from summing import planned

from consilium.federation.secure import PassingMemory, SumMemory
from consilium.federation.secure.store import StoredMemory
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import DeniedError
from consilium.ledger.database import open_database
from consilium.ledger.keys import SigningKey

UPDATE, OTHER = digest_of(b"update"), digest_of(b"other")
SET, SMALLER = digest_of(b"four"), digest_of(b"three")


@pytest.fixture(params=["passing", "stored"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SumMemory]:
    if request.param == "passing":
        yield PassingMemory()
        return
    database = open_database(
        f"sqlite:///{tmp_path / 'node.db'}",
        key=SigningKey.generate(),
        clock=SystemClock(),
        origin="did:web:x:south",
    )
    yield StoredMemory(database)
    database.close()


def test_a_round_of_an_attempt_is_joined_once(memory: SumMemory) -> None:
    memory.claim_round(planned(4))
    for again in (planned(4), planned(5)):
        with pytest.raises(DeniedError, match="already joined"):
            memory.claim_round(again)
    for other in (planned(4, attempt=2), planned(4, round=2), planned(4, segment=2)):
        memory.claim_round(other)


def test_of_a_round_one_set_is_signed_and_again_is_no_harm(memory: SumMemory) -> None:
    for attempt in (1, 2):
        plan = planned(4, attempt=attempt)
        memory.claim_round(plan)
        for _ in range(2):
            memory.keep_set(plan, UPDATE, survivors=SET, number=4)
        with pytest.raises(DeniedError, match="already signed"):
            memory.keep_set(plan, OTHER, survivors=SMALLER, number=3)
    later = planned(4, round=2)
    memory.claim_round(later)
    memory.keep_set(later, OTHER, survivors=SMALLER, number=3)
    memory.note_revealed(later, seeds=3, keys=1)


def test_an_update_of_a_signed_sum_is_used_up_for_other_rounds(memory: SumMemory) -> None:
    first, second = planned(4), planned(4, round=2)
    memory.claim_round(first)
    memory.check_update(second, UPDATE)
    memory.keep_set(first, UPDATE, survivors=SET, number=4)
    memory.check_update(planned(4, attempt=2), UPDATE)
    memory.check_update(second, OTHER)
    with pytest.raises(DeniedError, match="another round"):
        memory.check_update(second, UPDATE)
