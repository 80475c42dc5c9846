"""From recruits to what a plan needs: which fields, from whose catalogue, and who lacks what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from consilium.dataspace.catalog import Listing
from consilium.federation.recruitment import Recruit
from consilium.gate.orders import Invitation
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId


def schema_of(
    recruits: Sequence[Recruit], *, me: ParticipantId, modalities: Sequence[str] = ()
) -> dict[str, Any]:
    """Take each modality's fields from our own dataset, or from the first that has it.

    Parameters
    ----------
    recruits : sequence of Recruit
        At least one.
    modalities : sequence of str, optional
        Which modalities the study uses; those of our own dataset if left out.

    Returns
    -------
    dict
        `features`, `label` and `target`, for `proposal.read_needs`.

    Raises
    ------
    InputError
        `study.no_modality` when no hospital has a wanted one.

    Discloses
    ---------
    Nothing: it reads catalogues.
    """
    ordered = sorted(recruits, key=lambda one: one.listing.participant != me)
    first = ordered[0].listing
    wanted = modalities or tuple(dict.fromkeys(column.modality for column in first.columns))
    features = []
    for modality in dict.fromkeys(wanted):
        owner = next((one for one in ordered if modality in _modalities(one)), None)
        if owner is None:
            raise InputError("study.no_modality", modality=modality)
        features += [
            asdict(column) for column in owner.listing.columns if column.modality == modality
        ]
    return {"features": features, "label": first.label["field"], "target": first.target}


def schema_of_listing(listing: Listing) -> dict[str, Any]:
    """Give one dataset's fields, label and target, as `proposal.read_needs` takes them.

    Discloses
    ---------
    Nothing: it reads a catalogue's entry.
    """
    features = [asdict(column) for column in listing.columns]
    return {"features": features, "label": listing.label.get("field"), "target": listing.target}


def invitations_of(recruits: Sequence[Recruit], *, modalities: Sequence[str]) -> list[Invitation]:
    """Give each recruit its place in the plan, with the modalities that it does not have.

    Raises
    ------
    InputError
        `study.nothing_shared` when a hospital has none of them.

    Discloses
    ---------
    To the invited hospitals, once the plan is sent: who lacks which modality,
    as the catalogues say.
    """
    places = []
    for one in recruits:
        lacks = tuple(word for word in dict.fromkeys(modalities) if word not in _modalities(one))
        if len(lacks) == len(set(modalities)):
            raise InputError("study.nothing_shared", participant=one.invitation.participant)
        places.append(replace(one.invitation, lacks=lacks))
    return places


def modalities_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the modalities of a schema's fields, each once, in their order.

    Discloses
    ---------
    Nothing: it sees names.
    """
    return tuple(dict.fromkeys(str(one["modality"]) for one in schema["features"]))


def _modalities(one: Recruit) -> set[str]:
    return {column.modality for column in one.listing.columns}
