"""Backups through the console: who may, what the evidence says, what goes wrong in words."""

from __future__ import annotations

from console_bench import Browser, ConsoleBench
from node_bench import NodeBench

from consilium.persons.records import Role


def finish(node: NodeBench, browser: Browser, path: str) -> dict[str, object]:
    answer = browser.ask("POST", path, {})
    assert answer.status_code == 200, answer.text
    return node.wait(answer.json())


def test_who_holds_no_such_role_makes_none(console: ConsoleBench) -> None:
    steward = console.signed_in("管理数据", Role.STEWARD)
    assert steward.get("/backups").json()["items"] == []
    answer = steward.ask("POST", "/backups", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "persons.not_allowed")


def test_what_was_asked_for_is_evidence_also_when_it_fails(
    node: NodeBench, console: ConsoleBench
) -> None:
    """The bench's database lies elsewhere, so the copy is refused; with a sentence."""
    somebody = console.signed_in("管理员", Role.ADMINISTRATOR)
    ended = finish(node, somebody, "/backups")
    assert ended["state"] == "failed"
    assert ended["error"]["code"] == "ledger.no_home"  # type: ignore[index]
    assert node.hospital.kinds()[-1] == "backup.begun"
    assert somebody.get("/backups").json()["items"] == []


def test_a_name_that_leads_elsewhere_is_refused(console: ConsoleBench) -> None:
    somebody = console.signed_in("管理员", Role.ADMINISTRATOR)
    for name in ("..%2Fnode.db", "north.tar", "a-20260101T000000Z.tar.gz"):
        answer = somebody.ask("POST", f"/backups/{name}/proof", {})
        assert answer.status_code == 404, answer.text


def test_a_backup_that_was_changed_is_named(node: NodeBench, console: ConsoleBench) -> None:
    name = "north-20260101T000000Z.tar"
    (node.home / "backups").mkdir()
    (node.home / "backups" / name).write_bytes(b"cut off")
    (node.home / "backups" / "notes.tar").write_bytes(b"somebody else's")
    somebody = console.signed_in("管理员", Role.ADMINISTRATOR)
    found = somebody.get("/backups").json()
    assert [(one["name"], one["size"]) for one in found["items"]] == [(name, 7)]
    assert found["beside"] is True
    ended = finish(node, somebody, f"/backups/{name}/proof")
    assert ended["error"]["code"] == "ledger.backup_damaged"  # type: ignore[index]
