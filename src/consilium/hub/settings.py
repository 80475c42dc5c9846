"""The hub's settings: one frozen record from file, environment and flags.

`hub.toml` is written by `consilium hub init` and read at each start. A key
`port` of the section `[hub]` can be overridden by `CONSILIUM__HUB__PORT`, and
that by a flag. Unknown keys and impossible values stop the start.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from consilium.dataspace.contract_id import (
    ALPHABET,
    NODE_TYPES,
    NOWHERE,
    Register,
    verify_credit_code,
)
from consilium.kernel.errors import InputError, NotFoundError
from consilium.kernel.identifiers import ParticipantId, check_name, participant_id
from consilium.ledger.jointokens import HUB

FILE = "hub.toml"
SPACE_LENGTH = 48
"""A space's name must fit into certificate names of 64 characters."""
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
_PREFIX = "CONSILIUM__"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSection:
    """Who the hub is and where it listens.

    `host` is the name by which hospitals reach it; `listen` the address it
    binds. `also` lists further names or addresses for its certificates. `database`
    is an SQLAlchemy URL; empty means the file `hub.db` in the hub's folder.
    `upkeep_s` is the longest time after which the hub hears of a revocation.
    """

    space: str
    title: str
    host: str
    port: int = 8440
    engine_port: int = 8441
    listen: str = "0.0.0.0"  # noqa: S104  (hospitals come from outside; that is the hub's purpose)
    also: tuple[str, ...] = ()
    database: str = ""
    upkeep_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerSection:
    """Lifetimes of what the signer issues, in hours, and who may reach its socket.

    `group` names the group of the hub's serving process when that runs under
    another user than the signer; empty means the same user.
    """

    group: str = ""
    root_days: float = 3650.0
    participant_hours: float = 168.0
    site_hours: float = 168.0
    server_hours: float = 720.0
    submitter_hours: float = 24.0
    token_hours: float = 72.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySection:
    """Limits of the relay and of joining.

    `poll_s` bounds one long poll, `answer_s` the wait for a hospital's answer,
    `away_s` the silence after which a hospital counts as away.
    """

    poll_s: float = 20.0
    answer_s: float = 30.0
    away_s: float = 5.0
    queue: int = 64
    body_bytes: int = 1 << 20
    joins_per_minute: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSection:
    """What contract ids are made of (docs/tc609.md); not to be changed later.

    `node_type` is 1 for a regional, 2 for an industry's, 3 for an enterprise's
    space. `subjects` lists `name=code`, a member's unified social credit code.
    """

    node_type: int = 2
    area: str = NOWHERE
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Everything that can be set at a hub."""

    hub: HubSection
    signer: SignerSection = field(default_factory=SignerSection)
    relay: RelaySection = field(default_factory=RelaySection)
    contract: ContractSection = field(default_factory=ContractSection)

    @property
    def address(self) -> str:
        """The address by which hospitals reach the hub."""
        host = f"[{self.hub.host}]" if ":" in self.hub.host else self.hub.host
        return f"https://{host}:{self.hub.port}"

    @property
    def participant(self) -> ParticipantId:
        """The identifier under which the hub speaks."""
        return participant_id(self.hub.space, HUB)

    @property
    def register(self) -> Register:
        """What this space's contract ids are made of."""
        pairs = (word.partition("=") for word in self.contract.subjects)
        return Register(
            node_type=self.contract.node_type,
            area=self.contract.area,
            subjects={participant_id(self.hub.space, name): code for name, _, code in pairs},
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every name and address that the hub's certificates are for."""
        return tuple(dict.fromkeys((self.hub.host, "localhost", "127.0.0.1", *self.hub.also)))


def load_settings(
    home: Path,
    *,
    environment: Mapping[str, str],
    flags: Mapping[str, str] | None = None,
) -> HubSettings:
    """Read a hub's settings.

    Parameters
    ----------
    home : Path
        The hub's folder.
    environment : mapping
        Only names that begin with `CONSILIUM__` are looked at.
    flags : mapping, optional
        `section.key` to text, from the command line.

    Raises
    ------
    NotFoundError
        `hub.no_hub`.
    InputError
        `hub.unknown_setting`, `hub.bad_setting`; both name source and key.
    """
    path = home / FILE
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError("hub.no_hub", path=str(home)) from error
    except (OSError, ValueError) as error:
        raise InputError("hub.bad_setting", source=str(path), key="(the file)") from error
    layers: list[tuple[str, Mapping[str, Any]]] = [(str(path), _nested(table, source=str(path)))]
    layers.append(("the environment", _from_environment(environment)))
    layers.append(("the command line", dict(flags or {})))
    return build_settings(layers)


def build_settings(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> HubSettings:
    """Build settings from layers of `section.key` to value; later ones win.

    Raises
    ------
    InputError
        `hub.unknown_setting`, `hub.bad_setting`.
    """
    known = _known()
    values: dict[str, dict[str, Any]] = {}
    for source, layer in layers:
        for key, value in layer.items():
            if key not in known:
                raise InputError("hub.unknown_setting", source=source, key=key)
            section, _, name = key.partition(".")
            try:
                values.setdefault(section, {})[name] = _READERS[known[key]](value)
            except (ValueError, TypeError) as error:
                raise InputError("hub.bad_setting", source=source, key=key) from error
    return _assemble(values, source=layers[0][0])


def write_settings(settings: HubSettings) -> str:
    """Write settings as TOML; what `load_settings` reads back is equal."""
    lines = ["# Settings of a Consilium hub. See docs/trust.md."]
    for section in fields(settings):
        record = getattr(settings, section.name)
        lines += ["", f"[{section.name}]"]
        lines += [f"{item.name} = {_toml(getattr(record, item.name))}" for item in fields(record)]
    return "\n".join(lines) + "\n"


def _assemble(values: dict[str, dict[str, Any]], *, source: str) -> HubSettings:
    for item in fields(HubSection):
        if item.name in ("space", "title", "host") and not values.get("hub", {}).get(item.name):
            raise InputError("hub.bad_setting", source=source, key=f"hub.{item.name}")
    settings = HubSettings(
        hub=HubSection(**values["hub"]),
        signer=SignerSection(**values.get("signer", {})),
        relay=RelaySection(**values.get("relay", {})),
        contract=ContractSection(**values.get("contract", {})),
    )
    for key, holds in _rules(settings).items():
        if not holds:
            raise InputError("hub.bad_setting", source=source, key=key)
    return settings


def _rules(settings: HubSettings) -> dict[str, bool]:
    """Say for each key with a range whether its value is within it."""
    hub, signer, relay = settings.hub, settings.signer, settings.relay
    contract = settings.contract
    positive = {
        f"signer.{item.name}": getattr(signer, item.name) > 0
        for item in fields(signer)
        if item.name != "group"
    }
    return positive | {
        "hub.space": len(hub.space) <= SPACE_LENGTH,
        "hub.host": _HOST.fullmatch(hub.host) is not None,
        "hub.also": all(_HOST.fullmatch(host) for host in hub.also),
        "hub.port": 0 < hub.port < 65536,
        "hub.engine_port": 0 < hub.engine_port < 65536 and hub.engine_port != hub.port,
        "relay.poll_s": 0 < relay.poll_s <= 60,
        "relay.answer_s": relay.answer_s > 0,
        "relay.away_s": relay.away_s > 0,
        "relay.queue": relay.queue > 0,
        "relay.body_bytes": 1024 <= relay.body_bytes <= 1 << 26,
        "relay.joins_per_minute": relay.joins_per_minute > 0,
        "contract.node_type": contract.node_type in NODE_TYPES,
        "contract.area": len(contract.area) == len(NOWHERE)
        and not set(contract.area) - set(ALPHABET),
        "contract.subjects": all(_names_subject(word) for word in contract.subjects),
    }


def _names_subject(word: str) -> bool:
    """Say whether this is a member's name and a credit code whose check character is right."""
    name, _, code = word.partition("=")
    try:
        check_name(name)
        verify_credit_code(code)
    except InputError:
        return False
    return True


def _known() -> dict[str, str]:
    """List every setting as `section.key`, with the name of its type."""
    sections = get_type_hints(HubSettings)
    return {
        f"{section}.{item.name}": str(item.type)
        for section, kind in sections.items()
        if is_dataclass(kind)
        for item in fields(kind)
    }


def _nested(table: dict[str, Any], *, source: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for section, values in table.items():
        if not isinstance(values, dict):
            raise InputError("hub.unknown_setting", source=source, key=section)
        flat |= {f"{section}.{key}": value for key, value in values.items()}
    return flat


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Take what is meant for the hub; a node on the same machine has sections of its own."""
    named = {
        name.removeprefix(_PREFIX).lower().replace("__", ".", 1): value
        for name, value in environment.items()
        if name.startswith(_PREFIX)
    }
    ours = {item.name for item in fields(HubSettings)}
    return {key: value for key, value in named.items() if key.partition(".")[0] in ours}


def _read_text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise TypeError("not text")
    return value


def _read_int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError("not a whole number")
    return int(value)


def _read_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("not a number")
    return float(value)


def _read_words(value: object) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list):
        raise TypeError("not a list")
    return tuple(_read_text(word).strip() for word in words if word)


_READERS: dict[str, Callable[[object], Any]] = {
    "str": _read_text,
    "int": _read_int,
    "float": _read_float,
    "tuple[str, ...]": _read_words,
}


def _toml(value: object) -> str:
    """Write a value as TOML; JSON's text, numbers and lists are TOML's too."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
