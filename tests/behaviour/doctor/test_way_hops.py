"""What the doctor finds on the way to the hub: each hop broken for real, and named."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from connect_proxy import ConnectProxy
from doctor_bench import (
    SETTINGS_FRAME,
    first_failed,
    look,
    move_engine,
    move_hub,
    tls_server,
)
from fastapi import FastAPI
from hub_rehearsal import Hub, Node, Rehearsal, free_port

from consilium.cli import main
from consilium.dataspace.wire.serving import Serving
from consilium.hub.authority import Authority, Kind
from consilium.hub.signer_socket import AdminClient
from consilium.kernel.clock import HeldClock, SystemClock
from consilium.kernel.findings import State
from consilium.ledger.certificates import create_ec_key, write_certificate

LOGIN = "north:Geheim-4711"


def issue(hub: Hub, folder: Path, *, hours: float, begin: timedelta) -> tuple[Path, Path]:
    """Issue a certificate of the hub's web interface, with another time or name."""
    folder.mkdir()
    clock = HeldClock(SystemClock().now() + begin)
    authority = Authority.load(hub.home / "signer", space="glioma", clock=clock)
    key = create_ec_key(folder / "x.key").public_key()
    made = authority.issue(Kind.HTTPS, key, name="hub", hours=hours, hosts=("127.0.0.1",))
    (folder / "x.crt").write_text(write_certificate(made))
    return folder / "x.crt", folder / "x.key"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of another authority, as an inspecting proxy would show it."""
    folder = tmp_path_factory.mktemp("stranger")
    authority = Authority.create(folder, space="inspection", days=9, clock=SystemClock())
    key = create_ec_key(folder / "x.key").public_key()
    made = authority.issue(Kind.HTTPS, key, name="hub", hours=9, hosts=("127.0.0.1",))
    (folder / "x.crt").write_text(write_certificate(made))
    return folder / "x.crt", folder / "x.key"


def test_a_name_that_cannot_be_resolved(home: Path) -> None:
    move_hub(home, "https://hub.invalid:8440")
    found = look(home)
    assert first_failed(found) == ("dns", "doctor.no_name")
    assert "hub.invalid" in found["dns"].en
    assert {found[hop].state for hop in ("proxy", "tcp", "tls", "hub", "engine")} == {State.SKIPPED}


def test_a_closed_port(home: Path) -> None:
    move_hub(home, f"https://127.0.0.1:{free_port()}")
    assert first_failed(look(home)) == ("tcp", "doctor.tcp_closed")


def test_somebody_elses_certificate_is_named_with_its_issuer(
    home: Path, stranger: tuple[Path, Path]
) -> None:
    with tls_server(*stranger) as port:
        move_hub(home, f"https://127.0.0.1:{port}")
        found = look(home)
    assert first_failed(found) == ("tls", "doctor.tls_foreign")
    assert "inspection" in found["tls"].facts["issuer"]


def test_a_connection_that_is_cut_in_the_handshake(home: Path) -> None:
    with tls_server(None) as port:
        move_hub(home, f"https://127.0.0.1:{port}")
        assert first_failed(look(home)) == ("tls", "doctor.tls_broken")


def test_the_spaces_certificate_out_of_its_time(hub: Hub, home: Path, tmp_path: Path) -> None:
    pair = issue(hub, tmp_path / "old", hours=1 / 60, begin=timedelta(minutes=-5))
    with tls_server(*pair) as port:
        move_hub(home, f"https://127.0.0.1:{port}")
        assert first_failed(look(home)) == ("tls", "doctor.tls_time")


def test_the_spaces_certificate_for_another_name(hub: Hub, home: Path, tmp_path: Path) -> None:
    pair = issue(hub, tmp_path / "other", hours=1, begin=timedelta(0))
    with tls_server(*pair) as port:
        move_hub(home, f"https://localhost:{port}")
        assert first_failed(look(home)) == ("tls", "doctor.tls_name")


def test_a_clock_that_is_off_is_told_and_a_wrong_one_stops(home: Path) -> None:
    off = look(home, shift=timedelta(seconds=45))
    assert (off["clock"].state, off["hub"].state) == (State.WARNING, State.OK)
    assert 43 < off["clock"].facts["offset_s"] < 47
    wrong = look(home, shift=timedelta(seconds=-200))
    assert first_failed(wrong) == ("clock", "doctor.clock_wrong")
    assert wrong["hub"].state is State.SKIPPED


def log_in(home: Path, proxy: ConnectProxy, login: str) -> dict[str, str]:
    """Set a proxy and its login as a hospital would."""
    (home / "login").write_text(login)
    (home / "login").chmod(0o600)
    return {"CONSILIUM__NODE__PROXY": proxy.address, "CONSILIUM__NODE__PROXY_LOGIN": "login"}


def test_everything_goes_through_a_proxy_that_wants_a_password(hub: Hub, home: Path) -> None:
    with ConnectProxy(LOGIN) as proxy:
        found = look(home, environment=log_in(home, proxy, LOGIN))
    assert found["proxy"].facts == {
        "proxy": proxy.address[7:],
        "source": "node.proxy",
        "login": True,
    }
    assert found["hub"].state is State.OK
    assert set(proxy.passed) == {f"localhost:{hub.settings.hub.port}"}
    assert proxy.refused == 0


def test_a_wrong_password_is_the_proxys_hop(home: Path) -> None:
    with ConnectProxy(LOGIN) as proxy:
        found = look(home, environment=log_in(home, proxy, "north:guessed"))
        assert proxy.refused == 1
    assert first_failed(found) == ("proxy", "link.proxy_login")
    assert "guessed" not in str([one.as_record() for one in found.values()])


def test_a_proxy_that_forbids_the_hub(home: Path) -> None:
    with ConnectProxy(status=403) as proxy:
        found = look(home, environment={"CONSILIUM__NODE__PROXY": proxy.address})
    assert first_failed(found) == ("proxy", "link.proxy_refused")
    assert found["proxy"].facts["status"] == 403


def test_a_proxy_that_reaches_no_hub_is_not_to_blame(home: Path) -> None:
    move_hub(home, f"https://127.0.0.1:{free_port()}")
    with ConnectProxy() as proxy:
        found = look(home, environment={"CONSILIUM__NODE__PROXY": proxy.address})
    assert found["proxy"].state is State.OK
    assert first_failed(found) == ("tcp", "doctor.tcp_failed")
    assert "502" in found["tcp"].en


def test_a_proxy_that_is_not_there(home: Path) -> None:
    found = look(home, environment={"CONSILIUM__NODE__PROXY": f"127.0.0.1:{free_port()}"})
    assert first_failed(found) == ("proxy", "link.proxy_away")


def test_an_engine_that_accepts_our_certificate(hub: Hub, home: Path) -> None:
    keys = hub.home / "keys"
    pair = (keys / "engine-server.crt", keys / "engine-server.key")
    with tls_server(*pair, root=keys / "root.crt", answer=SETTINGS_FRAME) as port:
        move_engine(home, port)
        assert look(home)["engine"].code == "doctor.engine_quiet"


def test_an_engines_port_that_is_closed(home: Path) -> None:
    found = look(home)
    assert first_failed(found) == ("engine", "doctor.engine_closed")
    assert "second port" in found["engine"].en


def test_an_engine_that_believes_another_authority(
    hub: Hub, home: Path, stranger: tuple[Path, Path]
) -> None:
    keys = hub.home / "keys"
    pair = (keys / "engine-server.crt", keys / "engine-server.key")
    with tls_server(*pair, root=stranger[0]) as port:
        move_engine(home, port)
        assert first_failed(look(home)) == ("engine", "doctor.engine_refused")


@pytest.fixture
def served(home: Path) -> Iterator[Path]:
    """A home whose process answers that all is well."""
    app = FastAPI()
    app.get("/status")(lambda: {"engine": {"running": True, "restarts": 4, "pid": 1}})
    office = Serving(app, home / "run" / "api.sock")
    office.start()
    yield home
    office.close()


def test_the_relay_brings_a_message_back_to_a_node_that_listens(
    space: Rehearsal, hub: Hub, served: Path
) -> None:
    node = Node(served)
    node.link._answer = lambda request: _reply(request.path)
    node.start()
    try:
        found = look(served)
    finally:
        node.stop()
    assert found["relay"].code == "doctor.relay", found["relay"].en


def _reply(path: str) -> object:
    from consilium.dataspace.ports import WireReply

    assert path == "/.well-known/dspace-version"
    return WireReply(status=200, body=b'{"protocolVersions":[]}')


def test_a_node_that_runs_and_is_not_heard(hub: Hub, served: Path) -> None:
    assert first_failed(look(served)) == ("relay", "doctor.relay_away")


def test_an_engines_client_that_begins_again_and_again(hub: Hub, served: Path) -> None:
    keys = hub.home / "keys"
    pair = (keys / "engine-server.crt", keys / "engine-server.key")
    with tls_server(*pair, root=keys / "root.crt", answer=SETTINGS_FRAME) as port:
        move_engine(served, port)
        found = look(served)["engine"]
    assert (found.state, found.code) == (State.WARNING, "doctor.engine_restarts")


def test_a_member_that_was_revoked_learns_it(space: Rehearsal, hub: Hub) -> None:
    home = space.join(hub, "gone")
    AdminClient(hub.home / "signer").revoke("gone", reason="left")
    hub.upkeep.run_once()
    assert first_failed(look(home)) == ("hub", "hub.member_revoked")


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("login", [LOGIN, "north:Falsch-4712"])
def test_no_secret_is_printed(
    home: Path, form: list[str], login: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with ConnectProxy(LOGIN) as proxy, pytest.MonkeyPatch.context() as patch:
        for name, value in log_in(home, proxy, login).items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(["doctor", str(home), *form])
    assert ended.value.code == 5  # the engine's port is closed here, or the login is wrong
    printed = "".join(capsys.readouterr())
    password = login.partition(":")[2]
    for secret in (password, base64.b64encode(login.encode()).decode()):
        assert secret not in printed
    assert "proxy" in printed
