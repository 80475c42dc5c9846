"""What a hospital lets in, judged before any process of the job exists.

FLARE calls the validator in the site's own process when a job is delivered. It
checks that the job is JSON and nothing else, that it names our one executor
and nothing besides, and then asks the node whether this order may run here.
No node, no job.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nvflare.apis.app_validation import AppValidator

from consilium.federation.flare.jobs import (
    CLIENT_CONFIG,
    ORDER_FILE,
    SIGNATURE_FILES,
    client_config,
)
from consilium.federation.ports import Desk
from consilium.gate.orders import LARGEST_ORDER
from consilium.kernel.canonical import read_json
from consilium.kernel.errors import ConsiliumError, DeniedError, InputError

_log = logging.getLogger(__name__)
_LARGEST_CONFIG = 64 * 1024
_EXPECTED = {CLIENT_CONFIG, ORDER_FILE}


class OrderValidator(AppValidator):
    """Admits a job only if it is one of ours and the node agrees.

    Parameters
    ----------
    desk : Desk
        The node's counter.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def validate(self, app_folder: str) -> tuple[str, dict[str, Any]]:
        """Return the refusal, or an empty text if the job may run.

        Discloses
        ---------
        The refusal crosses to the hub: an error's code and public sentence.
        """
        try:
            order = read_app(Path(app_folder))
        except ConsiliumError as error:
            self._report(error)
            return f"{error.code}: {error.public}", {}
        try:
            self._desk.admit(order)
        except ConsiliumError as error:  # the node has written its own refusal down
            return f"{error.code}: {error.public}", {}
        return "", {}

    def _report(self, refusal: ConsiliumError) -> None:
        """Have the node keep a refusal that it was not asked about; it stands either way."""
        try:
            self._desk.report_refusal(refusal.code, refusal.public)
        except ConsiliumError as error:
            _log.warning("a refusal was not kept: %s", error.public)


def read_app(folder: Path) -> bytes:
    """Check a delivered job's files and return the order in it.

    Raises
    ------
    DeniedError
        `engine.custom_code`, `engine.unknown_file`, `engine.other_job`.
    InputError
        `engine.no_order`, or `kernel.not_canonical`.

    Discloses
    ---------
    Nothing.
    """
    # 1. Files: ours and FLARE's signatures, all of them plain.
    for name in sorted(_names(folder)):
        if name.split("/")[0] == "custom":
            raise DeniedError("engine.custom_code")
        if name not in _EXPECTED and name.split("/")[-1] not in SIGNATURE_FILES:
            raise DeniedError("engine.unknown_file", file=name[:80])
    # 2. Configuration: exactly the one we write, so no other class, filter or key.
    config = read_json(_read(folder / CLIENT_CONFIG, _LARGEST_CONFIG))
    if config != client_config():
        raise DeniedError("engine.other_job")
    # 3. The order itself is judged by the node.
    return _read(folder / ORDER_FILE, LARGEST_ORDER)


def _names(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise DeniedError("engine.unknown_file", file=name[:80])
        if path.is_file() or name == "custom":
            yield name


def _read(path: Path, largest: int) -> bytes:
    if not path.is_file():
        raise InputError("engine.no_order", file=path.name)
    if path.stat().st_size > largest:
        raise DeniedError("engine.unknown_file", file=path.name)
    return path.read_bytes()
