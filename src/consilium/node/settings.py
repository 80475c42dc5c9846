"""The node's own settings: the section `[node]` of `node.toml`, then the environment.

Each key may be overridden by `CONSILIUM__NODE__<KEY>`. Unknown keys and
impossible values stop the start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consilium.dataspace.wire.anybody import is_loopback
from consilium.kernel.errors import InputError
from consilium.kernel.tables import Fault, Section, Slip
from consilium.node.membership import FILE

SECTION = "node"
_PREFIX = "CONSILIUM__NODE__"
_LEAST_CASES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a hospital can set at its node.

    `database` is an SQLAlchemy URL; empty means the file `node.db` in the
    node's folder. `min_cases` is the smallest count that may leave, at least 5.
    `decide` says who agrees to what is asked of this hospital: `policy` or
    `queue`. With `listen_port` the node also serves its protocol root itself at
    `listen_host`, with `certificate` and `certificate_key` (PEM files) unless
    that is a loopback address. `authentication` may be `off` for protocol
    conformance runs only, at that address only.
    """

    database: str = ""
    min_cases: int = 10
    decide: str = "policy"
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    certificate: str = ""
    certificate_key: str = ""
    authentication: str = "on"

    def url(self, home: Path) -> str:
        """Return the database's URL for a node in `home`."""
        return self.database or f"sqlite:///{home / 'node.db'}"


def load_node_settings(home: Path, *, environment: Mapping[str, str]) -> NodeSettings:
    """Read the settings.

    Raises
    ------
    InputError
        `node.unknown_setting`, `node.bad_setting`; both name source and key.
        `node.authentication_needed`, `node.certificate_needed`.
    """
    path = home / FILE
    layers = {str(path): tomllib.loads(path.read_text(encoding="utf-8"))}
    for name, value in environment.items():
        if name.startswith(_PREFIX):
            layers[name] = {SECTION: {name.removeprefix(_PREFIX).lower(): value}}
    settings = NodeSettings()
    # What a layer leaves out stays as the layers before it have set it.
    for source, values in layers.items():
        table = Section(values, refuse=partial(_refuse, source)).section(SECTION, optional=True)
        settings = NodeSettings(
            database=table.text("database", default=settings.database),
            min_cases=table.whole(
                "min_cases", low=_LEAST_CASES, default=settings.min_cases, digits=True
            ),
            decide=table.choice("decide", ("policy", "queue"), default=settings.decide),
            listen_host=table.text("listen_host", default=settings.listen_host),
            listen_port=table.whole(
                "listen_port", low=0, high=65535, default=settings.listen_port, digits=True
            ),
            certificate=table.text("certificate", default=settings.certificate),
            certificate_key=table.text("certificate_key", default=settings.certificate_key),
            authentication=table.choice(
                "authentication", ("on", "off"), default=settings.authentication
            ),
        )
        table.end()
    _check_listening(settings)
    return settings


def _check_listening(settings: NodeSettings) -> None:
    """Refuse a way of serving that would let others listen in or come in unsigned."""
    is_here = is_loopback(settings.listen_host)
    if settings.authentication == "off" and not (settings.listen_port and is_here):
        raise InputError("node.authentication_needed", host=settings.listen_host)
    if settings.listen_port and not (
        is_here or (settings.certificate and settings.certificate_key)
    ):
        raise InputError("node.certificate_needed", host=settings.listen_host)


def _refuse(source: str, slip: Slip) -> InputError:
    code = "node.unknown_setting" if slip.fault == Fault.UNKNOWN else "node.bad_setting"
    return InputError(code, key=slip.path, source=source)
