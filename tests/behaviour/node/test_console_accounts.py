"""At the console: the first administrator, one's own password, second factor and sessions."""

from __future__ import annotations

import pyotp
from console_bench import PASSWORD, ConsoleBench

from consilium.node.console.welcoming import FILE, prepare_welcome
from consilium.persons.records import Role

NEW = "一个全新的 long password"


def test_the_first_administrator_comes_in_with_the_nodes_code(console: ConsoleBench) -> None:
    home = console.node.home
    code = prepare_welcome(home, console.database, clock=console.clock)
    path = home / FILE
    assert path.read_text().strip() == code
    assert path.stat().st_mode & 0o077 == 0
    browser = console.browser()
    body = {"code": code, "name": "首位管理员", "password": PASSWORD}
    wrong = browser.ask("POST", "/welcome", {**body, "code": "ABCD-EFGH-IJKL-MNOP"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "persons.wrong_welcome")
    weak = browser.ask("POST", "/welcome", {**body, "password": "short"})
    assert weak.json()["code"] == "persons.weak_password"
    told = browser.ask("POST", "/welcome", body).json()
    assert told["actions"] == ["backup.make", "person.manage"]
    assert browser.get("/session").json() == told
    assert not path.exists()
    again = console.browser().ask("POST", "/welcome", {**body, "name": "another"})
    assert again.json()["code"] == "persons.wrong_welcome"
    assert prepare_welcome(home, console.database, clock=console.clock) == ""


def test_signing_in_says_no_more_than_it_must(console: ConsoleBench) -> None:
    console.person("one", Role.STEWARD)
    for name in ("one", "nobody"):
        told = console.browser().sign_in(name, "a wrong password")
        assert (told.status_code, told.json()["code"]) == (401, "persons.not_recognised")
    for _ in range(4):
        console.browser().sign_in("one", "a wrong password")
    locked = console.browser().sign_in("one")
    assert (locked.status_code, locked.json()["code"]) == (403, "persons.locked")


def test_a_second_factor_is_set_up_and_asked_for(console: ConsoleBench) -> None:
    browser = console.signed_in("one", Role.STEWARD)
    offered = browser.ask("POST", "/session/second-factor").json()
    assert offered["uri"].startswith("otpauth://totp/")
    assert offered["qr_svg"].startswith("<svg")
    totp = pyotp.TOTP(offered["secret"])
    wrong = browser.ask("PUT", "/session/second-factor", {"code": "1"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "persons.wrong_code")
    right = browser.ask("PUT", "/session/second-factor", {"code": totp.at(console.clock.now())})
    assert right.json() == {"second_factor": True}
    assert browser.get("/session").json()["second_factor"] is True
    assert console.browser().sign_in("one").json()["code"] == "persons.code_needed"
    used = console.browser().sign_in("one", code=totp.at(console.clock.now()))
    assert used.json()["code"] == "persons.wrong_code"
    later = totp.at(console.clock.now(), counter_offset=1)
    assert console.browser().sign_in("one", code=later).status_code == 200


def test_an_administrator_resets_a_lost_factor(console: ConsoleBench) -> None:
    browser = console.signed_in("one", Role.STEWARD)
    secret = browser.ask("POST", "/session/second-factor").json()["secret"]
    code = pyotp.TOTP(secret).at(console.clock.now())
    browser.ask("PUT", "/session/second-factor", {"code": code})
    admin = console.signed_in("two", Role.ADMINISTRATOR)
    path = "/persons/one/second-factor"
    assert browser.ask("DELETE", path, {"reason": "x"}).json()["code"] == "persons.not_allowed"
    own = admin.ask("DELETE", "/persons/two/second-factor", {"reason": "x"})
    assert own.json()["code"] == "persons.own_factor"
    assert admin.ask("DELETE", path, {"reason": "lost the telephone"}).status_code == 200
    assert browser.get("/session").json()["code"] == "persons.no_session"
    assert console.browser().sign_in("one").status_code == 200


def test_changing_ones_password_ends_the_other_sessions(console: ConsoleBench) -> None:
    browser = console.signed_in("one", Role.STEWARD)
    other = console.browser()
    assert other.sign_in("one").status_code == 200
    wrong = browser.ask("POST", "/session/password", {"old": "wrong password", "new": NEW})
    assert wrong.json()["code"] == "persons.not_recognised"
    assert (
        browser.ask("POST", "/session/password", {"old": PASSWORD, "new": NEW}).status_code == 200
    )
    assert browser.get("/session").status_code == 200
    assert other.get("/session").status_code == 401
    assert console.browser().sign_in("one").status_code == 401
    assert console.browser().sign_in("one", NEW).status_code == 200


def test_disabling_an_account_ends_its_sessions_at_once(console: ConsoleBench) -> None:
    browser = console.signed_in("one", Role.STEWARD)
    admin = console.signed_in("two", Role.ADMINISTRATOR)
    admin.ask("POST", "/persons/one/disable", {"reason": "left the hospital"})
    assert browser.get("/session").json()["code"] == "persons.no_session"


def test_a_person_sees_and_ends_his_own_sessions_an_administrator_everybodys(
    console: ConsoleBench,
) -> None:
    browser = console.signed_in("one", Role.STEWARD)
    other = console.browser()
    other.sign_in("one")
    admin = console.signed_in("two", Role.ADMINISTRATOR)
    mine = browser.get("/sessions").json()["items"]
    assert [one["name"] for one in mine] == ["one", "one"]
    assert sorted(one["current"] for one in mine) == [False, True]
    (elsewhere,) = [one["id"] for one in mine if not one["current"]]
    everybodys = admin.get("/sessions").json()["items"]
    assert len(everybodys) == 3
    (admins,) = [one["id"] for one in everybodys if one["current"]]
    foreign = browser.ask("DELETE", f"/sessions/{admins}")
    assert foreign.json()["code"] == "persons.session_over"
    assert browser.ask("DELETE", f"/sessions/{elsewhere}").status_code == 204
    assert other.get("/session").status_code == 401
    assert browser.ask("DELETE", f"/sessions/{elsewhere}").status_code == 404
    first = admin.get("/sessions?limit=1").json()
    second = admin.get(f"/sessions?limit=1&cursor={first['next']}").json()
    assert first["items"][0]["id"] != second["items"][0]["id"]
    assert second["next"] is None
