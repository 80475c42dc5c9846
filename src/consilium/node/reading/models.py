"""Models as screens show them: the list, and one with passport, card, marks and releases."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from fastapi import APIRouter

from consilium.models.card import write_card
from consilium.models.marks import read_mark, read_marks
from consilium.models.passports import Passport
from consilium.node.reading.shapes import Record
from consilium.node.reception import PASSPORT
from consilium.node.rooms import Rooms
from consilium.persons.store import list_consents, list_releases
from consilium.web.paging import Page, Paged, Place, Shape, take_page
from consilium.web.seats import Scope, Sight

_MARK = ("agreement", "participant", "by", "time", "reason", "rounds")


class ModelRow(Shape):
    """A model of this hospital."""

    digest: str
    name: str
    label: str
    study: str
    issuer: str
    created: str
    recipe: str
    sites: int
    rounds: int
    marks: list[Record]


class ModelDetail(ModelRow):
    """A model with its passport, its card (markdown) and what was asked about it."""

    passport: Record
    card: str
    releases: list[Record]


def models_router(rooms: Rooms) -> APIRouter:
    """Make the routes that read models."""
    router = APIRouter(tags=["models"])
    reception, me = rooms.reception, rooms.connector.me

    def sees(passport: Passport, sight: Scope) -> bool:
        return sight.sees(study=passport.lineage.study, organisations=(me,))

    @router.get("/models")
    def models(ask: Paged, sight: Sight) -> Page[ModelRow]:
        """List the models that this hospital keeps, the newest first."""
        found = [one for one in reception.list_passports() if sees(one, sight)]
        found.sort(key=_place, reverse=True)
        return take_page(
            found,
            ask,
            place=_place,
            show=lambda one: ModelRow(**_row(one, reception.models)),
            is_falling=True,
        )

    @router.get("/models/{digest}")
    def model(digest: str) -> ModelDetail:
        """Show one model; the guard has asked whether its study is in sight."""
        passport = reception.find_passport(digest)
        with reception.database.read() as connection:
            releases = [
                {**asdict(one), "approved": list_consents(connection, one.id)}
                for one in list_releases(connection, digest=digest)
            ]
        marks = [read_mark(one) for one in read_marks(_file(passport, reception.models))]
        return ModelDetail(
            **_row(passport, reception.models),
            passport=passport.as_record(),
            card=write_card(passport, marks=marks),
            releases=releases,
        )

    return router


def _row(passport: Passport, models: Path) -> Record:
    marks = [read_mark(one) for one in read_marks(_file(passport, models))]
    return {
        "digest": passport.weights,
        "name": passport.name,
        "label": passport.capability.label,
        "study": passport.lineage.study,
        "issuer": passport.issuer,
        "created": passport.created,
        "recipe": f"{passport.capability.recipe} {passport.capability.recipe_version}",
        "sites": len(passport.sites),
        "rounds": passport.lineage.rounds,
        "marks": [{name: getattr(mark, name) for name in _MARK} for mark in marks],
    }


def _file(passport: Passport, models: Path) -> Path:
    return models / f"{passport.weights.removeprefix('sha256:')}{PASSPORT}"


def _place(one: Passport) -> Place:
    return (one.created, one.weights)
