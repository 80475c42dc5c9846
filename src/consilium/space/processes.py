"""Starting and stopping the real processes of a space: one hub, one node for each hospital.

Readiness is asked for, not waited out: each process says on its own socket
whether it is ready, and one that ends instead is reported with its log. Whatever
happens in between, nothing that was started is left behind.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consilium.hub.init import init_hub
from consilium.hub.settings import FILE, load_settings
from consilium.hub.signer import FOLDER as SIGNER
from consilium.hub.signer_socket import AdminClient
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import PeerError, StateError
from consilium.node.join import join_hub
from consilium.space.children import Child, Children, last_lines
from consilium.space.consoles import give_console
from consilium.space.home import hub_home, node_home, pick_ports, prepare_home
from consilium.space.plans import HUB_NAME, HubPlan, SpacePlan
from consilium.space.spacefile import check_files
from consilium.space.watch import Stage, Watch, silent
from consilium.space.wire import Wire, is_served

READY_TIMEOUT_S = 60.0
TOKEN_HOURS = 1
_POLL_S = 0.05
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSpace:
    """A space whose processes are up."""

    plan: SpacePlan
    home: Path
    children: Children

    def wire(self, member: str) -> Wire:
        """Connect to a hospital's node, or to the hub under its own name."""
        return Wire(node_home(self.home, member))


@contextmanager
def running_space(
    plan: SpacePlan, home: Path, *, watch: Watch = silent, consoles: bool = False
) -> Iterator[RunningSpace]:
    """Bring a space up, and down again however the block ends.

    The processes also end by themselves if this one is killed. With `consoles`
    each hospital's console is served too, as by `up`.
    """
    children: list[Children] = []
    try:
        begun = children.append
        yield _bring_up(
            plan, home, watch=watch, die_with=os.getpid(), begun=begun, consoles=consoles
        )
    finally:
        with _undisturbed():
            for each in children:
                each.stop()


@contextmanager
def open_space(plan: SpacePlan, home: Path, *, watch: Watch = silent) -> Iterator[RunningSpace]:
    """Use the space that runs in a home, or bring one up for the block."""
    children = Children.read(home)
    if children is not None and children.alive():
        yield RunningSpace(plan=plan, home=home.resolve(), children=children)
        return
    with running_space(plan, home, watch=watch) as space:
        yield space


def up(
    plan: SpacePlan, home: Path, *, watch: Watch = silent, consoles: bool = False
) -> RunningSpace:
    """Bring a space up so that it outlives this process.

    Parameters
    ----------
    plan : SpacePlan
        What to start.
    home : Path
        Its folder; kept from an earlier run of the same space, it is taken up again.
    watch : callable
        Told how far it is.
    consoles : bool
        Serve each hospital's console too, at a free port of this machine.

    Raises
    ------
    StateError
        `space.already_up`, `space.port_taken`, `space.foreign_home`.
    InputError
        `space.no_data`, `space.long_home`, `space.bad_host`.
    PeerError
        `space.process_died`, `space.not_ready`; then everything is stopped again.
    """
    children: list[Children] = []
    try:
        begun = children.append
        return _bring_up(plan, home, watch=watch, die_with=None, begun=begun, consoles=consoles)
    except BaseException:
        with _undisturbed():
            for each in children:
                each.stop()
        raise


def down(home: Path) -> int:
    """Stop everything that `up` started in a home; return how many processes were running.

    Safe to repeat. Only processes of this space are touched, also when their
    numbers were given to others in the meantime.
    """
    children = Children.read(home)
    with _undisturbed():
        return children.stop() if children else 0


def alive(home: Path) -> list[Child]:
    """List the running processes of a home."""
    children = Children.read(home)
    return children.alive() if children else []


