"""Certificates are renewed while everything runs; revoked members fall silent."""

from __future__ import annotations

import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from hub_rehearsal import CLOCK, Hub, Node, Rehearsal, SignerProcess, wait_for

from consilium.hub.authority import Kind
from consilium.hub.init import init_hub
from consilium.hub.signer import FOLDER
from consilium.hub.signer_socket import AdminClient, SignClient
from consilium.kernel.clock import write_time
from consilium.kernel.errors import DeniedError, IntegrityError, NotFoundError
from consilium.ledger.certificates import create_rsa_key, load_certificate, request_certificate
from consilium.ledger.jointokens import RENEWAL
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement

pytestmark = pytest.mark.slow

SECONDS = 1 / 3600
SHORT = {
    "signer.participant_hours": 6 * SECONDS,
    "signer.site_hours": 6 * SECONDS,
    "signer.server_hours": 6 * SECONDS,
    "signer.submitter_hours": 6 * SECONDS,
}


def test_everything_renews_itself_and_messages_go_on(rehearsal: Rehearsal) -> None:
    """Certificates of six seconds, over more than one of their lives."""
    hub = rehearsal.hub(upkeep=True, **SHORT)
    rehearsal.signer()
    north = rehearsal.node(rehearsal.join(hub, "north")).start()
    south = rehearsal.node(rehearsal.join(hub, "south")).start()
    sleeper = rehearsal.node(rehearsal.join(hub, "sleeper"))
    first = load_certificate(south.keys.path / "engine.crt")
    key = (south.keys.path / "engine.key").read_bytes()
    ends = time.monotonic() + 8
    while time.monotonic() < ends:
        assert north.client.get(south.me, "/x")[0] == 200
        time.sleep(0.25)
    fresh = load_certificate(south.keys.path / "engine.crt")
    assert fresh.not_valid_after_utc > first.not_valid_after_utc
    assert first.not_valid_after_utc < CLOCK.now()
    assert (south.keys.path / "engine.key").read_bytes() == key
    assert south.renewals
    assert set(hub.renewed) == {
        Kind.HTTPS,
        Kind.PARTICIPANT,
        Kind.ENGINE_SERVER,
        Kind.SUBMITTER,
    }
    shown = ssl.get_server_certificate(("localhost", hub.settings.hub.port))
    assert shown == (hub.home / "keys" / "https.crt").read_text()
    # A node that was off for longer than its certificate lived comes back by itself.
    with pytest.raises(DeniedError) as caught:
        sleeper.hub.call("GET", "/members")
    assert caught.value.code == "hub.member_lapsed"
    sleeper.link.start()
    wait_for(lambda: sleeper.renewals)
    sleeper.hub.call("GET", "/members")


def test_renewal_needs_the_old_key(asker: Node, tmp_path: Path) -> None:
    facts = {
        "space": "glioma",
        "member": "north",
        "time": write_time(CLOCK.now()),
        "csr_participant": request_certificate(SigningKey.generate().ed25519, name="north"),
        "csr_engine": request_certificate(create_rsa_key(tmp_path / "k"), name="north"),
    }
    statement = sign_statement(SigningKey.generate(), RENEWAL, facts)
    with pytest.raises(IntegrityError) as caught:
        asker.hub.call("POST", "/renew", {"statement": statement}, signed=False)
    assert caught.value.code == "ledger.bad_signature"


def test_who_is_not_listed_is_unknown(asker: Node) -> None:
    with pytest.raises(NotFoundError) as caught:
        asker.directory.key_of(type(asker.me)("did:web:glioma:nobody"))
    assert caught.value.code == "dataspace.unknown_participant"


def test_the_hub_witnesses_the_evidence_of_its_members(asked: Node) -> None:
    with asked.database.write() as tx:
        tx.record("dataset.added", "urn:x", {"rows": 3})
    size = asked.database.evidence.size

    def witnessed() -> bool:
        try:
            return bool(asked.hub.call("GET", "/witness/checkpoints")["size"] >= size)
        except NotFoundError:
            return False

    wait_for(witnessed)
    kept = asked.hub.call("GET", "/witness/checkpoints")
    assert kept["checkpoint"] == asked.database.evidence.checkpoint()


def test_an_operator_revokes_a_member_and_it_falls_silent(
    open_space: Rehearsal, open_hub: Hub, asker: Node
) -> None:
    """It then joins anew with other keys, which others do not take as given."""
    old = open_space.node(open_space.join(open_hub, "phoenix"))
    assert asker.directory.key_of(old.me) == old.key.public
    old.renewal.renew()
    AdminClient(open_hub.home / FOLDER).revoke("phoenix", reason="its disk was lost")
    open_hub.upkeep.run_once()
    for attempt in (lambda: old.hub.call("GET", "/members"), old.renewal.renew):
        with pytest.raises(DeniedError) as caught:
            attempt()
        assert caught.value.code == "hub.member_revoked"
    asker.directory._fetched = float("-inf")
    with pytest.raises(DeniedError) as refused:
        asker.directory.key_of(old.me)
    assert refused.value.code == "link.participant_revoked"

    old.home.rename(old.home.with_name("lost"))
    new = open_space.node(open_space.join(open_hub, "phoenix"))
    assert new.key.public != old.key.public
    asker.directory._fetched = float("-inf")
    with pytest.raises(IntegrityError) as changed:
        asker.directory.key_of(new.me)
    assert changed.value.code == "link.key_changed"
    asker.directory.accept_key(new.me, new.key.public.fingerprint)
    assert asker.directory.key_of(new.me) == new.key.public
    pins = asker.database.evidence.entries(kind="participant.pinned", subject=new.me)
    assert [pin.facts["accepted"] for pin in pins] == [False, True]

    kinds = [entry.kind for entry in open_hub.database.evidence.entries(subject=new.me)]
    assert kinds == ["member.joined", "member.renewed", "member.revoked", "member.joined"]
    assert _signers_log(open_hub, new.me) == [
        "signer.minted",
        "signer.admitted",
        "signer.renewed",
        "signer.revoked",
        "signer.minted",
        "signer.admitted",
    ]


def test_a_signer_ends_as_told_or_with_whoever_started_it(tmp_path: Path) -> None:
    home = tmp_path / "hub"
    init_hub(home, space="glioma", title="胶质瘤空间", host="localhost", clock=CLOCK)
    sign = home / FOLDER / "sign.sock"
    signer = SignerProcess(home)
    assert SignClient(home / FOLDER).list_standing() == {}
    signer.process.send_signal(signal.SIGINT)
    assert signer.process.wait(10) == 0
    signer.stop()
    assert list((home / FOLDER).glob("*.sock")) == []
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([{sys.executable!r}, '-m', 'consilium.hub.signer', "
        f"{str(home)!r}, '--with-parent'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_for(sign.exists)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not sign.exists())
    wait_for(lambda: not Path(f"/proc/{child}/cmdline").exists() or _is_dead(child))


def _signers_log(hub: Hub, subject: str) -> list[str]:
    """Read the signer's own evidence while it runs."""
    with closing(sqlite3.connect(hub.home / FOLDER / "signer.db")) as connection:
        rows = connection.execute(
            "SELECT kind FROM evidence WHERE subject = ? ORDER BY seq", (subject,)
        )
        return [row[0] for row in rows]


def _is_dead(process: int) -> bool:
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state in {"Z", "X"}
