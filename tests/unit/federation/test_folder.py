"""An attempt's folder: whole files, one owner, checked digests."""

from __future__ import annotations

from pathlib import Path

import pytest
from federation_rehearsal import Rehearsal, make_rehearsal

from consilium.federation.folder import SegmentFolder
from consilium.federation.records import ClosedRound
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import IntegrityError, NotFoundError, StateError


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    return make_rehearsal(tmp_path)


def _closed(rehearsal: Rehearsal, number: int = 1) -> ClosedRound:
    return ClosedRound(
        study=rehearsal.study.study,
        segment=1,
        attempt=1,
        round=number,
        model_in=rehearsal.study.start,
        model=digest_of(b"model"),
        rule_state=digest_of(b"memory"),
        replies={"did:web:x:y": "statement"},
        countersigned=("one", "two"),
    )


def test_an_attempt_cannot_take_anothers_folder(rehearsal: Rehearsal) -> None:
    order, point, folder = rehearsal.begin()
    with pytest.raises(StateError) as caught:
        SegmentFolder.create(folder.path, order, point)
    assert caught.value.code == "federation.folder_taken"


def test_a_folder_gives_back_its_order_and_start(rehearsal: Rehearsal) -> None:
    order, point, folder = rehearsal.begin()
    assert folder.order() == order
    assert folder.start() == point.model == rehearsal.start
    assert folder.start_rule() == b""


def test_a_round_is_closed_only_with_its_record(rehearsal: Rehearsal) -> None:
    _, _, folder = rehearsal.begin()
    closed = _closed(rehearsal)
    folder.write_round(closed, model=b"model", rule_state=b"memory")
    assert folder.rounds() == [1]
    assert folder.closed_round(1) == closed
    (folder.path / "state-00001.json").unlink()
    assert folder.rounds() == []


def test_a_changed_model_is_noticed(rehearsal: Rehearsal) -> None:
    _, _, folder = rehearsal.begin()
    folder.write_round(_closed(rehearsal), model=b"model", rule_state=b"memory")
    (folder.path / "round-00001.safetensors").write_bytes(b"other")
    with pytest.raises(IntegrityError):
        folder.model(1)


def test_a_record_with_a_field_too_many_is_refused(rehearsal: Rehearsal) -> None:
    data = _closed(rehearsal).as_json()
    with pytest.raises(IntegrityError):
        ClosedRound.from_json(data[:-1] + b',"zz":1}')


def test_a_torn_last_event_is_not_yet_an_event(rehearsal: Rehearsal) -> None:
    _, _, folder = rehearsal.begin()
    folder.add_event({"kind": "one"})
    folder.add_event({"kind": "two"})
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind": "thr')
    assert [event["kind"] for event in folder.events()] == ["one", "two"]
    assert [event["kind"] for event in folder.events(after=1)] == ["two"]


def test_what_is_not_there_yet_is_said_so(rehearsal: Rehearsal) -> None:
    _, _, folder = rehearsal.begin()
    assert not folder.has_ended()
    with pytest.raises(NotFoundError):
        folder.evaluation()
    with pytest.raises(NotFoundError):
        folder.model(3)


def test_files_of_an_attempt_are_private(rehearsal: Rehearsal) -> None:
    _, _, folder = rehearsal.begin()
    modes = {oct(file.stat().st_mode & 0o777) for file in folder.path.iterdir()}
    assert modes == {"0o600"}
    assert folder.path.stat().st_mode & 0o077 == 0


def test_notes_of_answers_are_read_on_from_where_they_were_left(rehearsal: Rehearsal) -> None:
    _, _, folder = rehearsal.begin()
    site = next(iter(rehearsal.desks))
    assert folder.answers() == ([], 0)
    folder.note_answer("train", 1, site=site, size=40)
    notes, end = folder.answers()
    assert notes == [{"task": "train", "round": 1, "site": site, "bytes": 40}]
    with (folder.path / "answers.jsonl").open("ab") as file:
        file.write(b'{"task":')  # a line that is being written just now
    assert folder.answers(end) == ([], end)
    assert folder.events() == []
