"""A whole space for a test: real processes, the demo's four hospitals, and who is who among them.

A test starts a study, waits for what happens in it, kills what it likes and looks
at what came of it. Nothing here waits for a fixed time: everything is awaited as
an event of the study or as a process's own word.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import psutil

from consilium.federation.folder import SegmentFolder
from consilium.hub.init import init_hub
from consilium.kernel.clock import SystemClock, read_time
from consilium.kernel.errors import ConsiliumError, PeerError
from consilium.readers.practice import breast_cancer_sites
from consilium.space.children import MARK
from consilium.space.client import Client
from consilium.space.home import hub_home, node_home, pick_ports, prepare_home
from consilium.space.offers import draft_record
from consilium.space.plans import HUB_NAME, SpacePlan, StudyPlan
from consilium.space.processes import RunningSpace, running_space
from consilium.space.record import ResultRecord
from consilium.space.run import prove_members, register_datasets
from consilium.space.spacefile import read_space
from consilium.space.watch import silent

LEAD = "north"
OTHER = "hillside"
"""A hospital that leads nothing."""
THIRD = "lakeside"
"""Another one."""
SIGNER = "consilium.hub.signer"
STUDY_S = 180.0
"""Longest wait for anything in a study; far beyond what it takes on a quiet machine."""
LOOK_S = 0.05
_KIT = {"startup", "local", "logs", "tmp", "jobs", "attempts", "transfer", "outbox"}

Event = dict[str, Any]


def wait_until(condition: Callable[[], bool], *, within_s: float, what: str) -> float:
    """Wait for a condition and return how long it took; fail when it does not come."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            raise AssertionError(f"{what}: not within {within_s} s")
        time.sleep(LOOK_S)
    return time.monotonic() - began


def practice_plan(data: Path, **changes: Any) -> SpacePlan:
    """Read the demo's space file, with terms that allow many studies of many rounds.

    `changes` are those of its one study.
    """
    breast_cancer_sites(data, 42)
    with as_file(files("consilium.space").joinpath("demos", "breast-cancer.toml")) as path:
        plan = read_space(path, data=data)
    members = []
    for member in plan.participants:
        datasets = [
            replace(one, terms=replace(one.terms, count=1000, max_rounds=100_000))
            for one in member.datasets
        ]
        members.append(replace(member, datasets=tuple(datasets)))
    study = replace(plan.studies[0], **changes)
    return replace(plan, participants=tuple(members), studies=(study,))


@dataclass
class StudyWatch:
    """One study as its lead's node tells it."""

    client: Client
    id: str
    events: list[Event] = field(default_factory=list)
    state: str = ""

    def look(self) -> None:
        """Fetch what is new; a lead that does not answer right now tells nothing."""
        after = self.events[-1]["id"] if self.events else 0
        try:
            record = self.client.studies.get(self.id, after=after)
        except PeerError:
            return
        self.events += record["events"]
        self.state = record["state"]

    def of(self, *kinds: str) -> list[Event]:
        """Return the events of some kinds, in order, as far as they are known."""
        return [event for event in self.events if event["kind"] in kinds]

    def await_event(
        self, kind: str, *, holds: Callable[[Mapping[str, Any]], bool] | None = None, what: str = ""
    ) -> Event:
        """Wait for an event whose facts hold, and return the first."""
        found: list[Event] = []

        def came() -> bool:
            self.look()
            found[:] = [event for event in self.of(kind) if not holds or holds(event["facts"])]
            if not found and self.state in {"COMPLETED", "FAILED", "STOPPED"}:
                raise AssertionError(f"{what or kind} never came:\n{self.story()}")
            return bool(found)

        wait_until(came, within_s=STUDY_S, what=f"{what or kind} in\n{self.story()}")
        return found[0]

    def await_round(self, number: int) -> Event:
        """Wait until a round is under way."""
        return self.await_event("round_started", holds=lambda facts: facts["round"] >= number)

    def await_result(self) -> ResultRecord:
        """Wait for the end, and return the result; a study that fails tells its story."""
        began = time.monotonic()
        while time.monotonic() - began < STUDY_S:
            self.look()
            if self.state in {"FAILED", "STOPPED"}:
                break
            if self.state == "COMPLETED":
                return self.client.studies.wait(self.id)
            time.sleep(LOOK_S)
        raise AssertionError(f"the study is {self.state}:\n{self.story()}")

    def story(self) -> str:
        """Tell the events in few words, for a test that failed."""
        told = ("round", "missing", "bad", "segment", "attempt", "first_round", "outcome")
        told += ("participant", "reason", "for", "code", "en", "time")
        lines = []
        for event in self.events:
            facts = {key: event["facts"][key] for key in told if key in event["facts"]}
            lines.append(f"{event['kind']} {facts}")
        return "\n".join(lines)

    @property
    def closed(self) -> list[Event]:
        """The rounds that closed, in order; a round that was repeated stands twice."""
        return self.of("round_closed")

    @property
    def segments(self) -> list[Event]:
        """The attempts at segments."""
        return self.of("segment_begun")


