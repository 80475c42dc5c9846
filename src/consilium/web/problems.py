"""Errors as a browser gets them: `application/problem+json` (RFC 9457) in both languages."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from consilium.dataspace.wire.boundary import Headers, report_errors
from consilium.kernel.errors import ConsiliumError

MEDIA_TYPE = "application/problem+json"
UNAUTHORISED = 401
_NOBODY_YET = frozenset(
    {
        "persons.no_session",
        "persons.no_first",
        "persons.not_recognised",
        "persons.code_needed",
        "persons.wrong_code",
        "persons.wrong_welcome",
    }
)
"""What says that nobody is signed in: 401, where a rule's no is 403."""


_TOO_LARGE = {"web.too_large": 413}


def status_of(error: ConsiliumError) -> int:
    """Return the HTTP status that a browser gets."""
    if error.code in _TOO_LARGE:
        return _TOO_LARGE[error.code]
    return UNAUTHORISED if error.code in _NOBODY_YET else error.http_status


def problem_of(error: ConsiliumError, status: int) -> dict[str, Any]:
    """Write an error with its code, facts and both sentences; `type` names its page."""
    record = error.as_record()
    return {
        "type": f"/errors/{error.code}",
        "title": record["en"],
        "title_zh": record["zh"],
        "status": status,
        "facts": {name: _plain(value) for name, value in error.facts.items()},
        **record,
    }


def answer_problem(error: ConsiliumError, status: int = 0, headers: Headers = None) -> Response:
    """Answer with an error."""
    told = status_of(error) if status in (0, error.http_status) else status
    return JSONResponse(
        problem_of(error, told), status_code=told, headers=headers, media_type=MEDIA_TYPE
    )


def report_problems(app: FastAPI) -> None:
    """Let an application answer every error as a problem.

    Discloses
    ---------
    Code, facts and sentences of the error: identifiers and counts.
    """
    report_errors(app, write=answer_problem)


def _plain(value: object) -> Any:
    return value if isinstance(value, str | int | float | None) else str(value)