def _bring_up(
    plan: SpacePlan,
    home: Path,
    *,
    watch: Watch,
    die_with: int | None,
    begun: Callable[[Children], None],
    consoles: bool = False,
) -> RunningSpace:
    """Start hub, join, start nodes, wait until all are ready.

    1. checks that need no process; 2. the hub; 3. keys and certificates of
    each hospital; 4. the nodes, all at once.
    """
    # 1.
    check_files(plan)
    running = alive(home)
    if running:
        raise StateError(
            "space.already_up", home=str(home), running=len(running), now="up", wanted="down"
        )
    home = prepare_home(home, plan)
    _make_hub(plan, home)
    children = Children(home, mark=uuid.uuid4().hex, die_with=die_with)
    begun(children)
    space = RunningSpace(plan=plan, home=home, children=children)
    # 2.
    watch(Stage.HUB, 0, 1)
    hub = children.start(HUB_NAME, ["hub", "serve", str(hub_home(home))])
    _await_ready(space, [hub], watch=lambda _: None)
    watch(Stage.HUB, 1, 1)
    # 3.
    total = 2 * len(plan.participants)
    watch(Stage.JOIN, 0, total)
    for number, member in enumerate(plan.participants, start=1):
        _join(space, member.name, title=member.title, location=member.location)
        if consoles:
            give_console(node_home(home, member.name))
        watch(Stage.JOIN, number, total)
    # 4.
    nodes = [
        children.start(member.name, ["node", "serve", str(node_home(home, member.name))])
        for member in plan.participants
    ]
    joined = len(nodes)
    _await_ready(space, nodes, watch=lambda ready: watch(Stage.JOIN, joined + ready, total))
    return space


def _make_hub(plan: SpacePlan, home: Path) -> None:
    """Make the hub's folder; one from an earlier run keeps its ports, which must be free."""
    folder = hub_home(home)
    if (folder / FILE).exists():
        made = load_settings(folder, environment={}).hub
        pick_ports(HubPlan(host=made.listen, port=made.port, engine_port=made.engine_port))
        return
    port, engine_port = pick_ports(plan.hub)
    init_hub(
        folder,
        space=plan.name,
        title=plan.title,
        host=plan.hub.host,
        clock=SystemClock(),
        others={
            "hub.port": port,
            "hub.engine_port": engine_port,
            "hub.listen": plan.hub.host,
        },
    )


def _join(space: RunningSpace, member: str, *, title: str, location: str) -> None:
    """Let a hospital enter with a fresh token, unless it did so in an earlier run."""
    folder = node_home(space.home, member)
    if (folder / "node.toml").exists():
        return
    signer = AdminClient(hub_home(space.home) / SIGNER)
    answer = signer.mint(member, title=title, hours=TOKEN_HOURS, location=location)
    join_hub(folder, str(answer["token"]), clock=SystemClock())


def _await_ready(
    space: RunningSpace, waiting: list[Child], *, watch: Callable[[int], None]
) -> None:
    """Wait until every process says that it is ready.

    Raises
    ------
    PeerError
        `space.process_died`, `space.not_ready`.
    """
    ends = time.monotonic() + READY_TIMEOUT_S
    left = list(waiting)
    while left:
        for child in list(left):
            space.children.check(child)
            if _is_ready(space, child.name):
                left.remove(child)
                watch(len(waiting) - len(left))
        if left and time.monotonic() > ends:
            log = space.children.log_of(left[0].name)
            raise PeerError(
                "space.not_ready",
                name=left[0].name,
                seconds=READY_TIMEOUT_S,
                log=str(log),
                detail=last_lines(log),
            )
        time.sleep(_POLL_S)


def _is_ready(space: RunningSpace, name: str) -> bool:
    folder = node_home(space.home, name)
    if not is_served(folder):
        return False
    try:
        with Wire(folder, timeout_s=5) as wire:
            status: dict[str, Any] = wire.get("/status")
    except PeerError:
        return False
    return bool(status.get("ready", True))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold off stop signals while processes are being stopped.

    Signals can be held off in the main thread only; elsewhere they go to it anyway.
    """
    try:
        before = {each: signal.signal(each, signal.SIG_IGN) for each in _STOPS}
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