def moment_of(event: Event) -> float:
    """Return when an event happened where it happened, in seconds since 1970."""
    return read_time(str(event["facts"].get("time") or event["time"])).timestamp()


class WholeSpace:
    """A running space, and the processes in it by what they do."""

    def __init__(self, running: RunningSpace) -> None:
        self.running = running
        self.plan = running.plan
        self.home = running.home
        self._clients: list[Client] = []

    @property
    def names(self) -> list[str]:
        """The hospitals."""
        return [member.name for member in self.plan.participants]

    def connect(self, name: str) -> Client:
        """Connect to a hospital's node, or to the hub; closed with the space."""
        client = Client(self.running.wire(name))
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()

    def begin(self, **changes: Any) -> StudyWatch:
        """Start the space's study, with changes, at its lead."""
        study: StudyPlan = replace(self.plan.studies[0], **changes)
        client = self.connect(study.lead)
        draft = draft_record(study, space=self.plan.name)
        return StudyWatch(client=client, id=client.studies.start(**draft))

    # Who is who.

    def serving(self, name: str) -> psutil.Process:
        """Find the process that serves a hospital, or the hub."""
        for child in reversed(self.running.children.alive()):
            if child.name == name and (process := child.find()):
                return process
        raise AssertionError(f"nobody serves {name}")

    def engine(self, name: str) -> psutil.Process:
        """Find the engine's process of a hospital, or of the hub."""
        found = [one for one in self.serving(name).children() if SIGNER not in one.cmdline()]
        if len(found) != 1:
            raise AssertionError(f"{name} has {len(found)} engines")
        return found[0]

    def jobs(self, name: str) -> list[psutil.Process]:
        """List the job processes of a hospital, or of the hub: what the engine's helper forked."""
        return [job for helper in self.engine(name).children() for job in helper.children()]

    def marked(self) -> list[psutil.Process]:
        """List every process of this space, whoever its parent is now."""
        return list(processes_with(self.running.children.mark))

    def kill(self, process: psutil.Process) -> float:
        """End a process at once (SIGKILL) and return the moment, in seconds since 1970."""
        moment = time.time()
        process.kill()
        wait_until(lambda: is_gone(process), within_s=10, what="a killed process's end")
        return moment

    def newest_attempt(self) -> SegmentFolder:
        """Find the folder that the hub's engine writes to, for a look past the hub."""
        folders = list((hub_home(self.home) / "studies").glob("*/attempt-*"))
        return SegmentFolder(max(folders, key=lambda folder: folder.stat().st_mtime))

    def restart(self, name: str) -> None:
        """Serve a hospital or the hub again, as a person or a service manager would."""
        if name == HUB_NAME:
            arguments = ["hub", "serve", str(hub_home(self.home))]
        else:
            arguments = ["node", "serve", str(node_home(self.home, name))]
        self.running.children.start(name, arguments)

    def serve_anew(self, name: str) -> None:
        """End a hospital's process in good order and serve it again: its settings are read anew."""
        process = self.serving(name)
        process.terminate()
        wait_until(lambda: is_gone(process), within_s=30, what=f"{name}'s end")
        self.restart(name)
        self.await_ready()

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold a hospital's job still: the round under way waits for it, whatever else happens."""
        (job,) = self.jobs(name)
        job.suspend()
        try:
            yield
        finally:
            job.resume()

    def bring_back(self, name: str, *, holding: str) -> None:
        """Serve a killed hospital again; the round under way at another waits until it is there."""
        with self.held(holding):
            self.restart(name)
            who = self.plan.id_of(name)
            wait_until(
                lambda: who in self.connect_once(HUB_NAME)["sites"],
                within_s=30,
                what=f"{name} connected",
            )

    # What must hold when nothing goes on.

    def strangers(self) -> list[str]:
        """Name what runs beyond hub, signer, nodes and their idle engines."""
        expected = set()
        for name in (HUB_NAME, *self.names):
            serving = self.serving(name)
            expected |= {serving.pid}
            for child in serving.children():
                helpers = [] if SIGNER in child.cmdline() else child.children()
                expected |= {child.pid, *(helper.pid for helper in helpers)}
        return [_describe(one) for one in self.marked() if one.pid not in expected]

    def litter(self) -> list[str]:
        """Name the folders of ended jobs that still lie in a kit."""
        kits = [node_home(self.home, name) / "engine" for name in self.names]
        kits.append(hub_home(self.home) / "engine" / "server")
        return [
            str(folder.relative_to(self.home))
            for kit in kits
            for folder in kit.iterdir()
            if folder.is_dir() and folder.name not in _KIT
        ]

    def await_rest(self) -> None:
        """Wait until every engine is idle again and nothing else is left of a study."""
        left: list[str] = ["not looked yet"]

        def rests() -> bool:
            try:
                left[:] = self.strangers() + self.litter()
            except (psutil.NoSuchProcess, FileNotFoundError):
                return False
            return not left

        try:
            wait_until(rests, within_s=30, what="rest")
        except AssertionError as error:
            raise AssertionError(f"left behind: {left}") from error

    def await_ready(self) -> None:
        """Wait until hub, nodes and engines all know one another."""

        def ready() -> bool:
            try:
                status = self.connect_once(HUB_NAME)
                nodes = all(self.connect_once(name)["ready"] for name in self.names)
            except ConsiliumError:
                return False
            return nodes and len(status["sites"]) == len(self.names)

        wait_until(ready, within_s=90, what="every hospital connected")

    def await_gone(self, name: str) -> float:
        """Wait until the hub's engine no longer counts on a hospital."""
        who = self.plan.id_of(name)
        return wait_until(
            lambda: who not in self.connect_once(HUB_NAME)["sites"],
            within_s=30,
            what=f"{name} counted as gone",
        )

    def connect_once(self, name: str) -> dict[str, Any]:
        """Ask a process how it is."""
        with Client(self.running.wire(name)) as client:
            return client.status()

    def unproved(self) -> list[str]:
        """Name the members whose evidence log does not verify."""
        return [
            f"{line.member}: {line.reason}"
            for line in prove_members(self.running)
            if not line.verified
        ]


