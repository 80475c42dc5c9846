"""The folder of a space: what lies where, and whether it can be used at all."""

from __future__ import annotations

import shutil
import socket
from contextlib import ExitStack, closing
from pathlib import Path

from consilium.kernel.errors import InputError, StateError
from consilium.space.plans import HUB_NAME, HubPlan, SpacePlan

SIGN = "space.name"
"""File that says which space a home belongs to."""
SOCKET_BYTES = 100
"""What an address of a unix socket may measure, with a little to spare (Linux: 108)."""
LONGEST_SOCKET = "run/desk.sock"


def default_home(name: str) -> Path:
    """Return where a space lives when nobody says otherwise: below the working folder."""
    return Path(".consilium") / name


def hub_home(home: Path) -> Path:
    """Return the hub's folder in a space home."""
    return home / HUB_NAME


def node_home(home: Path, member: str) -> Path:
    """Return a hospital's folder in a space home."""
    return home / member


def prepare_home(home: Path, plan: SpacePlan) -> Path:
    """Make the folder of a space, or take the one that is already its own.

    Returns
    -------
    Path
        The folder, absolute.

    Raises
    ------
    InputError
        `space.long_home`.
    StateError
        `space.foreign_home`.
    """
    home = home.resolve()
    sign = home / SIGN
    if home.exists() and not home.is_dir():
        raise StateError("space.foreign_home", home=str(home))
    if home.exists() and any(home.iterdir()) and _read(sign) != plan.name:
        raise StateError("space.foreign_home", home=str(home))
    longest = max(len(member.name) for member in plan.participants)
    length = len(str(home).encode()) + longest + len(f"//{LONGEST_SOCKET}")
    if length > SOCKET_BYTES:
        raise InputError("space.long_home", home=str(home), length=length, most=SOCKET_BYTES)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    sign.write_text(plan.name + "\n", encoding="utf-8")
    return home


def clear_home(home: Path, plan: SpacePlan) -> None:
    """Delete the home of an earlier run of the same space; anything else stays untouched."""
    if _read(home / SIGN) == plan.name:
        shutil.rmtree(home)


def pick_ports(hub: HubPlan) -> tuple[int, int]:
    """Return the two ports of the hub, free at this moment.

    Raises
    ------
    StateError
        `space.port_taken`.
    InputError
        `space.bad_host`.
    """
    wanted = (("port", hub.port), ("engine_port", hub.engine_port))
    with ExitStack() as stack:
        bound = [stack.enter_context(closing(_bind(hub.host, port, key))) for key, port in wanted]
        first, second = (int(each.getsockname()[1]) for each in bound)
    return first, second


def pick_port(host: str) -> int:
    """Return a port of this machine that is free at this moment.

    Raises
    ------
    InputError
        `space.bad_host`.
    """
    with closing(_bind(host, 0, "port")) as bound:
        return int(bound.getsockname()[1])


def _bind(host: str, port: int, key: str) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except OSError as error:
        raise InputError("space.bad_host", host=host) from error
    bound = socket.socket(family, socket.SOCK_STREAM)
    # As servers do: a port in TIME_WAIT after an earlier run counts as free.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if port:
            raise StateError("space.port_taken", host=host, port=port, key=key) from error
        raise InputError("space.bad_host", host=host) from error
    return bound


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
