"""The request boundary: how our HTTP services report an error.

Every error of the house becomes its status and its record (code and both
sentences). Anything else becomes one sentence without a detail: the trace stays
in the local log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from consilium.kernel.errors import ConsiliumError, InputError, NotFoundError, StateError

LOG = logging.getLogger(__name__)
_BODY = "the body"
_LONGEST = 200
"""Letters of all the places that one answer names."""


Headers = Mapping[str, str] | None
Write = Callable[[ConsiliumError, int, Headers], Response]
"""Writes an error with its status and further headers as an answer."""


def write_record(error: ConsiliumError, status: int, headers: Headers = None) -> Response:
    """Answer with the error's record: code and both sentences."""
    return JSONResponse(error.as_record(), status_code=status, headers=headers)


def report_errors(app: FastAPI, *, write: Write = write_record) -> None:
    """Let an application answer every error, usually with its record.

    Discloses
    ---------
    Code and sentences of the error: identifiers and counts.
    """
    app.add_exception_handler(ConsiliumError, partial(_ours, write))
    app.add_exception_handler(RequestValidationError, partial(_malformed, write))
    app.add_exception_handler(HTTPException, partial(_refused, write))
    app.add_exception_handler(Exception, partial(_foreign, write))


def _ours(write: Write, _request: Request, error: Exception) -> Response:
    if not isinstance(error, ConsiliumError):
        raise error
    if error.detail:
        LOG.info("%s: %s", error.code, error.detail)
    return write(error, error.http_status, None)


def _malformed(write: Write, _request: Request, error: Exception) -> Response:
    flaws = error.errors() if isinstance(error, RequestValidationError) else ()
    places = sorted({_place(flaw) for flaw in flaws})
    told = InputError("boundary.malformed", places=", ".join(places)[:_LONGEST] or _BODY)
    return write(told, told.http_status, None)


def _place(flaw: Mapping[str, Any]) -> str:
    """Name the field that a flaw is in; what was sent there is never repeated."""
    if flaw["type"] == "json_invalid":
        return "the body, which is not JSON"
    return ".".join(str(part) for part in flaw["loc"][1:]) or _BODY


def _refused(write: Write, request: Request, error: Exception) -> Response:
    """Say in the house's own form what the framework refused: a route, a method, a body."""
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, ConsiliumError):
        return _ours(write, request, error.__cause__)
    told: ConsiliumError = InputError("boundary.malformed", places=_BODY)
    if error.status_code in {404, 405}:
        told = NotFoundError("boundary.no_route", method=request.method[:20])
    return write(told, error.status_code, error.headers)


def _foreign(write: Write, request: Request, error: Exception) -> Response:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    told = StateError("boundary.broken", kind=type(error).__name__)
    return write(told, 500, None)
