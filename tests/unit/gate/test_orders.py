from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from consilium.gate.orders import (
    ArrayNeed,
    FieldNeed,
    Order,
    Study,
    peek_study,
    sign_study,
    study_from_json,
    verify_study,
)
from consilium.kernel.canonical import Digest, canonical_bytes, digest_of, read_json
from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.keys import SigningKey

MakeStudy = Callable[..., Study]
CANARY = "CANARY-7731"


def _order(**changes: Any) -> Order:
    order = Order(
        signed_study="a.b.c", segment=1, attempt=1, first_round=1, start=digest_of(b"start")
    )
    return replace(order, **changes)


def test_a_study_reads_back_as_it_was_written(make_study: MakeStudy) -> None:
    study = make_study()
    again = study_from_json(study.as_json())
    assert again == study
    assert again.digest == study.digest


def test_an_order_reads_back_as_it_was_written() -> None:
    order = _order(countersigned=("x.y.z",), first_round=3)
    assert Order.from_json(order.as_json()) == order


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rounds", 0),
        ("rounds", 2.5),
        ("rounds", True),
        ("rounds", "5"),
        ("quorum", 1),
        ("quorum", 4),
        ("deadline_s", 0),
        ("deadline_s", 1e9),
        ("seed", -1),
        ("title", ""),
        ("title", "line\u0000end"),
        ("title", "turned \u202e round"),
        ("title", ["a"]),
        ("lead", "north"),
        ("study", "two words"),
        ("start", "sha256:00"),
        ("created", "yesterday"),
        ("expires", "2025-01-01T00:00:00Z"),
        ("features", []),
        ("features", {}),
        ("sites", []),
        ("label", "age"),
        ("rule_settings", []),
        ("rule_settings", {"a": [[[[[[[[[[1]]]]]]]]]]}),
        ("recipe", None),
    ],
)
def test_an_impossible_value_is_refused_and_its_field_named(
    make_study: MakeStudy, name: str, value: Any
) -> None:
    plain = dict(read_json(make_study().as_json()))  # type: ignore[arg-type]
    plain[name] = value
    with pytest.raises(InputError) as refusal:
        study_from_json(canonical_bytes(plain))
    assert refusal.value.code == "gate.bad_order"
    assert str(refusal.value.facts["field"]).split(".")[0] == name


def test_a_missing_an_unknown_and_a_doubled_field_are_refused(make_study: MakeStudy) -> None:
    plain = dict(read_json(make_study().as_json()))  # type: ignore[arg-type]
    less = {key: value for key, value in plain.items() if key != "purpose"}
    more = plain | {CANARY: CANARY}
    swapped = less | {CANARY: CANARY}
    doubled = b'{"segment":1,' + _order().as_json()[1:]
    for read, data in (
        (study_from_json, canonical_bytes(less)),
        (study_from_json, canonical_bytes(more)),
        (study_from_json, canonical_bytes(swapped)),
        (Order.from_json, doubled),
        (Order.from_json, b"\xff\xfe"),
        (Order.from_json, b"[]"),
        (Order.from_json, b"{}"),
        (Order.from_json, b"[" * 100_000),
        (Order.from_json, b" " * (4 * 1024 * 1024 + 1)),
    ):
        with pytest.raises(InputError) as refusal:
            read(data)
        assert refusal.value.code == "gate.bad_order"
        assert CANARY not in str(refusal.value)


def test_a_hospital_an_agreement_or_a_key_cannot_be_invited_twice(make_study: MakeStudy) -> None:
    first, second, third = make_study().sites
    for twin in (
        replace(second, participant=first.participant),
        replace(second, agreement=first.agreement),
        replace(second, key=first.key),
    ):
        with pytest.raises(InputError, match="stands twice"):
            study_from_json(make_study(sites=(first, twin, third)).as_json())
    with pytest.raises(InputError, match="public key"):
        study_from_json(make_study(sites=(first, replace(second, key="AAAA"), third)).as_json())


@pytest.mark.parametrize(
    "need",
    [
        FieldNeed(name="x", kind="text"),
        FieldNeed(name="x", kind="number", categories=("a",)),
        FieldNeed(name="x", kind="category"),
        FieldNeed(name="x", kind="category", categories=("a", "a")),
        FieldNeed(name="", kind="number"),
    ],
)
def test_a_column_need_that_makes_no_sense_is_refused(
    make_study: MakeStudy, need: FieldNeed
) -> None:
    with pytest.raises(InputError, match="features"):
        study_from_json(make_study(features=(need,)).as_json())


def test_a_layout_with_a_negative_length_is_refused(make_study: MakeStudy) -> None:
    with pytest.raises(InputError, match="layout"):
        study_from_json(make_study(layout=(ArrayNeed(name="w", shape=(-1,)),)).as_json())


def test_a_study_for_one_site_may_have_a_quorum_of_one(make_study: MakeStudy) -> None:
    study = make_study(sites=make_study().sites[:1], quorum=1)
    assert study_from_json(study.as_json()).quorum == 1


@pytest.mark.parametrize(("name", "value"), [("segment", 0), ("attempt", 0), ("first_round", 0)])
def test_an_order_counts_from_one(name: str, value: int) -> None:
    with pytest.raises(InputError, match=name):
        Order.from_json(_order(**{name: value}).as_json())


def test_only_the_leads_signature_opens_a_study(
    make_study: MakeStudy, keys: dict[str, SigningKey]
) -> None:
    study = make_study()
    signed = sign_study(keys["north"], study)
    assert peek_study(signed) == study
    assert verify_study(signed, key=keys["north"].public) == study
    with pytest.raises(IntegrityError):
        verify_study(signed, key=keys["south"].public)


def test_an_impossible_study_is_not_even_signed(
    make_study: MakeStudy, keys: dict[str, SigningKey]
) -> None:
    with pytest.raises(InputError, match="rounds"):
        sign_study(keys["north"], make_study(rounds=0))
    with pytest.raises(InputError, match="start"):
        sign_study(keys["north"], make_study(start=Digest("none")))
