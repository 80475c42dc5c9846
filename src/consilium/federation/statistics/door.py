"""The door for questions: a signed path beside the protocol's own."""

from __future__ import annotations

from typing import Any

from consilium.dataspace.connector import Connector
from consilium.dataspace.endpoints import Asked, Route
from consilium.gate.statistics import StatisticsGate

BASE = "/consilium/1"
PATH = f"{BASE}/statistics"
ERROR = "StatisticsError"


def statistics_routes(gate: StatisticsGate) -> tuple[Route, ...]:
    """Return the paths under which a node answers questions.

    Discloses
    ---------
    What the gate lets out, to the lead whose agreement it is.
    """

    def answer_question(_connector: Connector, asked: Asked) -> dict[str, Any]:
        signed = gate.answer(asked.document, caller=asked.caller.participant)
        return {"@type": "StatisticsAnswer", "answer": signed}

    return (Route("POST", "/statistics", ERROR, answer_question, base=BASE),)
