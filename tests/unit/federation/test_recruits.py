"""A plan takes fields from whoever has them; who lacks a modality shows in the catalogue."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from consilium.dataspace.catalog import FieldShown
from consilium.federation.proposal import read_needs
from consilium.federation.recruits import invitations_of, modalities_of, schema_of
from consilium.gate.orders import Invitation
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId

ME = ParticipantId("did:web:x:lead")


def recruit(name: str, **modalities: tuple[str, ...]) -> Any:
    """Make a recruit whose dataset has these columns, by modality."""
    who = ParticipantId(f"did:web:x:{name}")
    columns = tuple(
        FieldShown(name=column, kind="number", unit="", categories=(), code="", modality=modality)
        for modality, names in modalities.items()
        for column in names
    )
    listing = SimpleNamespace(
        participant=who, columns=columns, label={"field": "grade"}, target={"kind": "binary"}
    )
    invitation = Invitation(
        participant=who, agreement=AgreementId("a"), dataset=DatasetId("d"), key="k"
    )
    return SimpleNamespace(invitation=invitation, listing=listing)


BOTH = recruit("both", clinical=("age",), genomic=("IDH1", "TP53"))
GENES = recruit("genes", genomic=("IDH1", "TP53"))
LEAD = recruit("lead", clinical=("age",))


def test_without_a_word_the_leads_own_fields_are_taken() -> None:
    schema = schema_of([BOTH, LEAD], me=ME)
    assert [one.name for one in read_needs(schema).features] == ["age"]
    assert [one.lacks for one in invitations_of([BOTH, LEAD], modalities=("clinical",))] == [(), ()]


def test_a_modality_that_the_lead_lacks_comes_from_a_hospital_that_has_it() -> None:
    recruits = [GENES, BOTH, LEAD]
    schema = schema_of(recruits, me=ME, modalities=("clinical", "genomic"))
    assert modalities_of(schema) == ("clinical", "genomic")
    assert [one.name for one in read_needs(schema).features] == ["age", "IDH1", "TP53"]
    places = invitations_of(recruits, modalities=modalities_of(schema))
    assert [one.lacks for one in places] == [("clinical",), (), ("genomic",)]


def test_a_modality_that_nobody_has_is_refused() -> None:
    with pytest.raises(InputError) as refusal:
        schema_of([LEAD], me=ME, modalities=("clinical", "fundus"))
    assert refusal.value.code == "study.no_modality"


def test_a_hospital_with_none_of_the_modalities_is_named() -> None:
    with pytest.raises(InputError) as refusal:
        invitations_of([LEAD, GENES], modalities=("clinical",))
    assert refusal.value.code == "study.nothing_shared"
    assert "genes" in refusal.value.public
