"""The run that is recorded: two hospitals with planted data, every byte to the hub on record."""

from __future__ import annotations

import csv
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import psutil

from consilium.hub.init import init_hub
from consilium.hub.signer import FOLDER as SIGNER
from consilium.hub.signer_socket import AdminClient
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import ConsiliumError
from consilium.ledger.jointokens import read_token
from consilium.node.join import join_hub
from consilium.space.children import Child, Children
from consilium.space.client import Client
from consilium.space.home import hub_home, node_home, pick_ports, prepare_home
from consilium.space.plans import HUB_NAME, SpacePlan
from consilium.space.processes import RunningSpace
from consilium.space.run import Finished, register_datasets, run_study
from consilium.space.spacefile import read_space
from consilium.space.watch import Stage, silent
from consilium.space.wire import Wire

from .canaries import BESIDE, COLUMN, FIGURE, SIGN, WORD
from .recorder import HOST, Recorder, api_contexts, engine_contexts

LEAD, OTHER = "north", "renhe"
TITLE = "演练题目 rehearsal of everything"
ROWS, ROUNDS = 240, 3

SCHEMA = """
title = "Rehearsal"
drop = ["姓名"]
patient = "patient_id"

[label]
field = "grade"
rule = '== "IV"'

[[fields]]
name = "age"
kind = "number"
range = [0, 120]

[[fields]]
name = "marker"
kind = "number"
range = [0, 9000]
outside = "missing"

[[fields]]
name = "lobe"
kind = "category"
categories = ["额叶", "颞叶", "顶叶"]

[[fields]]
name = "grade"
kind = "category"
categories = ["II", "IV"]

[[fields]]
name = "note"
kind = "text"
"""

HOSPITAL = """
[[participant]]
name = "{name}"
title = "{title}"

[[participant.dataset]]
name = "glioma"
path = "{name}.csv"
schema = "glioma.toml"

[participant.dataset.governance]
ethics_approval = "KY-1"
ethics_expires = 2099-12-31T00:00:00Z
consent_basis = "made up"
deidentification = "made up"
retention = "one test"
human_genetic_resources = false
owner = "nobody"
contact = "office@example.org"

[participant.dataset.terms]
purposes = ["medical-research"]
recipients = ["north"]
"""

SPACE = f"""
[space]
name = "recorded"

{HOSPITAL.format(name=LEAD, title="North Hospital")}
{HOSPITAL.format(name=OTHER, title="仁和医院")}

[[study]]
name = "grade"
title = "{TITLE}"
purpose = "medical-research"
lead = "{LEAD}"
recipe = "tabular-logistic"
settings = {{ learning_rate = 0.1, batch_size = 16, local_steps = 20 }}
rounds = {ROUNDS}
quorum = 2

[study.datasets]
{LEAD} = "glioma"
{OTHER} = "glioma"
"""


@dataclass
class Remains:
    """What is left when everything has stopped: homes, recordings, and what was noted."""

    plan: SpacePlan
    home: Path
    finished: Finished
    recorders: dict[str, tuple[Recorder, Recorder]]
    early: dict[str, Path]
    said: list[str] = field(default_factory=list)
    bypasses: list[str] = field(default_factory=list)

    def node(self, member: str) -> Path:
        return node_home(self.home, member)

    @property
    def hub(self) -> Path:
        return hub_home(self.home)


