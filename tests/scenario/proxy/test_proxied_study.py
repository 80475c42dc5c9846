"""Two hospitals whose networks let nothing out but by a proxy with a password."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import psutil
import pytest
from connect_proxy import ConnectProxy
from whole_space import LEAD, OTHER, WholeSpace, practice_plan, whole_space

from consilium.hub.doctor import examine_hub
from consilium.hub.settings import load_settings
from consilium.kernel.clock import SystemClock
from consilium.kernel.findings import State
from consilium.node.doctor import examine_node
from consilium.space.home import hub_home, node_home
from consilium.space.plans import HUB_NAME

pytestmark = pytest.mark.scenario

PASSWORD = "Geheim:4711@x/%"
LOGIN = f"hospital:{PASSWORD}"
MEMBERS = (LEAD, OTHER)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectProxy]:
    login = tmp_path_factory.mktemp("login") / "login"
    login.write_text(LOGIN)
    login.chmod(0o600)
    with ConnectProxy(LOGIN) as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONSILIUM__NODE__PROXY", found.address)
        patch.setenv("CONSILIUM__NODE__PROXY_LOGIN", str(login))
        # What the engine's library would follow by itself, and must not be told.
        patch.setenv("https_proxy", "http://hospital:geraten@127.0.0.1:9")
        yield found


@pytest.fixture(scope="module")
def space(proxy: ConnectProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSpace]:
    folder = tmp_path_factory.mktemp("proxied")
    plan = practice_plan(folder / "data", rounds=3, quorum=2)
    study = replace(
        plan.studies[0], datasets={name: plan.studies[0].datasets[name] for name in MEMBERS}
    )
    members = tuple(one for one in plan.participants if one.name in MEMBERS)
    plan = replace(plan, participants=members, studies=(study,))
    with whole_space(plan, folder / "space") as found:
        found.await_ready()
        yield found


def ports(space: WholeSpace) -> tuple[int, int]:
    hub = load_settings(hub_home(space.home), environment={}).hub
    return hub.port, hub.engine_port


def family(space: WholeSpace, name: str) -> list[psutil.Process]:
    serving = space.serving(name)
    return [serving, *serving.children(recursive=True)]


def test_a_study_runs_through_the_proxy_and_by_no_other_way(
    space: WholeSpace, proxy: ConnectProxy
) -> None:
    port, engine_port = ports(space)
    study = space.begin()
    study.await_round(2)
    for name in MEMBERS:
        far = {
            connection.raddr.port: (process.cmdline()[-2:], connection)
            for process in family(space, name)
            for connection in process.net_connections(kind="inet")
            if connection.raddr
        }
        assert proxy.port in far
        assert [far[one] for one in (port, engine_port) if one in far] == []
    result = study.await_result()
    assert len(result.sites) == len(MEMBERS)
    assert proxy.refused == 0
    assert proxy.passed[f"127.0.0.1:{port}"] >= len(MEMBERS)
    assert proxy.passed[f"localhost:{engine_port}"] >= len(MEMBERS)


def test_both_parties_of_an_agreement_show_the_same_contract_id(space: WholeSpace) -> None:
    shown = [
        {each["id"]: each["contract_id"] for each in space.connect(name).agreements.list()}
        for name in MEMBERS
    ]
    shared = shown[0].keys() & shown[1].keys()
    assert shared
    assert [shown[0][each] for each in shared] == [shown[1][each] for each in shared]


def test_the_doctor_finds_every_hop_in_order(space: WholeSpace) -> None:
    clock = SystemClock()
    for name in MEMBERS:
        home = node_home(space.home, name)
        found = list(examine_node(home, environment=os.environ, clock=clock))
        assert {one.hop: one.en for one in found if one.state is not State.OK} == {}
    hub = list(examine_hub(hub_home(space.home), environment={}, clock=clock))
    assert {one.hop: one.en for one in hub if one.state is not State.OK} == {}


def test_the_password_is_in_no_command_line_no_environment_and_no_file(
    space: WholeSpace,
) -> None:
    forms = (PASSWORD, quote(PASSWORD, safe=""), base64.b64encode(LOGIN.encode()).decode())
    for name in (HUB_NAME, *MEMBERS):
        for process in family(space, name):
            told = f"{process.cmdline()} {process.environ()}"
            assert [form for form in forms if form in told] == []
        for child in family(space, name)[1:]:
            assert not [key for key in child.environ() if key.lower().endswith("_proxy")]
    for path in space.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert [form for form in forms if form.encode() in data] == [], path
