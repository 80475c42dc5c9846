"""Everything that screens read, and what the way without code needs, as one router."""

from __future__ import annotations

from fastapi import APIRouter

from consilium.node.agreements import Shelf
from consilium.node.reading.agreements import AgreementView, agreements_reading
from consilium.node.reading.catalogue import CatalogueView, catalogue_router
from consilium.node.reading.cohorts import Cohorts, cohorts_router
from consilium.node.reading.datasets import datasets_router
from consilium.node.reading.drafts import Drafting, drafts_router
from consilium.node.reading.evidence import evidence_reading
from consilium.node.reading.home import home_router
from consilium.node.reading.models import models_router
from consilium.node.reading.network import network_router
from consilium.node.reading.overview import overview_router
from consilium.node.reading.recipes import recipes_router
from consilium.node.reading.run import run_router
from consilium.node.reading.settings import settings_router
from consilium.node.reading.studies import studies_router
from consilium.node.reading.uploads import uploads_router
from consilium.node.rooms import Rooms


def console_router(rooms: Rooms, shelf: Shelf) -> APIRouter:
    """Make every route by which something is read.

    Parameters
    ----------
    shelf : Shelf
        Shows agreements with their terms in words.
    """
    agreements = AgreementView(rooms=rooms, shelf=shelf)
    view = CatalogueView(me=rooms.connector.me, recipes=shelf.recipes)
    router = APIRouter()
    for part in (
        home_router(rooms),
        catalogue_router(rooms.catalogue, view),
        datasets_router(rooms, agreements),
        uploads_router(rooms),
        agreements_reading(rooms, agreements),
        studies_router(rooms, agreements),
        run_router(rooms),
        models_router(rooms),
        recipes_router(rooms.recipes),
        cohorts_router(
            Cohorts(
                connector=rooms.connector,
                recipes=rooms.recipes,
                catalogue=rooms.catalogue,
                view=view,
            )
        ),
        drafts_router(
            Drafting(recipes=rooms.recipes, catalogue=rooms.catalogue, clock=rooms.connector.clock)
        ),
        network_router(rooms),
        evidence_reading(rooms),
        overview_router(rooms),
        settings_router(rooms),
    ):
        router.include_router(part)
    return router
