"""Which folder belongs to which order: a file per attempt in the server's kit.

The hub writes it before it submits a job; the job's controller reads it. So no
job can name a folder or a starting model itself.
"""

from __future__ import annotations

import json
from pathlib import Path

from consilium.gate.orders import Order
from consilium.kernel.errors import NotFoundError
from consilium.ledger.files import write_atomic

_FOLDER = "attempts"


def register_attempt(kit: Path, order: Order, folder: Path) -> None:
    """Note where an attempt writes.

    Discloses
    ---------
    Nothing.
    """
    path = _file(kit, order)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomic(path, json.dumps({"folder": str(folder.absolute())}).encode())


def find_attempt(kit: Path, order: Order) -> Path:
    """Return the folder of an attempt that the hub has prepared.

    Raises
    ------
    NotFoundError
        `engine.no_attempt`.

    Discloses
    ---------
    Nothing.
    """
    try:
        return Path(json.loads(_file(kit, order).read_bytes())["folder"])
    except FileNotFoundError as error:
        raise NotFoundError("engine.no_attempt", segment=order.segment) from error


def forget_attempts(kit: Path) -> None:
    """Remove the notes of earlier attempts; the folders themselves stay.

    Discloses
    ---------
    Nothing.
    """
    for path in (kit / _FOLDER).glob("*.json"):
        path.unlink()


def _file(kit: Path, order: Order) -> Path:
    return kit / _FOLDER / f"{order.digest.removeprefix('sha256:')}.json"
