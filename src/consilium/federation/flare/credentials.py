"""The server's certificate as the kit holds it now, for each new connection.

FLARE reads it once for TLS and once for its own handshake above. A server that
outlives that certificate would be refused by every hospital that connects anew,
although the file was renewed in time. So both look at the file again each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]  # it comes without types
import nvflare.fuel.f3.drivers.grpc_driver as grpc_driver
import nvflare.private.fed.server.fed_server as fed_server
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.f3.drivers.driver_params import DriverParams
from nvflare.private.fed.server.cred_keeper import CredKeeper


def follow_certificate() -> None:
    """Let this process's server present the certificate that stands in its kit.

    Discloses
    ---------
    Nothing; members without a certificate of the space are refused as before.
    """
    grpc_driver.get_grpc_server_credentials = _make_credentials
    fed_server.CredKeeper = PresentKeeper


class PresentKeeper(CredKeeper):
    """Keeps what the server proves its name with, until the certificate's file changes."""

    id_asserter: Any

    def get_id_asserter(self, fl_ctx: FLContext) -> Any:
        """Give the server's certificate and key for FLARE's handshake."""
        held = self.id_asserter
        if held is not None and Path(held.cert_file).read_bytes() != held.cert_data:
            self.id_asserter = None
        return super().get_id_asserter(fl_ctx)


def _make_credentials(params: dict[str, Any]) -> Any:
    return grpc.dynamic_ssl_server_credentials(
        _read(params), lambda: _find(params), require_client_authentication=True
    )


def _find(params: dict[str, Any]) -> Any:
    """Read the files again; None, and so no change, while they cannot be read."""
    try:
        return _read(params)
    except OSError:
        return None


def _read(params: dict[str, Any]) -> Any:
    key, chain, root = (
        Path(str(params[name.value])).read_bytes()
        for name in (DriverParams.SERVER_KEY, DriverParams.SERVER_CERT, DriverParams.CA_CERT)
    )
    return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=root)
