"""Cohorts: which datasets of the catalogue one study could take together, and why others not.

Hospitals compare a study's fields with their own before they admit it
(`gate.fit`); this compares catalogues in the same way, before anybody is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from consilium.dataspace.catalog import FieldShown, Listing
from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import FINALIZED
from consilium.dataspace.records import Agreement, Role
from consilium.dataspace.revoked import find_revocation
from consilium.dataspace.store import list_agreements
from consilium.federation.proposal import read_needs
from consilium.federation.recruits import schema_of_listing
from consilium.federation.registry import InstalledRecipe, Recipes
from consilium.kernel.clock import read_time
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.node.catalogue import Catalogue, Entry
from consilium.node.reading.catalogue import CatalogueView, Offer, list_seen
from consilium.node.reading.shapes import Words, say
from consilium.web.paging import Shape
from consilium.web.seats import Scope, Sight

Word = Annotated[str, Field(max_length=200)]


class CohortWish(BaseModel):
    """What a study needs: a recipe, perhaps what is predicted, and fields that must be there."""

    model_config = ConfigDict(extra="forbid")
    recipe: Word
    target: Word = ""
    fields: list[Word] = Field(default_factory=list, max_length=1000)


class Standing(Shape):
    """An agreement that stands already."""

    id: str
    ends: str


class Candidate(Shape):
    """A dataset: whether it fits, else why not; `lacks` names modalities it does not have."""

    dataset: str
    name: str
    description: str
    rows_band: str
    access: str
    mine: bool
    fits: bool
    lacks: list[str]
    why: Words | None
    flaws: list[Words]
    agreement: Standing | None
    offers: list[Offer]


class Hospital(Shape):
    """A hospital with its candidates."""

    participant: str
    title: str
    mine: bool
    datasets: list[Candidate]


class Cohort(Shape):
    """Whom a study could invite. `fields` and `label` are what all that fit would share.

    `targets` are the labels that datasets of the recipe have.
    """

    recipe: str
    label: str
    target: str
    fields: list[str]
    targets: list[str]
    items: list[Hospital]
    fitting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohorts:
    """Finds cohorts in the catalogue."""

    connector: Connector
    recipes: Recipes
    catalogue: Catalogue
    view: CatalogueView

    def find(self, wish: CohortWish, sight: Scope) -> Cohort:
        """Find what fits a wish, among what is in sight.

        Raises
        ------
        InputError
            `console.no_recipe`.
        """
        recipe = self.recipes.find(wish.recipe)
        if recipe is None:
            raise InputError("console.no_recipe", recipe=wish.recipe[:80])
        self.catalogue.look()
        entries = list_seen(self.catalogue.list_entries(), sight)
        refused = {id(one): self._refuse(one.listing, recipe, wish) for one in entries}
        like = self._reference([one.listing for one in entries if not refused[id(one)]])
        standing = self.standing()
        shown = [
            (one, self._judge(one, refused[id(one)], like, recipe, standing)) for one in entries
        ]
        return Cohort(
            recipe=recipe.name,
            label=label_of(like) if like else "",
            target=str(like.target.get("kind", "")) if like else "",
            fields=[one.name for one in like.columns] if like else [],
            targets=sorted({label_of(one.listing) for one in entries if not refused[id(one)]}),
            items=_by_hospital(shown, me=self.connector.me),
            fitting=sum(candidate.fits for _, candidate in shown),
        )

    def standing(self) -> dict[tuple[str, str], Agreement]:
        """Give the agreements that could be used now, by hospital and dataset."""
        now = self.connector.clock.now()
        with self.connector.database.read() as connection:
            return {
                (one.provider, one.dataset): one
                for one in list_agreements(connection, role=Role.CONSUMER)
                if one.state == FINALIZED
                and now < read_time(one.terms.not_after)
                and find_revocation(connection, one.id, role=Role.CONSUMER) is None
            }

    def _refuse(self, listing: Listing, recipe: InstalledRecipe, wish: CohortWish) -> list[Words]:
        """Say why a dataset cannot be in any study of this wish."""
        needs = read_needs(schema_of_listing(listing))
        names = {column.name for column in listing.columns}
        label = label_of(listing)
        missing = [name for name in wish.fields if name not in names]
        why = []
        if not recipe.capability.serves(needs):
            why.append(say("console.recipe_does_not_serve", recipe=recipe.name))
        if recipe.digest not in listing.terms.algorithms:
            why.append(say("console.recipe_not_allowed", recipe=recipe.name))
        if wish.target and wish.target not in (label, needs.target.kind):
            why.append(say("console.other_target", target=label, wanted=wish.target))
        if missing:
            why.append(say("console.no_such_fields", fields=", ".join(missing)))
        return why

    def _reference(self, fitting: Sequence[Listing]) -> Listing | None:
        """Choose whose fields all must have: our own, else those that most share."""
        mine = [one for one in fitting if one.participant == self.connector.me]
        pool = mine or fitting
        if not pool:
            return None
        votes = Counter(_signature(one) for one in fitting)
        return max(pool, key=lambda one: votes[_signature(one)])

    def _judge(
        self,
        entry: Entry,
        why: list[Words],
        like: Listing | None,
        recipe: InstalledRecipe,
        standing: Mapping[tuple[str, str], Agreement],
    ) -> Candidate:
        one = entry.listing
        lacks: list[str] = []
        if like is not None and not why:
            lacks, why = compare(one, like, mixed=len(recipe.capability.modalities) > 1)
        agreed = standing.get((one.participant, one.dataset))
        ends = agreed.terms.not_after if agreed else ""
        row = self.view.show(entry)
        return Candidate(
            dataset=row.dataset,
            name=row.name,
            description=row.description,
            rows_band=row.rows_band,
            access=row.access,
            mine=row.mine,
            fits=not why,
            lacks=lacks,
            why=why[0] if why else None,
            flaws=why,
            agreement=Standing(id=agreed.id, ends=ends) if agreed else None,
            offers=row.offers,
        )


def compare(one: Listing, like: Listing, *, mixed: bool) -> tuple[list[str], list[Words]]:
    """Compare a dataset with the one whose fields count, as the hospital's gate will.

    Returns
    -------
    lacks : list of str
        Modalities that it does not have, where the recipe can do without (`mixed`).
    why : list of Words
        What differs; empty if it fits.
    """
    has = {column.modality for column in one.columns}
    wanted = dict.fromkeys(column.modality for column in like.columns)
    absent = [modality for modality in wanted if modality not in has]
    lacks = absent if mixed and len(absent) < len(wanted) else []
    columns = {column.name: column for column in one.columns}
    why = [
        words
        for need in like.columns
        if need.modality not in lacks
        for words in _differences(need, columns.get(need.name))
    ]
    label = like.label.get("field")
    if one.label.get("field") != label:
        why.append(say("gate.no_such_column", column=label))
    why.extend(
        say("gate.column_differs", column=label, part=f"target.{part}")
        for part in ("kind", "classes", "unit")
        if list_of(one.target.get(part)) != list_of(like.target.get(part))
    )
    return lacks, why


def cohorts_router(cohorts: Cohorts) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["cohorts"])

    @router.post("/cohorts")
    def find(wish: CohortWish, sight: Sight) -> Cohort:
        """Find the datasets that one study could take together."""
        return cohorts.find(wish, sight)

    return router


def label_of(listing: Listing) -> str:
    """Name the field that is predicted."""
    return str(listing.label.get("field", ""))


def list_of(value: Any) -> Any:
    """Give a tuple as a list, anything else as it is."""
    return list(value) if isinstance(value, tuple) else value


def _differences(need: FieldShown, found: FieldShown | None) -> list[Words]:
    if found is None:
        return [say("gate.no_such_column", column=need.name)]
    parts = [
        part
        for part in ("kind", "unit", "modality", "shape")
        if getattr(found, part) != getattr(need, part)
    ]
    if not set(found.categories) <= set(need.categories):
        parts.append("categories")
    return [say("gate.column_differs", column=need.name, part=part) for part in parts[:1]]


def _signature(one: Listing) -> tuple[Any, ...]:
    fields = tuple((each.name, each.kind, each.unit, each.modality) for each in one.columns)
    return (one.label.get("field"), one.target.get("kind"), fields)


def _by_hospital(shown: Sequence[tuple[Entry, Candidate]], *, me: ParticipantId) -> list[Hospital]:
    """Group candidates; hospitals that have one that fits come first."""
    found = []
    for who, group in groupby(shown, key=lambda one: one[0].listing.participant):
        of_one = list(group)
        datasets = sorted((one for _, one in of_one), key=lambda one: not one.fits)
        title = of_one[0][0].title
        found.append(Hospital(participant=who, title=title, mine=who == me, datasets=datasets))
    return sorted(found, key=lambda one: not any(each.fits for each in one.datasets))
