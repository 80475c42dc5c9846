"""The signer's process: `python -m consilium.hub.signer HOME`.

It runs apart from the hub's serving process, best as a user of its own
(docs/trust.md), opens no network port, and listens on two unix sockets in
`HOME/signer`: `admin.sock` for the operator and `sign.sock` for the hub. What
may be asked on which is the table in `_open_sockets`; the rules behind it stand
in `consilium.hub.signing`.
"""

from __future__ import annotations

import argparse
import fcntl
import grp
import logging
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from consilium.hub.authority import Authority
from consilium.hub.own import OwnCertificates
from consilium.hub.settings import HubSettings, load_settings
from consilium.hub.signer_socket import ADMIN_SOCKET, SIGN_SOCKET, SocketService
from consilium.hub.signing import Signer
from consilium.kernel.clock import Clock, SystemClock
from consilium.kernel.errors import ConsiliumError, InputError, StateError
from consilium.kernel.identifiers import participant_id
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey

FOLDER = "signer"
LOG_KEY = "log.key"
DATABASE = "signer.db"

_LONGEST_SLEEP_S = 60.0
_SHORTEST_SLEEP_S = 0.2
_PARENT_S = 1.0
_LOG = logging.getLogger("consilium.signer")


def open_signer_database(folder: Path, *, space: str, clock: Clock) -> Database:
    """Open the signer's own database with its own evidence key."""
    return open_database(
        f"sqlite:///{(folder / DATABASE).resolve()}",
        key=SigningKey.load(folder / LOG_KEY),
        clock=clock,
        origin=participant_id(space, "signer"),
    )


def serve_signer(
    home: Path, settings: HubSettings, *, stop: threading.Event, with_parent: bool = False
) -> None:
    """Serve both sockets until told to stop.

    Parameters
    ----------
    home : Path
        The hub's folder.
    settings : HubSettings
        Lifetimes and names.
    stop : threading.Event
        Set by somebody else to end.
    with_parent : bool
        End too when the process that started this one has ended.

    Raises
    ------
    StateError
        `hub.signer_running` if another signer serves this folder.
    """
    folder, clock = home / FOLDER, SystemClock()
    parent = os.getppid() if with_parent else None
    with ExitStack() as stack:
        stack.enter_context(_alone(folder))
        space = settings.hub.space
        database = stack.enter_context(
            closing(open_signer_database(folder, space=space, clock=clock))
        )
        authority = Authority.load(folder, space=space, clock=clock)
        signer = Signer(authority, database, settings=settings, clock=clock)
        own = OwnCertificates(authority, database, settings=settings, clock=clock)
        _keep_fresh(own)
        for service in _open_sockets(folder, signer, own, group=settings.signer.group):
            stack.callback(service.close)
            service.start()
        _wait(own, stop=stop, parent=parent, clock=clock)


def _open_sockets(
    folder: Path, signer: Signer, own: OwnCertificates, *, group: str
) -> list[SocketService]:
    """Open the two sockets. These tables are all that the signer does for anybody."""
    operator = {
        "mint": signer.mint,
        "tokens": signer.list_tokens,
        "revoke": signer.revoke,
        "standing": signer.list_standing,
    }
    hub = {
        "redeem": signer.redeem,
        "renew": signer.renew,
        "own": own.list_present,
        "standing": signer.list_standing,
    }
    admin = SocketService(folder / ADMIN_SOCKET, mode=0o600, verbs=operator, only_owner=True)
    sign = SocketService(
        folder / SIGN_SOCKET,
        mode=0o660,
        verbs=hub,
        only_owner=not group,
        unknown=signer.note_verb,
    )
    if group:
        share_with(folder, group)
    return [admin, sign]


def share_with(folder: Path, group: str) -> None:
    """Let one group reach `sign.sock`: pass through the folder, and open the socket.

    Raises
    ------
    InputError
        `hub.bad_setting` if there is no such group or we may not use it.
    """
    try:
        number = grp.getgrnam(group).gr_gid
        os.chown(folder, -1, number)
        os.chown(folder / SIGN_SOCKET, -1, number)
        folder.chmod(0o710)
    except (KeyError, PermissionError) as error:
        raise InputError("hub.bad_setting", source="hub.toml", key="signer.group") from error


def _wait(own: OwnCertificates, *, stop: threading.Event, parent: int | None, clock: Clock) -> None:
    """Renew the hub's own certificates when due, until told to stop."""
    while not stop.is_set():
        due = own.next_renewal()
        sleep = (due - clock.now()).total_seconds() if due else _LONGEST_SLEEP_S
        sleep = min(max(sleep, _SHORTEST_SLEEP_S), _LONGEST_SLEEP_S)
        while sleep > 0 and not stop.wait(min(sleep, _PARENT_S)):
            sleep -= _PARENT_S
            if parent is not None and os.getppid() != parent:
                return
        if not stop.is_set():
            _keep_fresh(own)


def _keep_fresh(own: OwnCertificates) -> None:
    try:
        own.renew_due()
    except ConsiliumError as error:
        _LOG.error("the hub's own certificates were not renewed: %s", error.public)


def _end_with_pipe(stop: threading.Event) -> None:
    """End at once when the other end of our standard input closes, as with a caller's death."""
    while os.read(0, 1024):
        pass
    stop.set()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it goes with the process, however that ends."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            now = "served by another signer"
            raise StateError("hub.signer_running", path=str(folder), now=now, wanted="") from error
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="consilium.hub.signer", description=__doc__)
    parser.add_argument("home", type=Path, help="the hub's folder")
    parser.add_argument("--with-parent", action="store_true", help="end when the caller ends")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.with_parent and stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_end_with_pipe, args=(stop,), daemon=True).start()
    try:
        settings = load_settings(options.home, environment=os.environ)
        serve_signer(options.home, settings, stop=stop, with_parent=options.with_parent)
    except ConsiliumError as error:
        sys.stderr.write(f"{error.public}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
