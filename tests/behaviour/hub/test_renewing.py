"""Certificates are renewed while everything runs; revoked members fall silent."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub_rehearsal import CLOCK, Node, Rehearsal, wait_for

from consilium.hub.authority import Kind
from consilium.hub.signer import FOLDER
from consilium.hub.signer_socket import AdminClient, SignClient
from consilium.kernel.clock import write_time
from consilium.kernel.errors import DeniedError, IntegrityError, NotFoundError
from consilium.ledger.certificates import create_rsa_key, load_certificate, request_certificate
from consilium.ledger.database import open_database
from consilium.ledger.jointokens import RENEWAL
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement

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


def test_a_node_that_was_off_for_long_renews_at_its_next_start(rehearsal: Rehearsal) -> None:
    hub = rehearsal.hub(**{"signer.participant_hours": SECONDS, "signer.site_hours": SECONDS})
    rehearsal.signer()
    home = rehearsal.join(hub, "north")
    time.sleep(1.2)
    node = rehearsal.node(home)
    with pytest.raises(DeniedError) as caught:
        node.hub.call("GET", "/members")
    assert caught.value.code == "hub.member_lapsed"
    node.renewal.renew()
    node.hub.call("GET", "/members")


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


def test_an_operator_revokes_a_member_and_it_falls_silent(rehearsal: Rehearsal) -> None:
    hub = rehearsal.hub()
    rehearsal.signer()
    north = rehearsal.node(rehearsal.join(hub, "north"))
    south = rehearsal.node(rehearsal.join(hub, "south"))
    assert north.directory.key_of(south.me) == south.key.public
    AdminClient(hub.home / FOLDER).revoke("south", reason="left the space")
    hub.upkeep.run_once()
    for attempt in (lambda: south.hub.call("GET", "/members"), south.renewal.renew):
        with pytest.raises(DeniedError) as caught:
            attempt()
        assert caught.value.code == "hub.member_revoked"
    north.directory._fetched = float("-inf")
    with pytest.raises(DeniedError) as refused:
        north.directory.key_of(south.me)
    assert refused.value.code == "link.participant_revoked"
    kinds = [entry.kind for entry in hub.database.evidence.entries(subject=south.me)]
    assert kinds == ["member.joined", "member.revoked"]


def test_every_act_of_the_signer_is_in_its_own_log(rehearsal: Rehearsal) -> None:
    hub = rehearsal.hub()
    signer = rehearsal.signer()
    node = rehearsal.node(rehearsal.join(hub, "north"))
    time.sleep(0.01)
    node.renewal.renew()
    AdminClient(hub.home / FOLDER).revoke("north", reason="left")
    signer.stop()
    folder = hub.home / FOLDER
    database = open_database(
        f"sqlite:///{folder / 'signer.db'}",
        key=SigningKey.load(folder / "log.key"),
        clock=CLOCK,
        origin="did:web:glioma:signer",
    )
    kinds = [entry.kind for entry in database.evidence.entries()]
    database.close()
    assert kinds[:4] == ["signer.issued"] * 4
    assert kinds[4:] == ["signer.minted", "signer.admitted", "signer.renewed", "signer.revoked"]


def test_a_changed_key_waits_for_a_person(rehearsal: Rehearsal) -> None:
    """South loses its disk, is revoked and joins anew; north does not take that as given."""
    hub = rehearsal.hub()
    rehearsal.signer()
    north = rehearsal.node(rehearsal.join(hub, "north"))
    old = rehearsal.node(rehearsal.join(hub, "south"))
    assert north.directory.key_of(old.me) == old.key.public
    AdminClient(hub.home / FOLDER).revoke("south", reason="disk lost")
    hub.upkeep.run_once()
    old.home.rename(old.home.with_name("lost"))
    new = rehearsal.node(rehearsal.join(hub, "south"))
    assert new.key.public != old.key.public
    north.directory._fetched = float("-inf")
    for _ in range(2):
        with pytest.raises(IntegrityError) as caught:
            north.directory.key_of(new.me)
        assert caught.value.code == "link.key_changed"
        north.stop()
        north = rehearsal.node(north.home)
    north.directory.accept_key(new.me, new.key.public.fingerprint)
    assert north.directory.key_of(new.me) == new.key.public
    pins = north.database.evidence.entries(kind="participant.pinned", subject=new.me)
    assert [pin.facts["accepted"] for pin in pins] == [False, True]


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


def test_a_signer_ends_with_whoever_started_it(rehearsal: Rehearsal) -> None:
    hub = rehearsal.hub()
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([{sys.executable!r}, '-m', 'consilium.hub.signer', "
        f"{str(hub.home)!r}, '--with-parent'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    sign = hub.home / FOLDER / "sign.sock"
    wait_for(sign.exists)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not sign.exists())
    wait_for(lambda: not Path(f"/proc/{child}/cmdline").exists() or _is_dead(child))


def test_a_signer_that_is_told_to_end_leaves_no_socket(rehearsal: Rehearsal) -> None:
    hub = rehearsal.hub()
    signer = rehearsal.signer()
    assert SignClient(hub.home / FOLDER).list_standing() == {}
    signer.process.send_signal(signal.SIGINT)
    assert signer.process.wait(10) == 0
    left = {path.name for path in (hub.home / FOLDER).glob("*.sock")}
    assert left == set()


def _is_dead(process: int) -> bool:
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state in {"Z", "X"}
