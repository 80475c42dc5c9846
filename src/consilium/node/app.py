"""The node's local HTTP API: what CLI, Python client and console use, and nothing else.

It is served on a unix socket in the node's folder, for this user alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import Body, FastAPI

from consilium.dataspace.connector import Connector
from consilium.dataspace.datasets import get_dataset, list_datasets
from consilium.dataspace.records import Dataset
from consilium.dataspace.wire.boundary import report_errors
from consilium.federation.flare.processes import SupervisedChild
from consilium.federation.states import StudyState
from consilium.federation.statistics.asking import ask
from consilium.federation.statistics.records import read_draft
from consilium.federation.statistics.site import installed_statistics
from consilium.federation.store import get_study, list_events, list_studies
from consilium.kernel.canonical import read_json
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import StudyId
from consilium.kernel.version import __version__
from consilium.node.agreements import Shelf, agreements_router
from consilium.node.directory import HubDirectory
from consilium.node.evidence import EvidenceDesk, add_evidence
from consilium.node.leading import Leading
from consilium.node.link import HubLink
from consilium.node.management import management_router
from consilium.node.marking import list_marks
from consilium.node.members import members_router
from consilium.node.membership import Membership
from consilium.node.persons_api import persons_router
from consilium.node.reception import Reception
from consilium.node.registration import Registrar, Registration
from consilium.node.tasks import Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """Everything behind the node's API."""

    membership: Membership
    connector: Connector
    directory: HubDirectory
    link: HubLink
    engine: SupervisedChild
    registrar: Registrar
    leading: Leading
    tasks: Tasks
    reception: Reception
    evidence: EvidenceDesk


def make_app(rooms: Rooms) -> FastAPI:
    """Make the API of one node."""
    app = FastAPI(title="Consilium node", version=__version__)
    report_errors(app)
    _add_status(app, rooms)
    app.include_router(members_router(rooms.directory))
    app.include_router(persons_router(rooms.reception, rooms.connector))
    _add_datasets(app, rooms)
    app.include_router(agreements_router(_shelf(rooms)))
    app.include_router(management_router(rooms.connector, read_terms=rooms.registrar.read_terms))
    _add_studies(app, rooms)
    add_evidence(app, rooms.evidence)
    _add_statistics(app, rooms)
    return app


def _shelf(rooms: Rooms) -> Shelf:
    names: dict[str, str] = {digest: name for name, digest in rooms.registrar.recipes.items()}
    return Shelf(connector=rooms.connector, directory=rooms.directory, recipes=names)


def _add_status(app: FastAPI, rooms: Rooms) -> None:
    @app.get("/status")
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

    @app.get("/tasks/{task}")
    def task(task: str) -> dict[str, Any]:
        return rooms.tasks.get(task).as_record()


def _add_datasets(app: FastAPI, rooms: Rooms) -> None:
    database = rooms.connector.database

    @app.post("/datasets")
    def add(registration: Registration) -> dict[str, Any]:
        return rooms.tasks.begin("dataset", rooms.registrar.plan(registration)).as_record()

    @app.get("/datasets")
    def datasets() -> list[dict[str, Any]]:
        with database.read() as connection:
            return [_show_dataset(one) for one in list_datasets(connection)]

    @app.get("/datasets/{name}")
    def dataset(name: str) -> dict[str, Any]:
        with database.read() as connection:
            return _show_dataset(get_dataset(connection, name))


def _add_studies(app: FastAPI, rooms: Rooms) -> None:
    database, leading = rooms.connector.database, rooms.leading

    @app.post("/studies")
    def begin(draft: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        return {"study": leading.begin(draft)}

    @app.get("/studies")
    def studies() -> list[dict[str, Any]]:
        with database.read() as connection:
            return [_show_study(row) for row in list_studies(connection)]

    @app.get("/studies/{study}")
    def study(study: str, after: int = 0) -> dict[str, Any]:
        with database.read() as connection:
            row = get_study(connection, StudyId(study))
            events = list_events(connection, StudyId(study), after=after)
            marks = list_marks(connection, StudyId(study))
        return {**_show_study(row), "marks": marks, "events": events}

    @app.get("/studies/{study}/result")
    def result(study: str) -> dict[str, Any]:
        with database.read() as connection:
            row = get_study(connection, StudyId(study))
        if not row["result"]:
            raise StateError("study.not_finished", now=row["state"], wanted=StudyState.COMPLETED)
        return dict(read_json(row["result"]))  # type: ignore[arg-type]

    @app.post("/studies/{study}/stop")
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


def _show_dataset(dataset: Dataset) -> dict[str, Any]:
    return asdict(dataset)


def _show_study(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "state", "title", "created", "updated", "reason")
    return {name: row[name] for name in kept}
