"""A hospital joins with a token, and nobody else does."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hub_rehearsal import CLOCK, Hub, Node, Rehearsal, free_port, raw

from consilium.hub.init import init_hub
from consilium.hub.signer import FOLDER
from consilium.hub.signer_socket import SIGN_SOCKET, AdminClient, SignClient, call_signer
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    IntegrityError,
    PeerError,
    StateError,
)
from consilium.ledger.certificates import (
    create_rsa_key,
    load_certificate,
    request_certificate,
    root_fingerprint,
)
from consilium.ledger.jointokens import JOIN, read_token
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement
from consilium.node.join import STAGING, join_hub
from consilium.node.membership import load_membership

pytestmark = pytest.mark.slow

TITLE = "首都医科大学附属北京天坛医院"


def refused(home: Path, token: str) -> ConsiliumError:
    """Try to join in vain; afterwards nothing is there."""
    with pytest.raises(ConsiliumError) as caught:
        join_hub(home, token, clock=CLOCK)
    assert not home.exists()
    return caught.value


def test_a_hospital_joins_and_is_listed(tmp_path: Path, open_hub: Hub) -> None:
    home = tmp_path / "node"
    membership = join_hub(home, open_hub.mint("tiantan", TITLE), clock=CLOCK)
    assert membership == load_membership(home)
    assert (membership.title, membership.space) == (TITLE, "glioma")
    assert membership.engine.server_name == "engine.glioma"
    assert sorted(path.name for path in home.iterdir()) == ["keys", "node.toml"]
    for path in home.rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    node = Node(home)
    entries = {entry.identity.name: entry for entry in node.directory.list_entries()}
    assert entries["tiantan"].identity.title == TITLE
    assert entries["tiantan"].identity.key == node.key.public
    node.stop()
    kinds = [entry.kind for entry in open_hub.database.evidence.entries(subject=node.me)]
    assert kinds == ["member.joined"]


def test_a_home_that_is_there_already_may_be_used_if_it_holds_no_node(
    tmp_path: Path, open_hub: Hub
) -> None:
    home = tmp_path / "node"
    (home / "logs").mkdir(parents=True)
    token = open_hub.mint("xiangya")
    join_hub(home, token, clock=CLOCK)
    key = (home / "keys" / "participant.key").read_bytes()
    with pytest.raises(StateError) as caught:
        join_hub(home, open_hub.mint("elsewhere"), clock=CLOCK)
    assert caught.value.code == "link.already_joined"
    assert (home / "keys" / "participant.key").read_bytes() == key


def test_a_token_is_refused_the_second_time(tmp_path: Path, open_hub: Hub) -> None:
    token = open_hub.mint("second")
    join_hub(tmp_path / "first", token, clock=CLOCK)
    error = refused(tmp_path / "again", token)
    assert isinstance(error, DeniedError)
    assert error.code == "hub.token_used"


def test_an_expired_token_is_refused_here_and_there(tmp_path: Path, open_hub: Hub) -> None:
    token = read_token(open_hub.mint("late", hours=1e-7))
    assert refused(tmp_path / "node", token.as_text()).code == "link.token_expired"
    prolonged = replace(token, expires="2099-01-01T00:00:00.000000Z")
    assert refused(tmp_path / "node", prolonged.as_text()).code == "link.token_expired"


def test_a_token_is_refused_for_another_members_name(tmp_path: Path, open_hub: Hub) -> None:
    token = read_token(open_hub.mint("modest"))
    for name in ("famous", "hub"):
        error = refused(tmp_path / "node", replace(token, member=name).as_text())
        assert error.code == "hub.token_other_member"
    join_hub(tmp_path / "node", token.as_text(), clock=CLOCK)


def test_a_hub_with_another_root_key_is_refused(tmp_path: Path, open_hub: Hub) -> None:
    token = read_token(open_hub.mint("careful"))
    wrong = replace(token, fingerprint=Digest("sha256:" + "0" * 64))
    error = refused(tmp_path / "node", wrong.as_text())
    assert isinstance(error, IntegrityError)
    assert error.code == "link.wrong_fingerprint"


def test_a_hub_that_stands_in_for_another_is_refused(tmp_path: Path, open_hub: Hub) -> None:
    """It shows the true root, which is public, but has no certificate under it."""
    token = read_token(open_hub.mint("misled"))
    false = tmp_path / "false"
    port = free_port()
    init_hub(
        false,
        space="glioma",
        title="假",
        host="localhost",
        clock=CLOCK,
        others={"hub.port": port, "hub.engine_port": free_port()},
    )
    true_root = (open_hub.home / "keys" / "root.crt").read_bytes()
    (false / "keys" / "root.crt").write_bytes(true_root)
    impostor = Hub(false)
    misled = replace(token, hub=f"https://localhost:{port}")
    error = refused(tmp_path / "node", misled.as_text())
    impostor.stop()
    assert error.code == "link.hub_untrusted"


def test_nobody_there_is_said_so(tmp_path: Path, open_hub: Hub) -> None:
    token = replace(read_token(open_hub.mint("lost")), hub=f"https://localhost:{free_port()}")
    error = refused(tmp_path / "node", token.as_text())
    assert isinstance(error, PeerError)
    assert error.code == "link.hub_away"


@pytest.mark.parametrize("text", ["", "hello", "eyJ2IjoxfQ"])
def test_a_damaged_token_is_refused_before_anybody_is_asked(tmp_path: Path, text: str) -> None:
    assert isinstance(refused(tmp_path / "node", text), InputError)


def test_a_full_disk_does_not_use_the_token_up(tmp_path: Path, open_hub: Hub) -> None:
    token = open_hub.mint("full")
    home = tmp_path / "a-file" / "node"
    (tmp_path / "a-file").write_text("in the way")
    with pytest.raises(StateError) as caught:
        join_hub(home, token, clock=CLOCK)
    assert caught.value.code == "ledger.cannot_write"
    join_hub(tmp_path / "node", token, clock=CLOCK)


def test_a_crash_after_the_hub_has_answered_is_repeated_with_the_same_token(
    tmp_path: Path, open_hub: Hub
) -> None:
    """The answer was lost: the request was sent, and nothing of the answer is on disk."""
    text = open_hub.mint("crashed")
    home = tmp_path / "node"
    join_hub(home, text, clock=CLOCK)
    joined = load_certificate(home / "keys" / "participant.crt")
    staging = home / STAGING
    staging.mkdir()
    (home / "keys").rename(staging / "keys")
    for name in ("participant.crt", "engine.crt", "hub.crt"):
        (staging / "keys" / name).unlink()
    (staging / "token").write_text(read_token(text).key.public.fingerprint)
    (home / "node.toml").unlink()
    join_hub(home, text, clock=CLOCK)
    assert load_certificate(home / "keys" / "participant.crt") == joined
    assert not staging.exists()


def test_a_crash_while_things_were_moved_into_place_is_finished(
    tmp_path: Path, open_hub: Hub
) -> None:
    text = open_hub.mint("moved")
    home = tmp_path / "node"
    membership = join_hub(home, text, clock=CLOCK)
    (home / STAGING).mkdir()
    (home / "node.toml").rename(home / STAGING / "node.toml")
    assert join_hub(home, text, clock=CLOCK) == membership
    assert sorted(path.name for path in home.iterdir()) == ["keys", "node.toml"]


def test_an_attempt_that_came_to_nothing_gives_way_to_another_token(
    tmp_path: Path, open_hub: Hub
) -> None:
    home = tmp_path / "node"
    (home / STAGING / "keys").mkdir(parents=True)
    (home / STAGING / "token").write_text("sha256:of-another-token")
    assert join_hub(home, open_hub.mint("anew"), clock=CLOCK).name == "anew"
    assert sorted(path.name for path in home.iterdir()) == ["keys", "node.toml"]


def test_while_the_signer_is_away_nothing_is_lost(rehearsal: Rehearsal, tmp_path: Path) -> None:
    hub = rehearsal.hub()
    signer = rehearsal.signer()
    text = hub.mint("patient")
    signer.kill()
    home = tmp_path / "node"
    with pytest.raises(PeerError) as caught:
        join_hub(home, text, clock=CLOCK)
    assert caught.value.code == "hub.signer_away"
    assert [path.name for path in home.iterdir()] == [STAGING]
    rehearsal.signer()
    assert join_hub(home, text, clock=CLOCK).name == "patient"


def test_the_hub_can_neither_mint_tokens_nor_make_administrators(open_hub: Hub) -> None:
    path = open_hub.home / FOLDER / SIGN_SOCKET
    csr = request_certificate(SigningKey.generate().ed25519, name="submitter@glioma")
    for verb in ("mint", "revoke", "tokens", "issue", "issue_own", "submitter"):
        with pytest.raises(DeniedError) as caught:
            call_signer(path, verb, {"member": "x", "title": "x", "kind": "submitter", "csr": csr})
        assert caught.value.code == "hub.unknown_verb"


def test_a_member_gets_a_site_and_a_participant_certificate_and_no_other(
    tmp_path: Path, open_hub: Hub
) -> None:
    """Whatever a request asks for beyond its key has no effect."""
    token = read_token(open_hub.mint("greedy"))
    key = SigningKey.generate()
    facts = {
        "space": token.space,
        "member": token.member,
        "token": token.key.public.text,
        "kind": "submitter",
        "role": "project_admin",
        "csr_participant": request_certificate(key.ed25519, name=token.member),
        "csr_engine": request_certificate(create_rsa_key(tmp_path / "k"), name=token.member),
    }
    answer = SignClient(open_hub.home / FOLDER).redeem(sign_statement(token.key, JOIN, facts))
    assert set(answer) == {"name", "title", "participant", "engine"}
    (tmp_path / "crt").write_text(answer["engine"])
    subject = load_certificate(tmp_path / "crt").subject.rfc4514_string()
    assert subject == "O=glioma,CN=greedy"


def test_the_hub_cannot_join_in_a_hospitals_place(tmp_path: Path, open_hub: Hub) -> None:
    """It sees the whole request and still has no keys of its own to put in."""
    token = read_token(open_hub.mint("coveted"))
    key = SigningKey.generate()
    names = {"space": token.space, "member": token.member, "token": token.key.public.text}
    requests = {
        "csr_participant": request_certificate(key.ed25519, name=token.member),
        "csr_engine": request_certificate(create_rsa_key(tmp_path / "k"), name=token.member),
    }
    forged = sign_statement(key, JOIN, {**names, **requests})
    with pytest.raises(IntegrityError):
        SignClient(open_hub.home / FOLDER).redeem(forged)
    join_hub(tmp_path / "node", token.as_text(), clock=CLOCK)


def test_the_sockets_are_guarded_by_the_file_system(open_hub: Hub) -> None:
    folder = open_hub.home / FOLDER
    modes = {
        name: stat.S_IMODE((folder / name).stat().st_mode)
        for name in ("admin.sock", "sign.sock", "ca.key", "log.key", "signer.db")
    }
    assert modes["admin.sock"] == modes["ca.key"] == modes["log.key"] == 0o600
    assert modes["sign.sock"] == 0o660
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.getuid()


def test_a_second_signer_does_not_start_beside_the_first(open_hub: Hub) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "consilium.hub.signer", str(open_hub.home)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == StateError.exit_code
    assert "already running" in run.stderr
    assert "Traceback" not in run.stderr
    assert AdminClient(open_hub.home / FOLDER).list_tokens() is not None


def test_strangers_see_the_root_and_nothing_else(asker: Node) -> None:
    hub = asker.membership.hub
    root = raw(asker, httpx.Request("GET", f"{hub}/root"))
    assert root.text == (asker.home / "keys" / "root.crt").read_text()
    assert root_fingerprint(asker.keys.root()) == root_fingerprint(
        load_certificate(asker.home / "keys" / "root.crt")
    )
    for method, path in (
        ("GET", "/members"),
        ("POST", "/relay/next"),
        ("POST", "/witness/checkpoints"),
        ("GET", "/witness/checkpoints"),
    ):
        answer = raw(asker, httpx.Request(method, f"{hub}{path}", json={"checkpoint": "x"}))
        assert answer.status_code in {401, 422, 400}, path
        assert "certificate" not in answer.text


def test_joining_has_a_pace(rehearsal: Rehearsal) -> None:
    hub = rehearsal.hub(**{"relay.joins_per_minute": 3})
    with httpx.Client(verify=False) as client:
        answers = [client.get(f"{hub.settings.address}/root") for _ in range(5)]
    assert [answer.status_code for answer in answers[:3]] == [200] * 3
    assert answers[-1].json()["code"] == "hub.busy"
    assert answers[-1].status_code == 503
