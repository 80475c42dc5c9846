"""The path on which a counterpart's notice of revocation arrives."""

from __future__ import annotations

from consilium.dataspace.connector import Connector
from consilium.dataspace.revocation import BASE, PATH, answer_revocation, on_revocation
from consilium.dataspace.routing import CATALOG_ERROR, Asked, Document, Route


def _on_revocation(connector: Connector, asked: Asked) -> Document:
    return answer_revocation(on_revocation(connector, asked.document, by=asked.caller))


REVOCATION_ROUTES = (Route("POST", PATH, CATALOG_ERROR, _on_revocation, base=BASE),)
"""Handed to `endpoints.answer` beside the protocol's own routes."""
