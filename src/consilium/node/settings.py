"""The node's own settings: its sections of `node.toml`, then the environment.

Each key may be overridden by `CONSILIUM__<SECTION>__<KEY>`. Unknown keys and
impossible values stop the start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from consilium.dataspace.records import PrivacyBudget
from consilium.dataspace.wire.anybody import is_loopback
from consilium.kernel.errors import InputError
from consilium.kernel.tables import Fault, Section, Slip, is_number
from consilium.node.membership import FILE
from consilium.node.proxy import ProxyRules
from consilium.persons.settings import RULES, ApprovalSettings

SECTION = "node"
APPROVALS = "approvals"
CONSOLE = "console"
_LEAST_CASES = 5
_USUAL = PrivacyBudget()
_FINEST, _GREATEST_EPSILON, _GREATEST_DELTA = 1e-12, 1e6, 0.5
_MOST_ANSWER_S = 14 * 24 * 3600
_MOST_HOURS = 24 * 366
_MOST_DAYS = 366

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a hospital can set at its node.

    `database` is an SQLAlchemy URL; empty means the file `node.db` in the
    node's folder. `min_cases` is the smallest count that may leave, at least 5.
    `questions` is how many questions of statistics one agreement may ask.
    `epsilon` and `delta` are the privacy budget of a dataset whose steward names
    no other.
    `members_s` is how old the member list may become before it is fetched anew,
    in seconds, at most 60.
    `answer_s` is how long a study that this hospital leads waits for another
    hospital's agreement and start; more where persons decide there.
    `backups` is the folder of the backups that the console makes; empty means
    `backups` in the node's folder.
    `proxy` is `http://host:port`, `direct`, or empty for what the environment says;
    `proxy_login` is the path of a file with `user:password` for it.
    With `listen_port` the node also serves its protocol root itself at
    `listen_host`, with `certificate` and `certificate_key` (PEM files) unless
    that is a loopback address. `authentication` may be `off` for protocol
    conformance runs only, at that address only.
    """

    database: str = ""
    min_cases: int = 10
    questions: int = 200
    epsilon: float = _USUAL.epsilon
    delta: float = _USUAL.delta
    members_s: int = 20
    answer_s: int = 60
    backups: str = ""
    proxy: str = ""
    proxy_login: str = ""
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    certificate: str = ""
    certificate_key: str = ""
    authentication: str = "on"

    def url(self, home: Path) -> str:
        """Return the database's URL for a node in `home`."""
        return self.database or f"sqlite:///{home / 'node.db'}"

    def proxies(self, home: Path, *, environment: Mapping[str, str]) -> ProxyRules:
        """Return what holds for the way to the hub from a node in `home`."""
        login = str(home / self.proxy_login) if self.proxy_login else ""
        return ProxyRules(setting=self.proxy, login=login, environment=environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """Where browsers are served.

    `port` 0 serves none. With `certificate` and `certificate_key` (PEM files)
    by TLS; without them at a loopback address only, for a browser on this
    machine or behind a reverse proxy on it.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certificate: str = ""
    certificate_key: str = ""

    @property
    def is_local(self) -> bool:
        """Only browsers on this machine reach it."""
        return is_loopback(self.host)

    @property
    def address(self) -> str:
        """Give the address that a browser opens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}/"


def load_console_settings(home: Path, *, environment: Mapping[str, str]) -> ConsoleSettings:
    """Read the section `[console]`; raises as `load_node_settings` does.

    Raises
    ------
    InputError
        `node.console_certificate_needed`.
    """
    settings = _load(home, CONSOLE, environment, usual=ConsoleSettings(), read=_read_console)
    has_pair = bool(settings.certificate and settings.certificate_key)
    if settings.port and not (has_pair or settings.is_local):
        raise InputError("node.console_certificate_needed", host=settings.host)
    return settings


