"""To which study and organisation the object in a path belongs, for roles that are limited."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from consilium.dataspace.records import Role
from consilium.dataspace.store import find_agreement
from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import AgreementId, ParticipantId
from consilium.node.agreements import place_of_agreement
from consilium.node.reception import Reception
from consilium.persons.store import get_release
from consilium.web.guard import EVERYWHERE, FindPlace, Place


def make_find_place(reception: Reception, *, me: ParticipantId) -> FindPlace:
    """Make the look-up that the guard asks, by the name of a path's parameter.

    A study that is led here belongs to this hospital; an agreement to its other
    party; a request for release and a model to what they are about. What does
    not exist lies where only a role without limits looks: so whoever is limited
    gets one answer for what is not there and what is out of his sight.
    """

    def study(_connection: Connection, value: str) -> Place:
        return value, (me,)

    def agreement(connection: Connection, value: str) -> Place:
        for role in Role:
            found = find_agreement(connection, AgreementId(value), role=role)
            if found is not None:
                return place_of_agreement(found)
        return EVERYWHERE

    def release(connection: Connection, value: str) -> Place:
        found = get_release(connection, value)
        return found.study, (found.organisation,)

    def digest(_connection: Connection, value: str) -> Place:
        return reception.find_passport(value).lineage.study, (me,)

    finders: Mapping[str, Callable[[Connection, str], Place]] = {
        "study": study,
        "agreement": agreement,
        "other": agreement,
        "release": release,
        "digest": digest,
    }

    def find_place(name: str, value: str) -> Place | None:
        finder = finders.get(name)
        if finder is None:
            return None
        try:
            with reception.database.read() as connection:
                return finder(connection, value)
        except NotFoundError:
            return EVERYWHERE

    return find_place
