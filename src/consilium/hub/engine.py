"""The hub's engine: its kits, its server process, and their renewal."""

from __future__ import annotations

import socket
from pathlib import Path

from consilium.federation.flare.engine import FlareEngine
from consilium.federation.flare.kits import (
    Credentials,
    EngineAddress,
    renew_credentials,
    write_server_kit,
    write_submitter_kit,
)
from consilium.federation.flare.processes import SupervisedChild, server_command
from consilium.hub.authority import Kind, engine_server_name, submitter_name
from consilium.hub.settings import HubSettings
from consilium.hub.upkeep import NAMES, ROOT_FILE
from consilium.kernel.errors import StateError

FOLDER = "engine"
_LOOK_S = 1.0
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_KITS = {Kind.ENGINE_SERVER: "server", Kind.SUBMITTER: "submitter"}


class HubEngine:
    """Writes the kits, runs the server, and swaps certificates when they are renewed.

    Parameters
    ----------
    home : Path
        The hub's folder.
    settings : HubSettings
        Names and ports.
    """

    def __init__(self, home: Path, settings: HubSettings) -> None:
        self._keys = home / "keys"
        self._folder = home / FOLDER
        self._settings = settings
        self.address = engine_address(settings)
        self.child = SupervisedChild(
            "engine server", server_command(self._kit(Kind.ENGINE_SERVER)), folder=self._folder
        )
        self._barred: tuple[int, frozenset[str]] = (-1, frozenset())
        self.port = FlareEngine(self._kit(Kind.ENGINE_SERVER), space=settings.hub.space)

    def start(self) -> None:
        """Write both kits anew and start the server."""
        submitter = self._kit(Kind.SUBMITTER)
        write_submitter_kit(
            submitter,
            username=submitter_name(self._settings.hub.space),
            address=self.address,
            credentials=self._credentials(Kind.SUBMITTER),
        )
        write_server_kit(
            self._kit(Kind.ENGINE_SERVER),
            address=self.address,
            credentials=self._credentials(Kind.ENGINE_SERVER),
            submitter=submitter,
        )
        self._check_port()
        self.child.start()

    def _check_port(self) -> None:
        """Refuse a port that is taken: the engine itself would begin anew for ever."""
        host, port = self.address.host, self.address.port
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((self._settings.hub.listen, port))
        except OSError as error:
            raise StateError("boundary.port_taken", port=port, host=host) from error

    def renew(self, kind: Kind) -> None:
        """Swap a renewed certificate into its kit; the server goes on."""
        if kind in _KITS:
            renew_credentials(self._kit(kind), self._credentials(kind))

    def bar(self, names: frozenset[str]) -> None:
        """Keep these members' engines out, and no others; asked of each life of the server once.

        Raises
        ------
        PeerError
            `engine.not_running`: try again.
        """
        wanted = (self.life(), names)
        if wanted != self._barred:
            self.port.bar(names)
            self._barred = wanted

    def is_listening(self) -> bool:
        """Say whether the server takes connections from hospitals."""
        where = (self.address.host, self.address.port)
        try:
            socket.create_connection(where, timeout=_LOOK_S).close()
        except OSError:
            return False
        return self.child.state.running

    def life(self) -> int:
        """Count the server's lives: another number after each restart."""
        return self.child.state.restarts

    def stop(self) -> None:
        """Stop the server and whatever it started."""
        self.child.stop()
        self.port.close()

    def _kit(self, kind: Kind) -> Path:
        return self._folder / _KITS[kind]

    def _credentials(self, kind: Kind) -> Credentials:
        name = NAMES[kind]
        return Credentials(
            root=(self._keys / ROOT_FILE).read_bytes(),
            certificate=(self._keys / f"{name}.crt").read_bytes(),
            key=(self._keys / f"{name}.key").read_bytes(),
        )


def engine_address(settings: HubSettings) -> EngineAddress:
    """Say where the engine listens; a hub that listens on the loopback keeps it there too."""
    hub = settings.hub
    return EngineAddress(
        host="localhost" if hub.listen in _LOOPBACK else hub.host,
        port=hub.engine_port,
        project=hub.space,
        server=engine_server_name(hub.space),
    )