def load_node_settings(home: Path, *, environment: Mapping[str, str]) -> NodeSettings:
    """Read the section `[node]`.

    Raises
    ------
    InputError
        `node.unknown_setting`, `node.bad_setting`; both name source and key.
        `node.authentication_needed`, `node.certificate_needed`.
    """
    settings = _load(home, SECTION, environment, usual=NodeSettings(), read=_read_node)
    _check_listening(settings)
    return settings


def load_approval_settings(home: Path, *, environment: Mapping[str, str]) -> ApprovalSettings:
    """Read the section `[approvals]`; raises as `load_node_settings` does."""
    return _load(home, APPROVALS, environment, usual=ApprovalSettings(), read=_read_approvals)


def _load(
    home: Path,
    name: str,
    environment: Mapping[str, str],
    *,
    usual: S,
    read: Callable[[Section, S], S],
) -> S:
    """Read one section from every layer; what a layer leaves out stays as it was before."""
    path, prefix = home / FILE, f"CONSILIUM__{name.upper()}__"
    layers = {str(path): tomllib.loads(path.read_text(encoding="utf-8"))}
    for variable, value in environment.items():
        if variable.startswith(prefix):
            layers[variable] = {name: {variable.removeprefix(prefix).lower(): value}}
    settings = usual
    for source, values in layers.items():
        table = Section(values, refuse=partial(_refuse, source)).section(name, optional=True)
        settings = read(table, settings)
        table.end()
    return settings


def _read_node(table: Section, before: NodeSettings) -> NodeSettings:
    return NodeSettings(
        database=table.text("database", default=before.database),
        min_cases=table.whole("min_cases", low=_LEAST_CASES, default=before.min_cases, digits=True),
        questions=table.whole("questions", low=0, default=before.questions, digits=True),
        epsilon=_amount(table, "epsilon", before.epsilon, high=_GREATEST_EPSILON),
        delta=_amount(table, "delta", before.delta, high=_GREATEST_DELTA),
        members_s=table.whole("members_s", low=1, high=60, default=before.members_s, digits=True),
        listen_host=table.text("listen_host", default=before.listen_host),
        listen_port=table.whole(
            "listen_port", low=0, high=65535, default=before.listen_port, digits=True
        ),
        certificate=table.text("certificate", default=before.certificate),
        certificate_key=table.text("certificate_key", default=before.certificate_key),
        authentication=table.choice("authentication", ("on", "off"), default=before.authentication),
        backups=table.text("backups", default=before.backups),
        proxy=table.text("proxy", default=before.proxy),
        proxy_login=table.text("proxy_login", default=before.proxy_login),
        answer_s=table.whole(
            "answer_s", low=1, high=_MOST_ANSWER_S, default=before.answer_s, digits=True
        ),
    )


def _amount(table: Section, key: str, usual: float, *, high: float) -> float:
    """Take an amount, also as the text that an environment gives."""
    value = table.take(key, usual)
    try:
        amount = float(value) if isinstance(value, str) else value
    except ValueError as error:
        raise table.refuse(Fault.NUMBER, key, low=_FINEST, high=high) from error
    if not is_number(amount) or not _FINEST <= amount <= high:
        raise table.refuse(Fault.NUMBER, key, low=_FINEST, high=high)
    return float(amount)


def _read_approvals(table: Section, before: ApprovalSettings) -> ApprovalSettings:
    rules = tuple(RULES)
    return ApprovalSettings(
        agreements=table.choice("agreements", rules, default=before.agreements),
        studies=table.choice("studies", rules, default=before.studies),
        exports=table.choice("exports", rules, default=before.exports),
        due_hours=table.whole(
            "due_hours", low=1, high=_MOST_HOURS, default=before.due_hours, digits=True
        ),
        release_days=table.whole(
            "release_days", low=1, high=_MOST_DAYS, default=before.release_days, digits=True
        ),
    )


def _read_console(table: Section, before: ConsoleSettings) -> ConsoleSettings:
    return ConsoleSettings(
        host=table.text("host", default=before.host),
        port=table.whole("port", low=0, high=65535, default=before.port, digits=True),
        certificate=table.text("certificate", default=before.certificate),
        certificate_key=table.text("certificate_key", default=before.certificate_key),
    )


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
