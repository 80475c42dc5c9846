"""Routes of the node's local API about persons: accounts, queue, releases, models that leave.

Whoever changes something says who he is, by name and password; the socket is
the node's own, so reading needs no more than that.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, SecretStr
from sqlalchemy import Connection

from consilium.dataspace.connector import Connector
from consilium.node.reception import Reception
from consilium.node.waiting import describe, settle_item
from consilium.persons.accounts import (
    add_first,
    add_person,
    disable,
    enable,
    grant_role,
    set_password,
    withdraw_role,
)
from consilium.persons.approvals import MODEL, admit_export, approve, request_release
from consilium.persons.approvals import withdraw_release as withdraw
from consilium.persons.passwords import hash_password
from consilium.persons.queue import check_reason, delegate, is_overdue
from consilium.persons.records import Grant, QueueItem, Release, Role, Ruling
from consilium.persons.roles import Action
from consilium.persons.settings import RULES
from consilium.persons.store import (
    get_item,
    get_person,
    get_release,
    list_consents,
    list_items,
    list_persons,
    list_releases,
)

Speaker = Annotated[str, Header(alias="authorization")]
"""Name and password of whoever asks, as a `Basic` header in UTF-8."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewPerson(_Body):
    """An account to make; `first` is the one that nobody has to allow."""

    name: str
    password: SecretStr
    first: bool = False


class NewPassword(_Body):
    """A password to set."""

    password: SecretStr


class RoleChange(_Body):
    """A role to give, or to withdraw."""

    role: Role
    study: str = ""
    organisation: str = ""
    withdraw: bool = False


class Reason(_Body):
    """Why something is done."""

    reason: str


class Settlement(_Body):
    """How an item of the queue is settled, and why."""

    ruling: Ruling
    reason: str


class Delegation(_Body):
    """To whom an item is handed, and why."""

    to: str
    reason: str


class Thing(_Body):
    """What is to leave: its kind, and its digest."""

    kind: str
    digest: str


class Wish(Thing):
    """What is asked to be released: to whom, and for what."""

    reason: str


class Target(_Body):
    """The folder that a model is written to."""

    to: str


def persons_router(reception: Reception, connector: Connector) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["persons"])
    _add_accounts(router, reception)
    _add_account_changes(router, reception)
    _add_queue(router, reception, connector)
    _add_releases(router, reception)
    _add_exports(router, reception)
    return router


def _add_accounts(router: APIRouter, reception: Reception) -> None:
    database, clock = reception.database, reception.clock

    @router.get("/persons")
    def persons() -> list[dict[str, Any]]:
        with database.read() as connection:
            return [asdict(one) for one in list_persons(connection)]

    @router.get("/persons/{who}")
    def person(who: str) -> dict[str, Any]:
        with database.read() as connection:
            return asdict(get_person(connection, who))

    @router.post("/persons")
    def add(new: NewPerson, authorization: Speaker = "") -> dict[str, Any]:
        speaker = None if new.first else reception.recognise(authorization)
        password = new.password.get_secret_value()
        secret = hash_password(password, name=new.name, cost=reception.cost)
        if speaker is None:
            with database.write() as tx:
                return asdict(add_first(tx, name=new.name, secret=secret, clock=clock))
        with reception.acting(speaker) as (tx, by):
            reception.require(by, Action.MANAGE_PERSONS)
            return asdict(add_person(tx, name=new.name, secret=secret, by=by.id, clock=clock))


def _add_account_changes(router: APIRouter, reception: Reception) -> None:
    @router.post("/persons/{who}/password")
    def password(who: str, new: NewPassword, authorization: Speaker = "") -> dict[str, Any]:
        speaker = reception.recognise(authorization)
        with reception.database.read() as connection:
            name = get_person(connection, who).name
        secret = hash_password(new.password.get_secret_value(), name=name, cost=reception.cost)
        with reception.acting(speaker) as (tx, by):
            person = get_person(tx.connection, who)
            if person.id != by.id:
                reception.require(by, Action.MANAGE_PERSONS)
            set_password(tx, person, secret, by=by.id)
            return asdict(person)

    @router.post("/persons/{who}/disable")
    def close(who: str, why: Reason, authorization: Speaker = "") -> dict[str, Any]:
        with reception.acting(reception.recognise(authorization)) as (tx, by):
            reception.require(by, Action.MANAGE_PERSONS)
            person, reason = get_person(tx.connection, who), check_reason(why.reason)
            return asdict(disable(tx, person, by=by.id, reason=reason))

    @router.post("/persons/{who}/enable")
    def reopen(who: str, why: Reason, authorization: Speaker = "") -> dict[str, Any]:
        with reception.acting(reception.recognise(authorization)) as (tx, by):
            reception.require(by, Action.MANAGE_PERSONS)
            person, reason = get_person(tx.connection, who), check_reason(why.reason)
            return asdict(enable(tx, person, by=by.id, reason=reason))

    @router.post("/persons/{who}/roles")
    def roles(who: str, change: RoleChange, authorization: Speaker = "") -> dict[str, Any]:
        grant = Grant(role=change.role, study=change.study, organisation=change.organisation)
        with reception.acting(reception.recognise(authorization)) as (tx, by):
            reception.require(by, Action.MANAGE_PERSONS)
            person = get_person(tx.connection, who)
            if change.withdraw:
                return asdict(withdraw_role(tx, person, grant, by=by.id))
            return asdict(grant_role(tx, person, grant, by=by.id, clock=reception.clock))


