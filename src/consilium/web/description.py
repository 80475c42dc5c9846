"""What a door's OpenAPI description says besides its routes: problems, cookie, page's token."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from consilium.web.guard import READING, Key
from consilium.web.problems import MEDIA_TYPE

_FIELDS = ("type", "title", "title_zh", "code", "en", "zh")
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": [*_FIELDS, "status", "facts"],
    "properties": {
        **{name: {"type": "string"} for name in _FIELDS},
        "status": {"type": "integer"},
        "facts": {"type": "object"},
    },
}
"""A problem (RFC 9457) with its code and both sentences."""
_SAYS = {
    400: "Correct what was given",
    401: "Nobody is signed in",
    403: "A rule says no",
    404: "Not there, or out of sight",
    405: "No such method here",
    409: "Not in this state",
    413: "Too large",
    422: "Correct what was given",
    500: "The node could not do it",
    502: "Another hospital or the hub did not answer",
    503: "The node ends just now",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": PROBLEM}}}
    for status, text in _SAYS.items()
}
"""What every route of a door may answer instead."""


def describe_door(app: FastAPI, *, cookie: str, token: str, open_to_all: frozenset[Key]) -> None:
    """Let an application's description say how one signs in.

    Parameters
    ----------
    cookie : str
        Name of the cookie that a session lies in.
    token : str
        Header that every change carries.
    open_to_all : set of Key
        Routes that need no session.
    """
    made = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        found = made()
        found.setdefault("components", {})["securitySchemes"] = {
            "session": {"type": "apiKey", "in": "cookie", "name": cookie},
            "page": {"type": "apiKey", "in": "header", "name": token},
        }
        for path, methods in found["paths"].items():
            for method, operation in methods.items():
                key = (method.upper(), path)
                changes: dict[str, list[str]] = {} if key[0] in READING else {"page": []}
                operation["security"] = [] if key in open_to_all else [{"session": [], **changes}]
        return found

    app.openapi = whole  # type: ignore[method-assign]
