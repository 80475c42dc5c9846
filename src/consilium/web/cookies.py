"""The one cookie: the session's token, out of every script's reach.

Cookies do not tell ports of one machine apart, so its name carries the port:
two nodes on one machine keep two sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from fastapi import Request, Response

_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCookie:
    """Reads and writes the cookie of a listener at `port`."""

    port: int

    @property
    def name(self) -> str:
        """Name it."""
        return f"consilium_session_{self.port}"

    def read(self, header: str) -> str:
        """Return the token in a `Cookie` header, or nothing."""
        try:
            found = SimpleCookie(header).get(self.name)
        except CookieError:
            return ""
        token = found.value if found is not None else ""
        return token if len(token) <= _LONGEST else ""

    def write(self, answer: Response, token: str, *, request: Request) -> None:
        """Hand the token to the browser until it closes; over TLS for TLS alone."""
        answer.set_cookie(
            self.name,
            token,
            path="/",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )

    def clear(self, answer: Response, *, request: Request) -> None:
        """Take the token back."""
        answer.delete_cookie(
            self.name,
            path="/",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
