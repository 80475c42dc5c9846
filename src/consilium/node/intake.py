"""Connecting a dataset: a reader in a process of its own, then one transaction.

The reader's libraries and the source's rows live in that process only. What
comes back is an array file, counts, and a schema; only then is the dataset
registered, with its offer and evidence, all or nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consilium.kernel.errors import StateError, error_from_record
from consilium.node.tasks import Report
from consilium.readers.records import IntakeRequest, IntakeResult

COMMAND = [sys.executable, "-X", "utf8", "-m", "consilium.readers.intake"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What to read and by which schema (TOML text)."""

    path: Path
    schema: str
    schema_name: str


def read_source(source: Source, *, folder: Path, report: Report) -> IntakeResult:
    """Read a source into an array file in `folder`, in a child process.

    Raises
    ------
    ConsiliumError
        What the reader found wrong with file or schema.
    StateError
        `node.intake_broke` when it ended without a word.

    Discloses
    ---------
    Nothing outside the hospital; `report` gets counts.
    """
    request = IntakeRequest(
        source=source.path,
        schema=source.schema,
        out=folder,
        schema_name=source.schema_name,
    )
    return _converse(request, report)


def _converse(request: IntakeRequest, report: Report) -> IntakeResult:
    question: dict[str, Any] = {
        "source": str(request.source),
        "schema": request.schema,
        "out": str(request.out),
        "schema_name": request.schema_name,
    }
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise StateError("node.intake_broke", exit=0)
        with suppress(BrokenPipeError):  # it ended before it had read; its exit code tells
            child.stdin.write(json.dumps(question))
            child.stdin.close()
        for line in child.stdout:
            if not line.endswith("\n"):  # it was killed in the middle of a line
                break
            answer = json.loads(line)
            if "error" in answer:
                raise error_from_record(answer["error"])
            if "result" in answer:
                return IntakeResult.from_record(answer["result"])
            report(answer.get("progress", {}))
        exit_code = child.wait()
    raise StateError("node.intake_broke", exit=exit_code)
