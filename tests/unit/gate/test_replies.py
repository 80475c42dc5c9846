from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from consilium.gate.orders import Order, Study, sign_study
from consilium.gate.replies import (
    Answer,
    check_countersigned,
    pack_reply,
    read_reply,
    sign_round,
    verify_answer,
    verify_reply,
    verify_round,
)
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.keys import SigningKey
from consilium.models.weights import pack_arrays

MakeStudy = Callable[..., Study]
Keys = dict[str, SigningKey]
MODEL = digest_of(b"model")
STUDY = StudyId("urn:uuid:s")
UPDATE = pack_arrays({"w": np.array([1.0, 2.0]), "b": np.array(0.5)})


def _answer(**changes: Any) -> Answer:
    answer = Answer(
        study=STUDY,
        segment=1,
        round=3,
        kind="train",
        participant=ParticipantId("did:web:example.org:north"),
        n=100,
        model_in=MODEL,
        facts={"loss": 0.5},
        work_s=0.25,
    )
    return replace(answer, **changes)


def test_a_reply_carries_its_arrays_and_facts_under_the_sites_signature(keys: Keys) -> None:
    data = pack_reply(keys["north"], _answer(), update=UPDATE)
    reply = verify_reply(
        data, key=keys["north"].public, study=STUDY, kind="train", round=3, model=MODEL
    )
    assert reply.n == 100
    assert reply.facts == {"loss": 0.5}
    assert reply.arrays["w"].tolist() == [1.0, 2.0]
    assert reply.arrays["b"].shape == ()
    assert reply.update == digest_of(UPDATE)
    assert pack_reply(keys["north"], _answer(), update=UPDATE) == data


def test_a_training_reply_countersigns_the_round_before_and_an_evaluation_its_own(
    keys: Keys,
) -> None:
    key = keys["north"]
    train = read_reply(pack_reply(key, _answer(), update=UPDATE))
    verify_round(train.countersignature, key.public, study=STUDY, round=2, digest=MODEL)
    empty = pack_arrays({})
    final = read_reply(pack_reply(key, _answer(kind="evaluate"), update=empty))
    verify_round(final.countersignature, key.public, study=STUDY, round=3, digest=MODEL)


def test_a_statement_can_be_checked_without_its_arrays(keys: Keys) -> None:
    reply = read_reply(pack_reply(keys["north"], _answer(), update=UPDATE))
    said = verify_answer(
        reply.statement, key=keys["north"].public, study=STUDY, kind="train", round=3, model=MODEL
    )
    assert said.update == reply.update


@pytest.mark.parametrize(
    "other",
    [
        {"study": StudyId("urn:uuid:t")},
        {"kind": "evaluate"},
        {"round": 4},
        {"model": digest_of(b"another")},
    ],
)
def test_a_reply_to_another_task_is_refused(keys: Keys, other: dict[str, Any]) -> None:
    data = pack_reply(keys["north"], _answer(), update=UPDATE)
    task: dict[str, Any] = {"study": STUDY, "kind": "train", "round": 3, "model": MODEL} | other
    with pytest.raises(IntegrityError) as refusal:
        verify_reply(data, key=keys["north"].public, **task)
    assert refusal.value.code == "gate.other_task"


def test_another_key_or_changed_arrays_are_found(keys: Keys) -> None:
    task: dict[str, Any] = {"study": STUDY, "kind": "train", "round": 3, "model": MODEL}
    data = pack_reply(keys["north"], _answer(), update=UPDATE)
    with pytest.raises(IntegrityError) as refusal:
        verify_reply(data, key=keys["south"].public, **task)
    assert refusal.value.code == "ledger.bad_signature"
    reply = read_reply(data)
    forged = pack_arrays({**reply.arrays, "b": np.array(9.0)}, note=reply.statement)
    with pytest.raises(IntegrityError) as refusal:
        verify_reply(forged, key=keys["north"].public, **task)
    assert refusal.value.code == "gate.other_update"


@pytest.mark.parametrize("data", [b"", b"junk" * 10, pack_arrays({}), UPDATE])
def test_bytes_that_are_no_reply_are_refused(data: bytes) -> None:
    with pytest.raises(InputError) as refusal:
        read_reply(data)
    assert refusal.value.code == "gate.not_a_reply"


def test_a_countersignature_stands_for_one_model_of_one_round(keys: Keys) -> None:
    key = keys["north"]
    text = sign_round(key, study=STUDY, round=2, digest=MODEL)
    verify_round(text, key.public, study=STUDY, round=2, digest=MODEL)
    with pytest.raises(IntegrityError):
        verify_round(text, key.public, study=STUDY, round=3, digest=MODEL)
    with pytest.raises(IntegrityError):
        verify_round(text, keys["south"].public, study=STUDY, round=2, digest=MODEL)


def _order(keys: Keys, study: Study, *, first_round: int, signed: tuple[str, ...]) -> Order:
    start = study.start if first_round == 1 else MODEL
    return Order(
        signed_study=sign_study(keys["north"], study),
        segment=1,
        attempt=1,
        first_round=first_round,
        start=start,
        countersigned=signed,
    )


def _by(keys: Keys, study: Study, *names: str, round_: int = 2) -> tuple[str, ...]:
    return tuple(
        sign_round(keys[name], study=study.study, round=round_, digest=MODEL) for name in names
    )


def test_a_segment_starts_from_the_signed_start(make_study: MakeStudy, keys: Keys) -> None:
    study = make_study()
    check_countersigned(_order(keys, study, first_round=1, signed=()), study)
    other = replace(_order(keys, study, first_round=1, signed=()), start=MODEL)
    with pytest.raises(DeniedError) as refusal:
        check_countersigned(other, study)
    assert refusal.value.code == "gate.other_start"


def test_a_segment_starts_from_a_round_that_a_quorum_countersigned(
    make_study: MakeStudy, keys: Keys
) -> None:
    study = make_study()
    signed = _by(keys, study, "west", "south")
    check_countersigned(_order(keys, study, first_round=3, signed=signed), study)


def test_too_few_doubled_strange_or_moved_countersignatures_do_not_count(
    make_study: MakeStudy, keys: Keys
) -> None:
    study = make_study()
    for signed in (
        (),
        _by(keys, study, "south"),
        _by(keys, study, "south", "south"),
        _by(keys, study, "south", "stranger"),
        _by(keys, study, "south", "west", round_=1),
        (*_by(keys, study, "south"), "not.a.statement"),
    ):
        with pytest.raises(DeniedError) as refusal:
            check_countersigned(_order(keys, study, first_round=3, signed=signed), study)
        assert refusal.value.code == "gate.start_not_countersigned"


def test_a_segment_cannot_start_beyond_the_evaluation(make_study: MakeStudy, keys: Keys) -> None:
    study = make_study()
    signed = _by(keys, study, "south", "west", round_=5)
    check_countersigned(_order(keys, study, first_round=6, signed=signed), study)
    signed = _by(keys, study, "south", "west", round_=6)
    with pytest.raises(DeniedError):
        check_countersigned(_order(keys, study, first_round=7, signed=signed), study)
