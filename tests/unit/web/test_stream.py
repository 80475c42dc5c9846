"""The stream: events as lines, a comment in silence, an end when nobody is welcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from consilium.web.stream import Event, answer_events


class Script:
    """A feed that gives what was written down, look by look."""

    def __init__(self, *looks: Sequence[Event]) -> None:
        self._looks = list(looks)

    def look(self) -> Sequence[Event]:
        return self._looks.pop(0) if self._looks else ()


def heard(feed: Script, *, welcomes: int, ping_s: float = 1.0) -> str:
    """Listen until the feed's listener is welcome no more."""
    left = iter([True] * welcomes + [False])

    async def run() -> bytes:
        answer = answer_events(feed, is_welcome=lambda: next(left), look_s=0.001, ping_s=ping_s)
        return b"".join([bytes(part) async for part in answer.body_iterator])  # type: ignore[arg-type]

    return asyncio.run(run()).decode()


def event(number: int, **data: str) -> Event:
    return Event(id=str(number), kind="study", data={**data})


def test_each_event_is_written_with_its_place() -> None:
    told = heard(Script([event(1, word="会诊"), event(2)], [], [event(3)], [event(4)]), welcomes=2)
    assert told.startswith(": consilium\nretry: 2000\n\n")
    assert 'event: study\ndata: {"word":"会诊"}\nid: 1\n\n' in told
    assert [line for line in told.splitlines() if line.startswith("id")] == [
        "id: 1",
        "id: 2",
        "id: 3",
    ]


def test_silence_is_kept_alive_by_a_comment() -> None:
    told = heard(Script(), welcomes=3, ping_s=0.002)
    assert told.count(": ping\n\n") == 3


def test_a_line_break_in_the_data_begins_no_other_event() -> None:
    told = heard(Script([event(1, word="a\n\nevent: link\ndata: {}")], [event(2)]), welcomes=1)
    assert told.count("\nevent: ") == 1