def _add_queue(router: APIRouter, reception: Reception, connector: Connector) -> None:
    def show(connection: Connection, item: QueueItem) -> dict[str, Any]:
        consented = list_consents(connection, item.id)
        overdue = is_overdue(item, reception.clock.now())
        return {**asdict(item), "consented": consented, "overdue": overdue}

    @router.get("/queue")
    def items(settled: bool = False) -> list[dict[str, Any]]:
        with reception.database.read() as connection:
            return [show(connection, one) for one in list_items(connection, settled=settled)]

    @router.get("/queue/{item}")
    def item(item: str) -> dict[str, Any]:
        with reception.database.read() as connection:
            found = get_item(connection, item)
            return {**show(connection, found), "about": describe(connection, found)}

    @router.post("/queue/{item}/settle")
    def decide(item: str, how: Settlement, authorization: Speaker = "") -> dict[str, Any]:
        speaker = reception.recognise(authorization)
        ruling, reason = how.ruling, how.reason
        settled = settle_item(connector, item, by=speaker, ruling=ruling, reason=reason)
        with reception.database.read() as connection:
            return show(connection, settled)

    @router.post("/queue/{item}/delegate")
    def hand_on(item: str, how: Delegation, authorization: Speaker = "") -> dict[str, Any]:
        with reception.acting(reception.recognise(authorization)) as (tx, by):
            to = get_person(tx.connection, how.to)
            return show(tx.connection, delegate(tx, item, by=by, to=to, reason=how.reason))


def _add_releases(router: APIRouter, reception: Reception) -> None:
    clock = reception.clock

    def show(connection: Connection, release: Release) -> dict[str, Any]:
        return {**asdict(release), "approved": list_consents(connection, release.id)}

    @router.get("/approvals")
    def releases() -> list[dict[str, Any]]:
        with reception.database.read() as connection:
            return [show(connection, one) for one in list_releases(connection)]

    @router.get("/approvals/{release}")
    def release(release: str) -> dict[str, Any]:
        with reception.database.read() as connection:
            return show(connection, get_release(connection, release))

    @router.post("/approvals")
    def ask(wish: Wish, authorization: Speaker = "") -> dict[str, Any]:
        speaker = reception.recognise(authorization)
        is_model = wish.kind == MODEL
        # The study is the model's own: nobody chooses whose role covers it.
        study = reception.find_passport(wish.digest).lineage.study if is_model else ""
        with reception.acting(speaker) as (tx, by):
            found = request_release(
                tx,
                kind=wish.kind,
                digest=wish.digest,
                reason=wish.reason,
                by=by,
                lasts=timedelta(days=reception.settings.release_days),
                clock=clock,
                needed=RULES[reception.settings.exports] or 1,
                study=study,
            )
            return show(tx.connection, found)

    @router.post("/approvals/{release}/approve")
    def say_yes(release: str, authorization: Speaker = "") -> dict[str, Any]:
        with reception.acting(reception.recognise(authorization)) as (tx, by):
            return show(tx.connection, approve(tx, release, by=by, clock=clock))

    @router.post("/approvals/{release}/withdraw")
    def end(release: str, why: Reason, authorization: Speaker = "") -> dict[str, Any]:
        with reception.acting(reception.recognise(authorization)) as (tx, by):
            found = withdraw(tx, release, by=by, reason=why.reason, clock=clock)
            return show(tx.connection, found)


def _add_exports(router: APIRouter, reception: Reception) -> None:
    @router.get("/models")
    def models() -> list[dict[str, Any]]:
        return reception.list_models()

    @router.post("/models/{digest}/export")
    def export(digest: str, target: Target, authorization: Speaker = "") -> dict[str, Any]:
        speaker = reception.recognise(authorization)
        return {"files": reception.export_model(digest, to=Path(target.to), speaker=speaker)}

    @router.post("/exports")
    def admit(thing: Thing, authorization: Speaker = "") -> dict[str, Any]:
        with reception.acting(reception.recognise(authorization)) as (tx, by):
            found = admit_export(
                tx,
                kind=thing.kind,
                digest=thing.digest,
                by=by,
                needed=RULES[reception.settings.exports],
                clock=reception.clock,
            )
        return {"release": asdict(found) if found else None}
