"""A path of the protocol: which request it takes, and what answers it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from consilium.dataspace.connector import Connector
from consilium.dataspace.ports import WireRequest
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.tokens import Caller

Document = dict[str, Any]

CATALOG_ERROR = "CatalogError"
NEGOTIATION_ERROR = "ContractNegotiationError"
TRANSFER_ERROR = "TransferError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request whose sender is known: who, for which process, with which document."""

    caller: Caller
    pid: str
    document: Document
    query: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One path below `base`; `{pid}` stands for our number of a process, or a dataset."""

    method: str
    path: str
    error: str
    handle: Callable[[Connector, Asked], Document]
    status: int = 200
    base: str = builders.BASE
    has_query: bool = False

    def address(self, pid: str) -> str:
        """Write the path for one pid, as its sender signed it."""
        return self.base + self.path.replace("{pid}", quote(pid, safe=":"))

    def match(self, request: WireRequest) -> str | None:
        """Return the path's pid (empty if it has none), or None if it is another path."""
        path, mark, _ = request.path.partition("?")
        if request.method != self.method or (mark and not self.has_query):
            return None
        pattern = re.escape(self.base + self.path).replace(r"\{pid\}", "([^/]+)")
        found = re.fullmatch(pattern, path)
        if found is None:
            return None
        return unquote(found[1]) if found.groups() else ""
