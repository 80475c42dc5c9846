"""The node's local HTTP API: what CLI, Python client and console use, and nothing else.

It is served on a unix socket in the node's folder, for this user alone.
"""

from __future__ import annotations

from typing import Any

from fastapi import Body, FastAPI

from consilium.dataspace.wire.boundary import report_errors
from consilium.federation.states import StudyState
from consilium.federation.statistics.asking import ask
from consilium.federation.statistics.records import read_draft
from consilium.federation.statistics.site import installed_statistics
from consilium.kernel.identifiers import StudyId
from consilium.kernel.version import __version__
from consilium.node.agreements import Shelf, agreements_router
from consilium.node.answers import StatusShown, StudyBegun, StudyStopped, TaskShown
from consilium.node.auditing import auditing_router
from consilium.node.backups import backups_router
from consilium.node.evidence import add_evidence
from consilium.node.management import management_router
from consilium.node.members import members_router
from consilium.node.persons_api import persons_router
from consilium.node.reading.routers import console_router
from consilium.node.registration import Registration
from consilium.node.rooms import Rooms


def make_app(rooms: Rooms) -> FastAPI:
    """Make the API of one node."""
    app = FastAPI(title="Consilium node", version=__version__)
    report_errors(app)
    add_routes(app, rooms)
    return app


def add_routes(app: FastAPI, rooms: Rooms) -> None:
    """Add every route of the node; they are the same at the socket and at the console."""
    _add_status(app, rooms)
    app.include_router(members_router(rooms.directory))
    app.include_router(persons_router(rooms.reception, rooms.connector))
    app.include_router(auditing_router(rooms.auditor, rooms.tasks))
    app.include_router(backups_router(rooms))
    _add_datasets(app, rooms)
    shelf = _shelf(rooms)
    app.include_router(agreements_router(shelf))
    app.include_router(console_router(rooms, shelf))
    app.include_router(management_router(rooms.connector, read_terms=rooms.registrar.read_terms))
    _add_studies(app, rooms)
    add_evidence(app, rooms.evidence)
    _add_statistics(app, rooms)


def _shelf(rooms: Rooms) -> Shelf:
    names: dict[str, str] = {digest: name for name, digest in rooms.registrar.recipes.items()}
    return Shelf(connector=rooms.connector, directory=rooms.directory, recipes=names)


def _add_status(app: FastAPI, rooms: Rooms) -> None:
    @app.get("/status", response_model=StatusShown)
    def status() -> dict[str, Any]:
        child, member = rooms.engine.state, rooms.membership
        return {
            "ready": rooms.link.is_online() and child.running,
            "participant": member.participant,
            "title": member.title,
            "space": member.space,
            "hub": member.hub,
            "online": rooms.link.is_online(),
            "engine": {"running": child.running, "restarts": child.restarts, "pid": child.pid},
            "evidence": rooms.connector.database.evidence.size,
        }

    @app.get("/tasks/{task}", response_model=TaskShown)
    def task(task: str) -> dict[str, Any]:
        return rooms.tasks.get(task).as_record()


def _add_datasets(app: FastAPI, rooms: Rooms) -> None:
    @app.post("/datasets", response_model=TaskShown)
    def add(registration: Registration) -> dict[str, Any]:
        return rooms.tasks.begin("dataset", rooms.registrar.plan(registration)).as_record()


def _add_studies(app: FastAPI, rooms: Rooms) -> None:
    leading = rooms.leading

    @app.post("/studies", response_model=StudyBegun)
    def begin(draft: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        return {"study": leading.begin(draft)}

    @app.post("/studies/{study}/stop", response_model=StudyStopped)
    def stop(study: str) -> dict[str, Any]:
        leading.stop(StudyId(study))
        return {"study": study, "state": StudyState.STOPPED}


def _add_statistics(app: FastAPI, rooms: Rooms) -> None:
    @app.post("/statistics")
    def statistics(draft: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        space = rooms.membership.space
        return ask(
            rooms.connector, read_draft(draft), space=space, computation=installed_statistics()
        )