def recorded_run(folder: Path) -> Remains:
    """Run the study with a recorder before each hospital, and stop everything again."""
    write_source(folder)
    plan = read_space(folder / "space.toml")
    home = prepare_home(folder / "h", plan)
    children = Children(home, mark=uuid.uuid4().hex, die_with=os.getpid())
    space = RunningSpace(plan=plan, home=home, children=children)
    bypasses: list[str] = []
    with ExitStack() as stack:
        stack.callback(children.stop)
        ports = _found(space)

        def watch(stage: Stage, done: int, total: int) -> None:
            if stage is Stage.ROUNDS:
                bypasses.extend(_bypasses(children, ports))

        recorders = {name: _join(space, name, ports, stack=stack) for name in (LEAD, OTHER)}
        _serve_nodes(space)
        said = [_try_a_broken_table(space, folder)]
        register_datasets(space, watch=silent, clock=SystemClock())
        early = {name: _snapshot(space, name, folder) for name in (LEAD, OTHER)}
        finished = run_study(space, plan.studies[0], watch=watch)
        _await_witness(space, early)
        children.stop()
    return Remains(
        plan=plan,
        home=home,
        finished=finished,
        recorders=recorders,
        early=early,
        said=said,
        bypasses=bypasses,
    )


def write_source(folder: Path) -> None:
    """Write the space file, its schema, and one table for each hospital: UTF-8 and GBK."""
    (folder / "space.toml").write_text(SPACE, encoding="utf-8")
    (folder / "glioma.toml").write_text(SCHEMA, encoding="utf-8")
    for number, (name, code) in enumerate(((LEAD, "utf-8"), (OTHER, "gbk"))):
        rows = list(_rows(number))
        with (folder / f"{name}.csv").open("w", encoding=code, newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def _rows(number: int) -> Iterator[dict[str, str]]:
    chance = np.random.default_rng(number)
    for place in range(ROWS):
        age, marker = chance.normal(55, 9), abs(chance.normal(4000, 900))
        ill = age / 9 + marker / 900 + chance.normal(0, 1.5) > 10.5
        row = {
            "patient_id": f"{WORD}-{number}{place // 2:04d}",
            "姓名": f"{SIGN}{place}",
            "age": repr(float(age)),
            "marker": repr(float(marker)),
            "lobe": ("额叶", "颞叶", "顶叶")[place % 3],
            "grade": "IV" if ill else "II",
            "note": f"{SIGN}: {WORD}, 复查",
            COLUMN: WORD,
        }
        if place < 4:
            row |= {"age": repr(BESIDE), "marker": repr(FIGURE)}
        odd = {10: ("lobe", f"脑干{SIGN}"), 11: ("marker", f"约十二{SIGN}"), 12: ("age", WORD)}
        if place in odd:
            column, cell = odd[place]
            row[column] = cell
        yield row


def _found(space: RunningSpace) -> tuple[int, int]:
    """Found and serve the hub; return its two ports."""
    ports = pick_ports(space.plan.hub)
    host = space.plan.hub.host
    init_hub(
        hub_home(space.home),
        space=space.plan.name,
        title=space.plan.title,
        host=host,
        clock=SystemClock(),
        others={"hub.port": ports[0], "hub.engine_port": ports[1], "hub.listen": host},
    )
    _await_ready(space, space.children.start(HUB_NAME, ["hub", "serve", str(hub_home(space.home))]))
    return ports


def _join(
    space: RunningSpace, member: str, ports: tuple[int, int], *, stack: ExitStack
) -> tuple[Recorder, Recorder]:
    """Let a hospital join through its recorders; it never learns the hub's own ports."""
    home, hub_keys = node_home(space.home, member), hub_home(space.home) / "keys"
    front, back = api_contexts(hub_keys)
    api = Recorder(ports[0], front=front, back=back)
    stack.callback(api.close)
    signer = AdminClient(hub_home(space.home) / SIGNER)
    answer = signer.mint(member, title=member, hours=1)
    token = replace(read_token(answer["token"]), hub=f"https://{HOST}:{api.port}")
    membership = join_hub(home, token.as_text(), clock=SystemClock())
    front, back = engine_contexts(hub_keys, home / "keys")
    engine = Recorder(ports[1], front=front, back=back)
    stack.callback(engine.close)
    seen = replace(membership, engine=replace(membership.engine, port=engine.port))
    (home / "node.toml").write_text(seen.as_toml(), encoding="utf-8")
    return api, engine


def _serve_nodes(space: RunningSpace) -> None:
    started = [
        space.children.start(name, ["node", "serve", str(node_home(space.home, name))])
        for name in (LEAD, OTHER)
    ]
    for child in started:
        _await_ready(space, child)


def _await_ready(space: RunningSpace, child: Child) -> None:
    def is_ready() -> bool:
        space.children.check(child)
        try:
            with Wire(node_home(space.home, child.name), timeout_s=5) as wire:
                return bool(wire.get("/status").get("ready"))
        except ConsiliumError:
            return False

    wait_until(is_ready, what=child.name)


def _try_a_broken_table(space: RunningSpace, folder: Path) -> str:
    """Offer a table whose label has one class and whose cells are rubbish; keep what is said."""
    lines = (folder / f"{LEAD}.csv").read_text(encoding="utf-8").splitlines()
    kept = [line.replace(",IV,", ",II,").replace(",II,", f",{SIGN},", 1) for line in lines[1:60]]
    (folder / "broken.csv").write_text("\n".join([lines[0], *kept]), encoding="utf-8")
    dataset = space.plan.get_dataset(LEAD, "glioma")
    with Client(space.wire(LEAD)) as client:
        try:
            client.datasets.add(
                folder / "broken.csv",
                schema=dataset.schema,
                name="broken",
                governance=dataset.governance,
                terms={
                    "purposes": ["medical-research"], "not_after": "2099-12-31T00:00:00.000000Z",
                    "count": 1, "max_rounds": 1, "min_cohort": 1,
                    "recipients": [space.plan.id_of(LEAD)], "algorithms": ["tabular-logistic"],
                },
            )  # fmt: skip
        except ConsiliumError as error:
            return f"{error.code} {error.text('en')} {error.text('zh')}"
    raise AssertionError("a table without a class was taken in")


def _snapshot(space: RunningSpace, member: str, folder: Path) -> Path:
    """Copy a node's database as it is now, as somebody would who wants to set it back later."""
    path = folder / f"{member}-early.db"
    with (
        closing(sqlite3.connect(node_home(space.home, member) / "node.db")) as source,
        closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy)
    return path


def _await_witness(space: RunningSpace, early: dict[str, Path]) -> None:
    """Wait until the hub has seen more of each log than there was before the study."""

    def has_seen(member: str) -> bool:
        return witnessed(space.home, space.plan, member)[0] > entries_of(early[member])

    wait_until(lambda: all(has_seen(member) for member in early), what="the witness")


def entries_of(database: Path) -> int:
    """Count the entries of an evidence log."""
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM evidence").fetchone()[0])


def witnessed(home: Path, plan: SpacePlan, member: str) -> tuple[int, str]:
    """Read the last checkpoint that the hub has of a member: its size and its text."""
    query = "SELECT size, note FROM hub_checkpoints WHERE member = ? ORDER BY size DESC LIMIT 1"
    with closing(sqlite3.connect(hub_home(home) / "hub.db")) as connection:
        found = connection.execute(query, [plan.id_of(member)]).fetchone()
    return (int(found[0]), str(found[1])) if found else (0, "")


def _bypasses(children: Children, ports: tuple[int, int]) -> list[str]:
    """Find connections of a hospital's processes that go past its recorders."""
    found = []
    for child in children.alive():
        process = child.find()
        if process is None or child.name == HUB_NAME:
            continue
        for each in [process, *process.children(recursive=True)]:
            try:
                connections = each.net_connections(kind="tcp")
            except psutil.Error:
                continue
            found += [
                f"{child.name}: {one.raddr}"
                for one in connections
                if one.raddr and one.raddr.port in ports
            ]
    return found


def wait_until(condition: Callable[[], bool], *, what: str, within_s: float = 90.0) -> None:
    """Wait for a condition; fail when it does not come."""
    ends = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends:
            raise AssertionError(f"{what}: not within {within_s} s")
        time.sleep(0.05)
