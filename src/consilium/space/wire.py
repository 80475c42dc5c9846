"""HTTP over the unix socket of a running node or hub: the only way in from outside.

The socket lies in the process's own folder and belongs to its user, so there
is no password here; whoever may open the folder may ask.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from consilium.kernel.errors import NotFoundError, PeerError, StateError, error_from_record

ANSWER_TIMEOUT_S = 60.0
"""A catalogue or an agreement asks other hospitals first, so answers may take a while."""
POLL_S = 0.1
PAGE = 200
"""Items that are asked for at once."""

Record = dict[str, Any]
Speaker = tuple[str, str]
"""A person's name and password."""
Progress = Callable[[Mapping[str, Any]], None]
"""Called with each report of a running task."""


class Wire:
    """A connection to the process that serves `home`.

    Parameters
    ----------
    home : Path
        Folder of a node or hub; its socket is `run/api.sock`.
    """

    def __init__(self, home: Path, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self.home = home.absolute()
        self._timeout_s = timeout_s
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket_of(self.home))),
            base_url="http://consilium",
            timeout=timeout_s,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:
        """Ask for a record.

        Raises
        ------
        ConsiliumError
            What the process reported; `space.no_node`, `space.no_answer` or
            `space.bad_answer` when it reported nothing.
        """
        return self._ask("GET", path, params=query)

    def list(self, path: str, **query: str | int) -> list[Record]:
        """Ask for a list, page by page; raises as `get` does."""
        found: list[Record] = []
        cursor = ""
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = self.get(path, limit=PAGE, **query, **more)
            found += items_of(page, "items")
            cursor = str(page.get("next") or "") if isinstance(page, dict) else ""
            if not cursor:
                return found

    def fetch(self, path: str, into: Path, *, speaker: Speaker | None = None) -> None:
        """Write a file that the process hands out; raises as `get` does.

        `speaker` is who acts, where a person must.

        Raises
        ------
        StateError
            `ledger.cannot_write`.
        """
        home = str(self.home)
        if not is_served(self.home):
            raise PeerError("space.no_node", home=home)
        try:
            with self._http.stream("GET", path, auth=_auth_of(speaker)) as answer:
                if answer.is_success:
                    with into.open("wb") as stream:
                        stream.writelines(answer.iter_bytes())
                    return
                answer.read()
        except httpx.TransportError as error:
            raise PeerError("space.no_node", home=home) from error
        except OSError as error:
            reason = error.strerror or "refused"
            raise StateError("ledger.cannot_write", place=str(into), reason=reason) from error
        self._read(answer, path)

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, speaker: Speaker | None = None
    ) -> Any:
        """Send a record and return the answer; raises as `get` does.

        `speaker` is who acts: name and password, where a person must.
        """
        return self._ask("POST", path, json=dict(body or {}), auth=_auth_of(speaker))

    def wait_task(self, task: str, *, progress: Progress | None = None) -> Any:
        """Wait for a task of the node and return its result.

        Raises
        ------
        ConsiliumError
            The task's own error.
        """
        while True:
            report = self.get(f"/tasks/{task}")
            if progress is not None:
                progress(report)
            if report.get("error"):
                raise error_from_record(report["error"])
            if report.get("state") in {"done", "DONE", "COMPLETED"}:
                return report.get("result")
            time.sleep(POLL_S)

    def _ask(self, method: str, path: str, **what: Any) -> Any:
        home = str(self.home)
        if not is_served(self.home):
            raise PeerError("space.no_node", home=home)
        try:
            answer = self._http.request(method, path, **what)
        except httpx.TimeoutException as error:
            raise PeerError(
                "space.no_answer", home=home, path=path, seconds=self._timeout_s
            ) from error
        except httpx.TransportError as error:
            raise PeerError("space.no_node", home=home) from error
        return self._read(answer, path)

    def _read(self, answer: httpx.Response, path: str) -> Any:
        try:
            record = answer.json()
        except ValueError:
            record = None
        if answer.is_success and record is not None:
            return record
        if isinstance(record, dict) and "code" in record:
            raise error_from_record(record)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFoundError("space.no_route", home=str(self.home), path=path)
        raise PeerError(
            "space.bad_answer", home=str(self.home), path=path, status=answer.status_code
        )


def is_served(home: Path) -> bool:
    """Say whether a process listens on a home's socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(socket_of(home)))
        except OSError:
            return False
    return True


def socket_of(home: Path) -> Path:
    """Return where the process that serves `home` listens."""
    return home / "run" / "api.sock"


def _auth_of(speaker: Speaker | None) -> httpx.BasicAuth | None:
    return None if speaker is None else httpx.BasicAuth(*speaker)


def items_of(answer: Any, key: str) -> list[Record]:
    """Take a list that stands alone or under its name."""
    found: Sequence[Record] = answer.get(key, ()) if isinstance(answer, dict) else answer
    return [dict(item) for item in found]


def name_of(answer: Any) -> str:
    """Take the identifier of a task or study from an answer."""
    record = dict(answer)
    return str(record.get("id") or record.get("task") or record.get("study"))
