"""Serving the node's own protocol root, beside the hub's relay or for a conformance run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from fastapi import FastAPI

from consilium.dataspace.connector import Connector
from consilium.dataspace.endpoints import Route, dsp_router
from consilium.dataspace.wire.serving import PlainPlace, Serving, TlsPlace
from consilium.node.settings import NodeSettings

LOG = logging.getLogger("consilium.node")


def serve_directly(
    stack: ExitStack, settings: NodeSettings, connector: Connector, *, also: Sequence[Route] = ()
) -> None:
    """Serve the protocol root at the node's own address, if one is set; evidence says if unsigned.

    Parameters
    ----------
    stack : ExitStack
        Ends the serving.
    also : sequence of Route
        Further signed paths, as for `dataspace.endpoints.answer`.
    """
    if not settings.listen_port:
        return
    is_open = settings.authentication == "off"
    app = FastAPI(openapi_url=None)
    app.include_router(dsp_router(connector, also=also, is_open=is_open))
    place: TlsPlace | PlainPlace = PlainPlace(host=settings.listen_host, port=settings.listen_port)
    if settings.certificate:
        place = TlsPlace(
            host=settings.listen_host,
            port=settings.listen_port,
            certificate=Path(settings.certificate),
            key=Path(settings.certificate_key),
        )
    address = f"{settings.listen_host}:{settings.listen_port}"
    if is_open:
        with connector.database.write() as tx:
            tx.record("door.opened", connector.me, {"address": address, "authentication": "off"})
        LOG.warning("conformance run: authentication is OFF at %s", address)
    serving = Serving(app, place)
    serving.start()
    stack.callback(serving.close)
    LOG.info("the protocol is served at %s too", address)
