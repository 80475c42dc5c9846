"""Whatever is done to an order or a plan, it is read as written or refused."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.gate.orders import (
    ArrayNeed,
    FieldNeed,
    Invitation,
    Order,
    RecipeRef,
    Study,
    sign_study,
    study_from_json,
    verify_study,
)
from consilium.kernel.canonical import canonical_bytes, digest_of
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId, StudyId
from consilium.ledger.keys import SigningKey

LEAD = SigningKey.generate()
STUDY = Study(
    study=StudyId("urn:uuid:s"),
    space="example.org",
    title="研究",
    question="",
    purpose="research",
    lead=ParticipantId("did:web:example.org:north"),
    recipe=RecipeRef(name="r", version="1", digest=digest_of(b"r"), settings={"l2": 0.5}),
    features=(
        FieldNeed(name="a", kind="number"),
        FieldNeed(name="b", kind="category", categories=("x",)),
    ),
    label="y",
    rule="fedavg",
    rule_settings={"momentum": 0.9},
    start=digest_of(b"m"),
    rounds=3,
    quorum=1,
    deadline_s=1.5,
    seed=7,
    sites=(
        Invitation(
            participant=ParticipantId("did:web:example.org:north"),
            agreement=AgreementId("urn:uuid:a"),
            dataset=DatasetId("urn:uuid:d"),
            key=LEAD.public.text,
        ),
    ),
    created="2026-01-01T00:00:00Z",
    expires="2026-02-01T00:00:00Z",
    layout=(ArrayNeed(name="w", shape=(2, 3)),),
)
ORDER = Order(
    signed_study=sign_study(LEAD, STUDY), segment=1, attempt=1, first_round=1, start=STUDY.start
)

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        below = [path for key, item in value.items() for path in _paths(item, (*at, key))]
    if isinstance(value, list):
        below = [path for i, item in enumerate(value) for path in _paths(item, (*at, i))]
    return [at, *below] if at else below


def _put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(value))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    return copy


PLAIN: Any = json.loads(STUDY.as_json())
PATHS = _paths(PLAIN)


@given(path=st.sampled_from(PATHS), new=junk)
def test_a_plan_with_any_value_exchanged_is_refused_or_says_exactly_that(
    path: tuple[Any, ...], new: Any
) -> None:
    try:
        changed = canonical_bytes(_put(PLAIN, path, new))
    except InputError:
        return  # this junk has no canonical form
    try:
        read = study_from_json(changed)
    except InputError:
        return
    assert read.as_json() == changed


@given(path=st.sampled_from(PATHS), name=st.text(min_size=1))
def test_a_plan_with_a_field_taken_out_or_put_in_is_refused(
    path: tuple[Any, ...], name: str
) -> None:
    if "settings" in path or "rule_settings" in path or not isinstance(path[-1], str):
        return
    table = json.loads(STUDY.as_json())
    place = table
    for step in path[:-1]:
        place = place[step]
    taken = place.pop(path[-1])
    with pytest.raises(InputError):
        study_from_json(json.dumps(table).encode())
    place[path[-1]] = taken
    if name not in place:
        place[name] = taken
        with pytest.raises(InputError):
            study_from_json(json.dumps(table).encode())


@given(data=st.binary(max_size=200) | junk.map(lambda value: json.dumps(value).encode()))
def test_junk_is_never_an_order(data: bytes) -> None:
    with pytest.raises(InputError):
        Order.from_json(data)


@given(place=st.integers(0, len(ORDER.as_json()) - 1), byte=st.integers(0, 255))
def test_one_changed_byte_of_an_order_never_passes_as_the_leads_plan(place: int, byte: int) -> None:
    data = bytearray(ORDER.as_json())
    data[place] = byte
    try:
        order = Order.from_json(bytes(data))
        study = verify_study(order.signed_study, key=LEAD.public)
    except ConsiliumError:
        return
    assert study == STUDY


@given(rounds=st.integers(1, 1000), title=st.text(min_size=1, max_size=30))
def test_a_plan_signed_by_another_never_passes(rounds: int, title: str) -> None:
    try:
        signed = sign_study(SigningKey.generate(), replace(STUDY, rounds=rounds, title=title))
    except InputError:
        return  # not a title
    with pytest.raises(IntegrityError):
        verify_study(signed, key=LEAD.public)
