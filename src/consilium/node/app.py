"""The node's local HTTP API: what CLI, Python client and console use, and nothing else.

It is served on a unix socket in the node's folder, for this user alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import Body, FastAPI
from pydantic import BaseModel, ConfigDict

from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.connector import Connector
from consilium.dataspace.datasets import get_dataset, list_datasets
from consilium.dataspace.records import Agreement, Dataset, Role, Terms
from consilium.dataspace.sentences import sentences_of
from consilium.dataspace.store import get_agreement, list_agreements
from consilium.dataspace.wire.boundary import report_errors
from consilium.federation.flare.processes import SupervisedChild
from consilium.federation.proposal import Wish
from consilium.federation.recruitment import agree, find_listing
from consilium.federation.states import StudyState
from consilium.federation.statistics.asking import ask
from consilium.federation.statistics.records import read_draft
from consilium.federation.statistics.site import installed_statistics
from consilium.federation.store import get_study, list_events, list_studies
from consilium.gate.spending import list_budgets
from consilium.kernel.canonical import read_json
from consilium.kernel.errors import ConsiliumError, StateError
from consilium.kernel.identifiers import AgreementId, ParticipantId, StudyId
from consilium.kernel.version import __version__
from consilium.node.directory import HubDirectory
from consilium.node.leading import Leading
from consilium.node.link import HubLink
from consilium.node.members import members_router
from consilium.node.membership import Membership
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


class AgreementWish(BaseModel):
    """With whom to agree, on which of its datasets; `offer` if no other is meant."""

    model_config = ConfigDict(extra="forbid")
    participant: str
    dataset: str
    offer: str = ""


def make_app(rooms: Rooms) -> FastAPI:
    """Make the API of one node."""
    app = FastAPI(title="Consilium node", version=__version__)
    report_errors(app)
    _add_status(app, rooms)
    app.include_router(members_router(rooms.directory))
    _add_datasets(app, rooms)
    _add_agreements(app, rooms)
    _add_budgets(app, rooms)
    _add_studies(app, rooms)
    _add_evidence(app, rooms)
    _add_statistics(app, rooms)
    return app


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


def _add_agreements(app: FastAPI, rooms: Rooms) -> None:
    connector = rooms.connector

    @app.get("/catalog")
    def catalog() -> list[dict[str, Any]]:
        entries = [entry for entry in rooms.directory.list_entries() if entry.admitted]
        found = {entry.identity.participant: entry.identity.title for entry in entries}
        if not found:
            return []
        with ThreadPoolExecutor(max_workers=min(16, len(found))) as pool:
            return list(pool.map(lambda who: _ask_catalog(rooms, who, found[who]), found))

    @app.post("/agreements")
    def request(wish: AgreementWish) -> dict[str, Any]:
        wanted = Wish(participant=ParticipantId(wish.participant), dataset=wish.dataset)
        listing = find_listing(connector, wanted, offer=wish.offer)
        return _show_agreement(agree(connector, listing), rooms)

    @app.get("/agreements")
    def agreements() -> list[dict[str, Any]]:
        with connector.database.read() as connection:
            return [_show_agreement(one, rooms) for one in list_agreements(connection)]

    @app.get("/agreements/{agreement}")
    def agreement(agreement: str, role: Role = Role.CONSUMER) -> dict[str, Any]:
        with connector.database.read() as connection:
            found = get_agreement(connection, AgreementId(agreement), role=role)
        return _show_agreement(found, rooms)


def _add_budgets(app: FastAPI, rooms: Rooms) -> None:
    @app.get("/budgets")
    def budgets() -> dict[str, Any]:
        with rooms.connector.database.read() as connection:
            return list_budgets(connection)


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
        return {**_show_study(row), "events": events}

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


def _add_evidence(app: FastAPI, rooms: Rooms) -> None:
    log = rooms.connector.database.evidence

    @app.get("/evidence")
    def entries(after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        found = log.entries(after=after, limit=min(max(limit, 1), 1000))
        return [entry.as_record() for entry in found]

    @app.get("/evidence/checkpoint")
    def checkpoint() -> dict[str, Any]:
        return {"checkpoint": log.checkpoint()}


def _add_statistics(app: FastAPI, rooms: Rooms) -> None:
    @app.post("/statistics")
    def statistics(draft: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        space = rooms.membership.space
        return ask(
            rooms.connector, read_draft(draft), space=space, computation=installed_statistics()
        )


def _ask_catalog(rooms: Rooms, who: ParticipantId, title: str) -> dict[str, Any]:
    """Ask one member; a member that does not answer is shown with the reason."""
    try:
        listings = request_catalog(rooms.connector, who)
        found = [one.as_record() | {"words": _words(one.terms, rooms)} for one in listings]
    except ConsiliumError as error:
        return {"participant": who, "title": title, "datasets": [], "error": error.as_record()}
    return {"participant": who, "title": title, "datasets": found}


def _show_dataset(dataset: Dataset) -> dict[str, Any]:
    return asdict(dataset)


def _show_agreement(agreement: Agreement, rooms: Rooms) -> dict[str, Any]:
    return asdict(agreement) | {"words": _words(agreement.terms, rooms)}


def _words(terms: Terms, rooms: Rooms) -> list[dict[str, str]]:
    """Say terms in sentences, with the names of the recipes that are installed here."""
    names: dict[str, str] = {digest: name for name, digest in rooms.registrar.recipes.items()}
    return [asdict(sentence) for sentence in sentences_of(terms, recipes=names)]


def _show_study(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "state", "title", "created", "updated", "reason")
    return {name: row[name] for name in kept}
