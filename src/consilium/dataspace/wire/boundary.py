"""The request boundary: how our HTTP services report an error.

Every error of the house becomes its status and its record (code and both
sentences). Anything else becomes one sentence without a detail: the trace stays
in the local log.
"""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from consilium.kernel.errors import ConsiliumError, InputError, StateError

LOG = logging.getLogger(__name__)


def report_errors(app: FastAPI) -> None:
    """Let an application answer every error with its record.

    Discloses
    ---------
    Code and sentences of the error: identifiers and counts.
    """
    app.add_exception_handler(ConsiliumError, _ours)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _foreign)


def _ours(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ConsiliumError):
        raise error
    if error.detail:
        LOG.info("%s: %s", error.code, error.detail)
    return JSONResponse(error.as_record(), status_code=error.http_status)


def _malformed(_request: Request, error: Exception) -> JSONResponse:
    places: list[str] = []
    if isinstance(error, RequestValidationError):
        places = [".".join(str(part) for part in item["loc"][1:]) for item in error.errors()]
    told = InputError("boundary.malformed", places=", ".join(sorted(set(places)))[:200] or "body")
    return JSONResponse(told.as_record(), status_code=told.http_status)


def _foreign(request: Request, error: Exception) -> JSONResponse:
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    told = StateError("boundary.broken", kind=type(error).__name__)
    return JSONResponse(told.as_record(), status_code=500)
