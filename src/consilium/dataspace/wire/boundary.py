"""The request boundary: how our HTTP services report an error.

Every error of the house becomes its status and its record (code and both
sentences). Anything else becomes one sentence without a detail: the trace stays
in the local log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from consilium.kernel.errors import ConsiliumError, InputError, NotFoundError, StateError

LOG = logging.getLogger(__name__)
_BODY = "the body"
_LONGEST = 200
"""Letters of all the places that one answer names."""


def report_errors(app: FastAPI) -> None:
    """Let an application answer every error with its record.

    Discloses
    ---------
    Code and sentences of the error: identifiers and counts.
    """
    app.add_exception_handler(ConsiliumError, _ours)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _foreign)


def _ours(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ConsiliumError):
        raise error
    if error.detail:
        LOG.info("%s: %s", error.code, error.detail)
    return JSONResponse(error.as_record(), status_code=error.http_status)


def _malformed(_request: Request, error: Exception) -> JSONResponse:
    flaws = error.errors() if isinstance(error, RequestValidationError) else ()
    places = sorted({_place(flaw) for flaw in flaws})
    told = InputError("boundary.malformed", places=", ".join(places)[:_LONGEST] or _BODY)
    return JSONResponse(told.as_record(), status_code=told.http_status)


def _place(flaw: Mapping[str, Any]) -> str:
    """Name the field that a flaw is in; what was sent there is never repeated."""
    if flaw["type"] == "json_invalid":
        return "the body, which is not JSON"
    return ".".join(str(part) for part in flaw["loc"][1:]) or _BODY


def _refused(request: Request, error: Exception) -> JSONResponse:
    """Say in the house's own form what the framework refused: a route, a method, a body."""
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, ConsiliumError):
        return _ours(request, error.__cause__)
    told: ConsiliumError = InputError("boundary.malformed", places=_BODY)
    if error.status_code in {404, 405}:
        told = NotFoundError("boundary.no_route", method=request.method[:20])
    return JSONResponse(told.as_record(), status_code=error.status_code, headers=error.headers)


def _foreign(request: Request, error: Exception) -> JSONResponse:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    told = StateError("boundary.broken", kind=type(error).__name__)
    return JSONResponse(told.as_record(), status_code=500)
