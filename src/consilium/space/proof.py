"""Proving evidence offline: from a home's files, without its process.

The auditor needs the folder (or a copy of it) and nothing else; with a
checkpoint that somebody else holds, a log whose tail was cut is found out too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consilium.kernel.errors import NotFoundError
from consilium.ledger.certificates import certificate_key, load_certificate
from consilium.ledger.keys import PublicKey
from consilium.ledger.verification import Verdict, verify_log
from consilium.models.marks import Mark, read_mark, read_marks, split_marks
from consilium.space.record import ResultRecord

CERTIFICATES = {"node": "keys/participant.crt", "hub": "keys/hub.crt"}
"""Whose key signs a home's log, by kind of home: no private key is needed to check it."""


def verify_home(home: Path, *, checkpoint: str | Sequence[str] | None = None) -> Verdict:
    """Prove the evidence log of a node or hub.

    Parameters
    ----------
    home : Path
        The folder of the node or hub.
    checkpoint : str or sequence of str, optional
        Texts of checkpoints of this log that somebody else holds.

    Raises
    ------
    NotFoundError
        `space.no_log` when there is no node or hub; `ledger.no_log`.
    """
    return verify_log(database_of(home), key=key_of(home), checkpoint=checkpoint)


def marks_of(record: ResultRecord) -> list[Mark]:
    """List the agreements of a result's model that were revoked, as its passport's marks say.

    Read, not verified: `consilium passport verify` proves them.
    """
    revoked, _ = split_marks(read_marks(Path(record.model.passport)))
    return [read_mark(text) for text in revoked]


def database_of(home: Path) -> str:
    """Return the URL of a home's database: as set, or the file beside its settings.

    Raises
    ------
    NotFoundError
        `space.no_log`.
    """
    kind = _kind_of(home)
    table = tomllib.loads((home / f"{kind}.toml").read_text(encoding="utf-8"))
    url = table.get(kind, {}).get("database", "")
    return str(url) or f"sqlite:///{home.resolve() / kind}.db"


def key_of(home: Path) -> PublicKey:
    """Return the public half of the key that signs a home's log; raises as `database_of`."""
    path = home / CERTIFICATES[_kind_of(home)]
    if not path.is_file():
        raise NotFoundError("space.no_log", home=str(home))
    key = certificate_key(load_certificate(path))
    if not isinstance(key, Ed25519PublicKey):
        raise NotFoundError("space.no_log", home=str(home))
    return PublicKey(key.public_bytes_raw())


def _kind_of(home: Path) -> str:
    for kind in CERTIFICATES:
        if (home / f"{kind}.toml").is_file():
            return kind
    raise NotFoundError("space.no_log", home=str(home))
