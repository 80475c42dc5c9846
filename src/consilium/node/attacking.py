"""Running an attack in a process of its own, and reading what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from consilium.federation.audits.hospital import AuditFigures
from consilium.kernel.canonical import Json
from consilium.kernel.errors import StateError, error_from_record
from consilium.models.verdicts import Attack
from consilium.node.tasks import Report

COMMAND = [sys.executable, "-X", "utf8", "-m", "consilium.node.audit_main"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """What an attack needs: the signed plan, what a lease would tell, open files.

    `references` is None for as many reference models as the data are worth.
    """

    study: str
    facts: Mapping[str, Json]
    arrays: BinaryIO
    weights: BinaryIO
    references: int | None = None


def run_attack(request: AuditRequest, report: Report) -> AuditFigures:
    """Attack a model in a child process.

    Raises
    ------
    ConsiliumError
        What the child says.
    StateError
        `node.audit_broke` when it ended without a word.

    Discloses
    ---------
    Nothing outside the hospital; `report` gets counts of reference models.
    """
    files = (request.arrays.fileno(), request.weights.fileno())
    question = {
        "study": request.study,
        "facts": dict(request.facts),
        "arrays": files[0],
        "weights": files[1],
        "references": request.references,
    }
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", pass_fds=files
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise StateError("node.audit_broke", exit=0)
        try:
            child.stdin.write(json.dumps(question) + "\n")
            child.stdin.flush()
        except BrokenPipeError as error:  # it ended before it had read
            raise StateError("node.audit_broke", exit=child.wait()) from error
        for line in child.stdout:
            if not line.endswith("\n"):  # it was killed in the middle of a line
                break
            answer = json.loads(line)
            if "error" in answer:
                raise error_from_record(answer["error"])
            if "result" in answer:
                return _read(answer["result"])
            report(answer.get("progress", {}))
        exit_code = child.wait()
    raise StateError("node.audit_broke", exit=exit_code)


def _read(record: Mapping[str, Any]) -> AuditFigures:
    attacks = tuple(Attack(**one) for one in record["attacks"])
    return AuditFigures(**{**record, "attacks": attacks})
