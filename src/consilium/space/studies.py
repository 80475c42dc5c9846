"""Studies by the Python client: starting, following, and saying why one ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from consilium.kernel.errors import StateError, texts
from consilium.space.record import ResultRecord
from consilium.space.wire import POLL_S, Record, Wire, name_of

Seen = Callable[[Record], None]
"""Called with each event of a study."""

LIVE = frozenset({"RECRUITING", "SUBMITTED", "RUNNING"})
COMPLETED = "COMPLETED"
RESULT_S = 10.0
MOST_PAUSE_S = 1.0
"""Longest wait between two looks at a study."""


class Studies:
    """Studies that this hospital leads."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def start(self, **plan: Any) -> str:
        """Start a study from its plan and return its identifier at once."""
        return name_of(self._wire.post("/studies", plan))

    def run(self, *, seen: Seen | None = None, **plan: Any) -> ResultRecord:
        """Start a study and wait for its result.

        Parameters
        ----------
        seen : callable, optional
            Called with each event as it comes.
        **plan
            title, question, purpose, recipe, settings, rule, rule_settings, privacy,
            rounds, quorum, deadline_s, seed, secure, and `invite`: a list of
            {participant, dataset}.

        Raises
        ------
        StateError
            `space.study_failed`.
        """
        return self.wait(self.start(**plan), seen=seen)

    def wait(self, study: str, *, seen: Seen | None = None) -> ResultRecord:
        """Wait for a study's end and return its result; raises as `run` does."""
        after, events, heard = 0, [], time.monotonic()
        while True:
            record = self._wire.get(f"/studies/{study}/events", after=after)
            for event in record.get("events", ()):
                after, heard = max(after, int(event["id"])), time.monotonic()
                events.append(event)
                if seen is not None:
                    seen(event)
            if record["state"] == COMPLETED:
                return self._await_result(study)
            if record["state"] not in LIVE:
                raise _failure(study, record, events)
            # The longer nothing happens, the more seldom it is asked for.
            time.sleep(min(MOST_PAUSE_S, max(POLL_S, (time.monotonic() - heard) / 20)))

    def _await_result(self, study: str) -> ResultRecord:
        """Fetch the result; it is kept a moment after the study is completed."""
        ends = time.monotonic() + RESULT_S
        while True:
            try:
                return self.result(study)
            except StateError:
                if time.monotonic() > ends:
                    raise
            time.sleep(POLL_S)

    def result(self, study: str) -> ResultRecord:
        """Return the result of a completed study."""
        return ResultRecord.from_json(self._wire.get(f"/studies/{study}/result"))

    def get(self, study: str, *, after: int = 0) -> Record:
        """Return a study with its events after `after`."""
        return dict(self._wire.get(f"/studies/{study}", after=after))

    def progress(self, study: str) -> Record:
        """Tell whom a study waits for, and where each hospital stands; kept after its end."""
        return dict(self._wire.get(f"/studies/{study}/run"))

    def list(self) -> list[Record]:
        """List the studies."""
        return self._wire.list("/studies")[::-1]

    def stop(self, study: str) -> Record:
        """Stop a study; what it has accepted is kept."""
        return dict(self._wire.post(f"/studies/{study}/stop"))


def _words_of(reason: str) -> Record:
    """Say in words what a code of the house means; another reason stands for itself."""
    entry = texts().get(reason)
    return {language: entry[language] if entry else reason for language in ("en", "zh")}


def _failure(study: str, record: Record, events: Sequence[Record]) -> StateError:
    """Say why a study ended, with what each hospital answered as detail."""
    last = [event["facts"] for event in events if event["kind"] == "failure"]
    said = last[-1] if last else _words_of(str(record.get("reason") or "—"))
    refusals = [event["facts"] for event in events if event["kind"] in {"declined", "refused"}]
    words = {
        language: "\n".join(
            f"{facts.get('participant')}: "
            f"{facts.get(language) or facts.get('code') or facts.get('reason')}"
            for facts in refusals
        )
        for language in ("en", "zh")
    }
    return StateError(
        "space.study_failed",
        detail=words["en"],
        detail_zh=words["zh"],
        study=study,
        now=record["state"],
        wanted=COMPLETED,
        reason=str(said["en"]).rstrip("."),
        reason_zh=str(said["zh"]).rstrip("。"),
    )
