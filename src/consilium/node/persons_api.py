"""Routes of the node's local API about persons: accounts, queue, releases, models that leave.

Whoever changes something says who he is, by name and password; the socket is
the node's own, so reading needs no more than that.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, SecretStr
from sqlalchemy import Connection

from consilium.dataspace.connector import Connector
from consilium.kernel.errors import NotFoundError
from consilium.node.answers import (
    FilesShown,
    ItemDetail,
    ItemShown,
    PersonRow,
    PersonShown,
    ReleaseShown,
)
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
from consilium.persons.records import Grant, Person, QueueItem, Release, Role, Ruling
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
from consilium.persons.totp import has_factor
from consilium.web.seats import Scope, Sight, Speaker


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

    def show(connection: Connection, person: Person) -> dict[str, Any]:
        return {**asdict(person), "second_factor": has_factor(connection, person.id)}

    @router.get("/persons", response_model=list[PersonRow])
    def persons() -> list[dict[str, Any]]:
        with database.read() as connection:
            return [show(connection, one) for one in list_persons(connection)]

    @router.get("/persons/{who}", response_model=PersonRow)
    def person(who: str) -> dict[str, Any]:
        with database.read() as connection:
            return show(connection, get_person(connection, who))

    @router.post("/persons", response_model=PersonShown)
    def add(new: NewPerson, speaking: Speaker) -> dict[str, Any]:
        speaker = None if new.first else reception.recognise(speaking)
        password = new.password.get_secret_value()
        secret = hash_password(password, name=new.name, cost=reception.cost)
        if speaker is None:
            with database.write() as tx:
                return asdict(add_first(tx, name=new.name, secret=secret, clock=clock))
        with reception.acting(speaker) as (tx, by):
            reception.require(by, Action.MANAGE_PERSONS)
            return asdict(add_person(tx, name=new.name, secret=secret, by=by.id, clock=clock))


def _add_account_changes(router: APIRouter, reception: Reception) -> None:
    @router.post("/persons/{who}/password", response_model=PersonShown)
    def password(who: str, new: NewPassword, speaking: Speaker) -> dict[str, Any]:
        speaker = reception.recognise(speaking)
        with reception.database.read() as connection:
            name = get_person(connection, who).name
        secret = hash_password(new.password.get_secret_value(), name=name, cost=reception.cost)
        with reception.acting(speaker) as (tx, by):
            person = get_person(tx.connection, who)
            if person.id != by.id:
                reception.require(by, Action.MANAGE_PERSONS)
            set_password(tx, person, secret, by=by.id)
            return asdict(person)

    @router.post("/persons/{who}/disable", response_model=PersonShown)
    def close(who: str, why: Reason, speaking: Speaker) -> dict[str, Any]:
        with reception.acting(reception.recognise(speaking)) as (tx, by):
            reception.require(by, Action.MANAGE_PERSONS)
            person, reason = get_person(tx.connection, who), check_reason(why.reason)
            return asdict(disable(tx, person, by=by.id, reason=reason))

    @router.post("/persons/{who}/enable", response_model=PersonShown)
    def reopen(who: str, why: Reason, speaking: Speaker) -> dict[str, Any]:
        with reception.acting(reception.recognise(speaking)) as (tx, by):
            reception.require(by, Action.MANAGE_PERSONS)
            person, reason = get_person(tx.connection, who), check_reason(why.reason)
            return asdict(enable(tx, person, by=by.id, reason=reason))

    @router.post("/persons/{who}/roles", response_model=PersonShown)
    def roles(who: str, change: RoleChange, speaking: Speaker) -> dict[str, Any]:
        grant = Grant(role=change.role, study=change.study, organisation=change.organisation)
        with reception.acting(reception.recognise(speaking)) as (tx, by):
            reception.require(by, Action.MANAGE_PERSONS)
            person = get_person(tx.connection, who)
            if change.withdraw:
                return asdict(withdraw_role(tx, person, grant, by=by.id))
            return asdict(grant_role(tx, person, grant, by=by.id, clock=reception.clock))


def is_in_sight(item: QueueItem, sight: Scope) -> bool:
    """Say whether somebody sees an item: within his roles, or as its delegate."""
    is_his = bool(sight.person) and item.delegate == sight.person
    return is_his or sight.sees(study=item.study, organisations=(item.organisation,))


def get_seen(connection: Connection, item: str, sight: Scope) -> QueueItem:
    """Return an item of the queue that is in sight; any other is not there.

    Raises
    ------
    NotFoundError
        `persons.no_item`.
    """
    found = get_item(connection, item)
    if not is_in_sight(found, sight):
        raise NotFoundError("persons.no_item")
    return found


def _add_queue(router: APIRouter, reception: Reception, connector: Connector) -> None:
    def show(connection: Connection, item: QueueItem) -> dict[str, Any]:
        consented = list_consents(connection, item.id)
        overdue = is_overdue(item, reception.clock.now())
        return {**asdict(item), "consented": consented, "overdue": overdue}

    @router.get("/queue", response_model=list[ItemShown])
    def items(sight: Sight, settled: bool = False) -> list[dict[str, Any]]:
        with reception.database.read() as connection:
            found = list_items(connection, settled=settled)
            return [show(connection, one) for one in found if is_in_sight(one, sight)]

    @router.get("/queue/{item}", response_model=ItemDetail)
    def item(item: str, sight: Sight) -> dict[str, Any]:
        with reception.database.read() as connection:
            found = get_seen(connection, item, sight)
            return {**show(connection, found), "about": describe(connection, found)}

    @router.post("/queue/{item}/settle", response_model=ItemShown)
    def decide(item: str, how: Settlement, speaking: Speaker, sight: Sight) -> dict[str, Any]:
        speaker = reception.recognise(speaking)
        with reception.database.read() as connection:
            get_seen(connection, item, sight)
        ruling, reason = how.ruling, how.reason
        settled = settle_item(connector, item, by=speaker, ruling=ruling, reason=reason)
        with reception.database.read() as connection:
            return show(connection, settled)

    @router.post("/queue/{item}/delegate", response_model=ItemShown)
    def hand_on(item: str, how: Delegation, speaking: Speaker, sight: Sight) -> dict[str, Any]:
        with reception.acting(reception.recognise(speaking)) as (tx, by):
            get_seen(tx.connection, item, sight)
            to = get_person(tx.connection, how.to)
            return show(tx.connection, delegate(tx, item, by=by, to=to, reason=how.reason))


def _add_releases(router: APIRouter, reception: Reception) -> None:
    clock = reception.clock

    def show(connection: Connection, release: Release) -> dict[str, Any]:
        return {**asdict(release), "approved": list_consents(connection, release.id)}

    def study_of(wish: Wish, sight: Scope) -> str:
        study: str = reception.find_passport(wish.digest).lineage.study
        if not sight.sees(study=study):
            raise NotFoundError("node.no_model", digest=wish.digest[:80])
        return study

    @router.get("/approvals", response_model=list[ReleaseShown])
    def releases(sight: Sight) -> list[dict[str, Any]]:
        with reception.database.read() as connection:
            return [
                show(connection, one)
                for one in list_releases(connection)
                if sight.sees(study=one.study, organisations=(one.organisation,))
            ]

    @router.get("/approvals/{release}", response_model=ReleaseShown)
    def release(release: str) -> dict[str, Any]:
        with reception.database.read() as connection:
            return show(connection, get_release(connection, release))

    @router.post("/approvals", response_model=ReleaseShown)
    def ask(wish: Wish, speaking: Speaker, sight: Sight) -> dict[str, Any]:
        speaker = reception.recognise(speaking)
        # The study is the model's own: nobody chooses whose role covers it.
        study = study_of(wish, sight) if wish.kind == MODEL else ""
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

    @router.post("/approvals/{release}/approve", response_model=ReleaseShown)
    def say_yes(release: str, speaking: Speaker) -> dict[str, Any]:
        with reception.acting(reception.recognise(speaking)) as (tx, by):
            return show(tx.connection, approve(tx, release, by=by, clock=clock))

    @router.post("/approvals/{release}/withdraw", response_model=ReleaseShown)
    def end(release: str, why: Reason, speaking: Speaker) -> dict[str, Any]:
        with reception.acting(reception.recognise(speaking)) as (tx, by):
            found = withdraw(tx, release, by=by, reason=why.reason, clock=clock)
            return show(tx.connection, found)


def _add_exports(router: APIRouter, reception: Reception) -> None:
    @router.post("/models/{digest}/export", response_model=FilesShown)
    def export(digest: str, target: Target, speaking: Speaker) -> dict[str, Any]:
        speaker = reception.recognise(speaking)
        return {"files": reception.export_model(digest, to=Path(target.to), speaker=speaker)}

    @router.post("/exports")
    def admit(thing: Thing, speaking: Speaker) -> dict[str, Any]:
        with reception.acting(reception.recognise(speaking)) as (tx, by):
            found = admit_export(
                tx,
                kind=thing.kind,
                digest=thing.digest,
                by=by,
                needed=RULES[reception.settings.exports],
                clock=reception.clock,
            )
        return {"release": asdict(found) if found else None}
