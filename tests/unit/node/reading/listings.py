"""Catalogue entries for tests."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from consilium.dataspace.catalog import FieldShown, Listing
from consilium.dataspace.records import Terms
from consilium.federation.registry import Recipes
from consilium.kernel.clock import SystemClock
from consilium.kernel.identifiers import DatasetId, OfferId, ParticipantId
from consilium.ledger.files import Digest
from consilium.node.catalogue import Catalogue

RECIPES = Recipes()
CLOCK = SystemClock()
NORTH, SOUTH, WEST = (
    ParticipantId(f"did:web:example.org:{name}") for name in ("north", "south", "west")
)
AGE = FieldShown(name="age", kind="number", unit="a", categories=(), code="", range=(0.0, 120.0))
SEX = FieldShown(name="sex", kind="category", unit="", categories=("f", "m"), code="")
TERMS = Terms(
    purposes=("research",),
    not_after="2999-01-01T00:00:00.000000Z",
    count=5,
    max_rounds=40,
    min_cohort=20,
    recipients=(NORTH,),
    algorithms=tuple(RECIPES.digests.values()),
)


def listing(who: ParticipantId, *, terms: Terms = TERMS, **changes: Any) -> Listing:
    """Give a hospital's entry: age and sex, outcome."""
    given: dict[str, Any] = {
        "participant": who,
        "dataset": DatasetId(f"urn:heart:{who}"),
        "name": "heart",
        "title": "心脏病",
        "public": False,
        "n_train": 60,
        "n_test": 30,
        "columns": (AGE, SEX),
        "label": {"field": "outcome"},
        "governance": {},
        "fingerprint": Digest("sha256:" + "0" * 64),
        "offer": OfferId(f"urn:offer:{who}"),
        "policy": {},
        "terms": terms,
    }
    return Listing(**given | changes)


def terms(**changes: Any) -> Terms:
    """Give usual terms with changes."""
    return replace(TERMS, **changes)


class Members:
    """Three hospitals that never change."""

    def list_known(self) -> list[Any]:
        """List them."""
        return [
            SimpleNamespace(admitted=True, identity=SimpleNamespace(participant=who, title=who))
            for who in (NORTH, SOUTH, WEST)
        ]


def catalogue_of(*listings: Listing) -> Catalogue:
    """Make a catalogue that holds these entries and asks nobody."""
    connector: Any = SimpleNamespace(me=NORTH)
    directory: Any = Members()
    found = Catalogue(connector, directory, stale_s=3_600)
    for who in (NORTH, SOUTH, WEST):
        found.keep(
            who,
            f"Hospital {who.rpartition(':')[2]}",
            [one for one in listings if one.participant == who],
        )
    return found
