"""The hospital's engine client: its kit, its process, and its renewal."""

from __future__ import annotations

from pathlib import Path

from consilium.federation.flare.kits import (
    Credentials,
    DeskAddress,
    EngineAddress,
    renew_credentials,
    write_site_kit,
)
from consilium.federation.flare.processes import SupervisedChild, client_command
from consilium.node.membership import ENGINE_CERTIFICATE, ENGINE_KEY, ROOT, KeyFolder, Membership
from consilium.node.proxy import Proxy

DESK = "consilium.node.job_main.SocketDesk"


class NodeEngine:
    """Writes the kit, runs the client, and swaps its certificate when it is renewed.

    Parameters
    ----------
    folder : Path
        Where the kit is written.
    membership : Membership
        Name, and where the hub's engine is.
    keys : KeyFolder
        The engine's key and certificate.
    desk : Path
        The node's socket for job processes; the hub neither sees nor chooses it.
    proxy : Proxy, optional
        Through which the hub is reached. Only the client's own process is told.
    """

    def __init__(
        self,
        folder: Path,
        membership: Membership,
        *,
        keys: KeyFolder,
        desk: Path,
        proxy: Proxy | None = None,
    ) -> None:
        self._folder = folder
        self._membership = membership
        self._keys = keys
        self._desk = desk
        self.child = SupervisedChild(
            "engine client",
            client_command(folder, proxied=proxy is not None),
            folder=folder,
            told=f"{proxy.url}\n".encode() if proxy else b"",
        )

    def start(self) -> None:
        """Write the kit anew and start the client."""
        engine = self._membership.engine
        write_site_kit(
            self._folder,
            name=self._membership.name,
            address=EngineAddress(
                host=engine.host,
                port=engine.port,
                project=engine.project,
                server=engine.server_name,
            ),
            credentials=self._credentials(),
            desk=DeskAddress(path=DESK, arguments={"address": str(self._desk)}),
        )
        self.child.start()

    def renew(self) -> None:
        """Swap the renewed certificate into the kit; the client goes on."""
        renew_credentials(self._folder, self._credentials())

    def _credentials(self) -> Credentials:
        return Credentials(
            root=(self._keys.path / ROOT).read_bytes(),
            certificate=(self._keys.path / ENGINE_CERTIFICATE).read_bytes(),
            key=(self._keys.path / ENGINE_KEY).read_bytes(),
        )
