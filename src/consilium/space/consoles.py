"""Consoles of a space on one machine: a port for each hospital, and one account for each role.

For trying things out: everything lies on loopback, and the passwords are made
here, shown once and kept nowhere.
"""

from __future__ import annotations

import base64
import secrets
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from consilium.kernel.errors import StateError
from consilium.node.membership import FILE
from consilium.node.settings import CONSOLE, ConsoleSettings, load_console_settings
from consilium.persons.records import Role
from consilium.space.home import node_home, pick_port
from consilium.space.persons import Persons
from consilium.space.wire import Speaker, Wire

_BYTES = 10
_GROUP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody invented who can sign in at one hospital; the name says the role."""

    role: Role
    name: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHospital:
    """One hospital's console, and whoever can sign in there."""

    member: str
    address: str
    accounts: tuple[Account, ...]


def give_console(folder: Path) -> None:
    """Write a free loopback port into a node's settings, unless they name a console already.

    Raises
    ------
    StateError
        `space.port_taken`.
    """
    path = folder / FILE
    text = path.read_text(encoding="utf-8")
    if CONSOLE not in tomllib.loads(text):
        port = pick_port(ConsoleSettings().host)
        path.write_text(f"{text}\n[{CONSOLE}]\nport = {port}\n", encoding="utf-8")


def open_accounts(home: Path, members: Sequence[str]) -> list[OpenHospital]:
    """Make one account for each role at each hospital of a space that is up.

    Raises
    ------
    StateError
        `persons.not_first` where somebody has an account already,
        `space.console_not_local` where a console is open to other machines.
    """
    with ThreadPoolExecutor(max_workers=len(members)) as pool:
        return list(pool.map(lambda member: _open(home, member), members))


def _open(home: Path, member: str) -> OpenHospital:
    folder = node_home(home, member)
    console = load_console_settings(folder, environment={})
    if not console.is_local:
        raise StateError("space.console_not_local", host=console.host)
    accounts = [Account(role=role, name=role, password=_password()) for role in Role]
    first, *others = accounts
    speaker: Speaker = (first.name, first.password)
    with Wire(folder) as wire:
        persons = Persons(wire)
        persons.add_first(first.name, password=first.password)
        for one in others:
            persons.add(one.name, password=one.password, speaker=speaker)
            persons.change_role(one.name, one.role, speaker=speaker)
    return OpenHospital(member=member, address=console.address, accounts=tuple(accounts))


def _password() -> str:
    """Make one that a person can type: 80 random bits in four groups."""
    letters = base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