@contextmanager
def whole_space(
    plan: SpacePlan,
    home: Path,
    *,
    settings: Mapping[str, object] | None = None,
    consoles: bool = False,
) -> Iterator[WholeSpace]:
    """Bring a space up with its data registered; afterwards nothing of it may be left.

    `settings` are the hub's, `section.key` to value. With `consoles` every
    hospital serves browsers too.
    """
    if settings:
        _make_hub(plan, prepare_home(home, plan), settings)
    with running_space(plan, home, consoles=consoles) as running:
        mark = running.children.mark
        space = WholeSpace(running)
        register_datasets(running, watch=silent, clock=SystemClock())
        ports = sorted(listening_ports(space.marked()))
        yield space
        space.close()
    check_nothing_left(mark, ports)


def is_gone(process: psutil.Process) -> bool:
    """Say whether a process runs no more; its parent may not have noticed yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _make_hub(plan: SpacePlan, home: Path, settings: Mapping[str, object]) -> None:
    port, engine_port = pick_ports(plan.hub)
    place = {"hub.port": port, "hub.engine_port": engine_port, "hub.listen": plan.hub.host}
    init_hub(
        hub_home(home),
        space=plan.name,
        title=plan.title,
        host=plan.hub.host,
        clock=SystemClock(),
        others=place | dict(settings),
    )


def check_nothing_left(mark: str, ports: list[int]) -> None:
    """Fail if a process of a space, or somebody on one of its ports, is still there."""
    left = [_describe(process) for process in processes_with(mark)]
    if left:
        raise AssertionError(f"left behind: {left}")
    if len(ports) < 2:
        raise AssertionError(f"the space listened on {ports} only")
    taken = [port for port in ports if port in all_listening_ports()]
    if taken:
        raise AssertionError(f"ports still open: {taken}")


def processes_with(mark: str) -> Iterator[psutil.Process]:
    """Find every living process that carries a space's mark in its environment."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.pid != os.getpid():
                yield process
        except (psutil.Error, OSError):
            continue


def listening_ports(processes: list[psutil.Process]) -> set[int]:
    """Return the network ports on which these processes listen."""
    return {
        connection.laddr.port
        for process in processes
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


def all_listening_ports() -> set[int]:
    """Return the network ports on which anybody on this machine listens."""
    return {
        connection.laddr.port
        for connection in psutil.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} (parent {process.ppid()}) {' '.join(process.cmdline())[:160]}"
    except psutil.Error:
        return f"{process.pid} (ended)"
