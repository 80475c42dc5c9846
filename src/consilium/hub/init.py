"""Making a hub: its folder, the root, its own keys and certificates. Starts nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from consilium.hub.authority import Authority, Kind
from consilium.hub.own import OwnCertificates
from consilium.hub.settings import FILE, HubSettings, build_settings, write_settings
from consilium.hub.signer import FOLDER, LOG_KEY, open_signer_database
from consilium.hub.upkeep import KEYS, NAMES, ROOT_FILE
from consilium.kernel.canonical import Digest
from consilium.kernel.clock import Clock
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.certificates import (
    KeyHalf,
    create_ec_key,
    create_rsa_key,
    write_certificate,
)
from consilium.ledger.files import write_atomic
from consilium.ledger.jointokens import check_hub_address, check_title
from consilium.ledger.keys import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHub:
    """A hub that was just made."""

    home: Path
    participant: ParticipantId
    address: str
    fingerprint: Digest


def init_hub(
    home: Path,
    *,
    space: str,
    title: str,
    host: str,
    clock: Clock,
    others: Mapping[str, object] | None = None,
) -> NewHub:
    """Make a hub's folder.

    Parameters
    ----------
    home : Path
        Must not be there yet, or be empty.
    space : str
        The space's name, at most 48 characters; part of every identifier.
    title : str
        The hub's display name; Chinese is fine.
    host : str
        The name or address by which hospitals reach the hub.
    clock : Clock
        For the beginning of validity.
    others : mapping, optional
        Further settings, `section.key` to value, for instance `hub.port`.

    Raises
    ------
    StateError
        `hub.exists`, `hub.folder_in_use`: nothing is overwritten.
    InputError
        `hub.bad_setting`, `hub.unknown_setting`, `kernel.bad_name`, `link.bad_title`.
    """
    given = {"hub.space": space, "hub.title": check_title(title), "hub.host": host}
    settings = build_settings([("the command line", {**given, **(others or {})})])
    participant = settings.participant
    check_hub_address(settings.address)
    with _fresh(home):
        authority = _make_root(home, settings, clock=clock)
        _make_own(home, settings, authority, clock=clock)
        write_atomic(home / FILE, write_settings(settings).encode("utf-8"), mode=0o644)
    return NewHub(
        home=home,
        participant=participant,
        address=settings.address,
        fingerprint=authority.fingerprint,
    )


@contextmanager
def _fresh(home: Path) -> Iterator[None]:
    """Give an empty folder; on any failure it is as before."""
    if (home / FILE).exists():
        raise StateError("hub.exists", path=str(home), now="made", wanted="empty")
    was_there = home.is_dir()
    if home.exists() and (not was_there or any(home.iterdir())):
        raise StateError("hub.folder_in_use", path=str(home), now="in use", wanted="empty")
    try:
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        yield
    except BaseException:
        for part in (KEYS, FOLDER):
            shutil.rmtree(home / part, ignore_errors=True)
        (home / FILE).unlink(missing_ok=True)
        if not was_there:
            shutil.rmtree(home, ignore_errors=True)
        raise


def _make_root(home: Path, settings: HubSettings, *, clock: Clock) -> Authority:
    folder = home / FOLDER
    folder.mkdir(mode=0o700)
    SigningKey.create(folder / LOG_KEY)
    space = settings.hub.space
    return Authority.create(folder, space=space, days=settings.signer.root_days, clock=clock)


def _make_own(home: Path, settings: HubSettings, authority: Authority, *, clock: Clock) -> None:
    """Make the hub's keys in its own folder and certify them in the signer's."""
    keys = home / KEYS
    keys.mkdir(mode=0o700)
    root = write_certificate(authority.root).encode("ascii")
    write_atomic(keys / ROOT_FILE, root, mode=0o644)
    database = open_signer_database(home / FOLDER, space=settings.hub.space, clock=clock)
    with closing(database):
        own = OwnCertificates(authority, database, settings=settings, clock=clock)
        for kind, name in NAMES.items():
            certificate = own.issue(kind, _make_key(kind, keys / f"{name}.key"))
            pem = write_certificate(certificate).encode("ascii")
            write_atomic(keys / f"{name}.crt", pem, mode=0o644)


def _make_key(kind: Kind, path: Path) -> KeyHalf:
    if kind is Kind.PARTICIPANT:
        return SigningKey.create(path).public.ed25519
    if kind is Kind.HTTPS:
        return create_ec_key(path).public_key()
    return create_rsa_key(path).public_key()
