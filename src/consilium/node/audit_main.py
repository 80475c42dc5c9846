"""The process in which a model is attacked: it gets open files and gives figures.

It holds no path, key or address. The array file and the weights come as open
descriptors; the standard input carries one line with the plan, and stays open
as long as the node lives: when it closes, this process ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict
from typing import Any, TextIO

from consilium.federation.audits.hospital import Opened, audit_at_hospital
from consilium.federation.registry import Recipes
from consilium.gate.orders import peek_study
from consilium.kernel.errors import ConsiliumError, StateError

LEFT = 75
"""Exit status of a process whose node has gone."""


def main(asked: TextIO, said: TextIO) -> int:
    """Read one request, attack, say how it goes and what was found; return the exit code."""

    def say(answer: dict[str, Any]) -> None:
        said.write(json.dumps(answer) + "\n")
        said.flush()

    request = json.loads(asked.readline())
    threading.Thread(target=_end_with, args=(asked,), daemon=True).start()
    try:
        with os.fdopen(request["weights"], "rb") as weights:
            model = weights.read()
        with os.fdopen(request["arrays"], "rb") as arrays:
            found = audit_at_hospital(
                peek_study(request["study"]),
                Opened(file=arrays, facts=request["facts"]),
                model,
                recipes=Recipes(),
                references=request["references"],
                tell=lambda done, total: say({"progress": {"done": done, "total": total}}),
            )
    except ConsiliumError as error:
        say({"error": error.as_record()})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 (this process's request boundary)
        # A foreign message may quote a patient's values, so only its kind is told.
        failure = StateError("boundary.broken", kind=type(error).__name__)
        say({"error": failure.as_record()})
        return failure.exit_code
    say({"result": asdict(found)})
    return 0


def _end_with(asked: TextIO) -> None:
    """End this process when the node closes the line or is gone."""
    asked.read()
    os._exit(LEFT)


if __name__ == "__main__":
    sys.exit(main(sys.stdin, sys.stdout))
