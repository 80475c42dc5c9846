"""The console's door: signing in, the guard, errors as problems, the pages."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import httpx
import pytest
from console_bench import PASSWORD, Browser, ConsoleBench

from consilium.persons.queue import ask
from consilium.persons.records import Grant, Role


def test_before_anybody_has_an_account_the_door_says_so(console: ConsoleBench) -> None:
    answer = console.browser().get("/session")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "persons.no_first"
    assert console.browser().get("/studies").json()["code"] == "persons.no_first"


def test_a_session_opens_the_routes_that_the_socket_serves(console: ConsoleBench) -> None:
    browser = console.signed_in("研究者", Role.RESEARCH_LEAD)
    told = browser.get("/session").json()
    assert told["person"]["name"] == "研究者"
    assert told["person"]["grants"] == [{"role": "research-lead", "study": "", "organisation": ""}]
    assert "study.run" in told["actions"]
    assert told["node"]["title"] == "北方医院"
    assert browser.get("/studies").json() == console.node.get("/studies")
    assert (
        browser.get("/status").json()["participant"] == console.node.get("/status")["participant"]
    )


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(console: ConsoleBench) -> None:
    console.person("one", Role.STEWARD)
    answer = console.browser().sign_in("one")
    (cookie,) = answer.headers.get_list("set-cookie")
    name, *rest = cookie.lower().split("; ")
    assert name.startswith(f"consilium_session_{console.port}=")
    assert {"httponly", "samesite=lax", "path=/"} <= set(rest)
    assert "secure" not in rest


def test_signing_out_ends_the_session_for_good(console: ConsoleBench) -> None:
    browser = console.signed_in("one", Role.STEWARD)
    kept = dict(browser.http.cookies)
    assert browser.ask("DELETE", "/session").status_code == 204
    browser.http.cookies.update(kept)
    assert browser.get("/session").json()["code"] == "persons.no_session"


def test_what_changes_something_needs_the_pages_token(console: ConsoleBench) -> None:
    browser = console.signed_in("one", Role.ADMINISTRATOR)
    body = {"name": "two", "password": "another long password"}
    for token in ("", "x" * 64, browser.token[:-1]):
        refused = browser.ask("POST", "/persons", body, token=token)
        assert (refused.status_code, refused.json()["code"]) == (403, "persons.no_token")
    assert browser.ask("POST", "/persons", body).status_code == 200


def test_another_sites_request_changes_nothing(console: ConsoleBench) -> None:
    browser = console.signed_in("one", Role.ADMINISTRATOR)
    body = {"name": "two", "password": "another long password"}
    for header in ({"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}):
        refused = browser.ask("POST", "/persons", body, **header)
        assert (refused.status_code, refused.json()["code"]) == (403, "web.other_site")
        answer = console.browser().ask(
            "POST", "/session", {"name": "one", "password": "x"}, **header
        )
        assert answer.json()["code"] == "web.other_site"


def test_the_sockets_header_opens_nothing_here(console: ConsoleBench) -> None:
    console.person("one", Role.ADMINISTRATOR)
    header = "Basic " + base64.b64encode(b"one:x").decode()
    answer = console.browser().get("/persons", authorization=header)
    assert (answer.status_code, answer.json()["code"]) == (401, "persons.no_session")


def test_a_role_for_one_study_reaches_nothing_else(console: ConsoleBench) -> None:
    grant = Grant(role=Role.RESEARCH_LEAD, study="urn:uuid:a")
    browser = console.signed_in("guest", grant)
    assert browser.get("/studies/urn:uuid:b").json()["code"] == "persons.out_of_sight"
    assert browser.get("/studies/urn:uuid:a").json()["code"] == "study.unknown"
    assert browser.get("/datasets").json()["code"] == "persons.out_of_sight"
    begun = browser.ask("POST", "/studies", {})
    assert (begun.status_code, begun.json()["code"]) == (403, "persons.not_allowed")


def test_a_problem_carries_both_languages_and_its_facts(console: ConsoleBench) -> None:
    browser = console.signed_in("doctor", Role.DOCTOR)
    told = browser.get("/evidence").json()
    assert told["type"] == "/errors/persons.not_allowed"
    assert told["status"] == 403
    assert told["facts"] == {"action": "evidence.read"}
    assert told["title"] == told["en"]
    assert told["title_zh"] == told["zh"]


def test_the_pages_are_served_under_strict_headers(console: ConsoleBench, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    missing = console.browser().http.get("/")
    assert missing.status_code == 503
    assert "make web" in missing.text
    assert "控制台" in missing.text
    (bundle / "assets").mkdir()
    (bundle / "index.html").write_text("<!doctype html>page", encoding="utf-8")
    (bundle / "assets" / "main-1a2b.js").write_text("1", encoding="utf-8")
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    http = console.browser().http
    for path in ("/", "/studies/urn:uuid:x", "/index.html", "/..%2fsecret"):
        page = http.get(path)
        assert (page.status_code, page.text) == (200, "<!doctype html>page"), path
        assert page.headers["cache-control"] == "no-cache"
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"
    asset = http.get("/assets/main-1a2b.js")
    assert asset.text == "1"
    assert "immutable" in asset.headers["cache-control"]
    assert http.get("/assets/other.js").status_code == 404
    assert http.get("/api/session").headers["cache-control"] == "no-store"


def test_a_body_has_a_greatest_size_told_or_untold(console: ConsoleBench) -> None:
    browser = console.signed_in("one", Role.ADMINISTRATOR)
    large = {"name": "x" * (1 << 20), "password": "p"}
    for told in (browser.ask("POST", "/persons", large), send_untold(browser, b"x" * (2 << 20))):
        assert (told.status_code, told.json()["code"]) == (413, "web.too_large")


def send_untold(browser: Browser, body: bytes) -> httpx.Response:
    """Send a body in pieces, without saying how long it will be."""
    headers = {"x-consilium-token": browser.token, "content-type": "application/json"}
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    return browser.http.post("/api/persons", content=pieces, headers=headers)


def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_alone(console: ConsoleBench) -> None:
    console.person("one", Role.STEWARD)
    body = {"name": "one", "password": PASSWORD}
    answer = console.browser().ask("POST", "/session", body, x_forwarded_proto="https")
    assert "; secure" in answer.headers["set-cookie"].lower()
    assert "max-age" in answer.headers["strict-transport-security"]


def test_a_queue_shows_what_is_in_sight_or_was_handed_over(console: ConsoleBench) -> None:
    steward = console.signed_in("steward", Role.STEWARD)
    guest = console.signed_in("guest", Grant(role=Role.STEWARD, organisation="did:web:west"))
    doctor = console.signed_in("doctor", Grant(role=Role.DOCTOR, study="urn:uuid:a"))
    ids = {}
    for peer in ("did:web:west", "did:web:east"):
        with console.database.write() as tx:
            ids[peer] = ask(
                tx,
                kind="agreement",
                subject=f"urn:uuid:{peer}",
                reason="r",
                due=console.clock.now(),
                role=Role.STEWARD,
                clock=console.clock,
                organisation=peer,
            ).id
    assert [one["id"] for one in guest.get("/queue").json()] == [ids["did:web:west"]]
    assert len(steward.get("/queue").json()) == 2
    hidden = f"/queue/{ids['did:web:east']}"
    assert guest.get(hidden).json()["code"] == "persons.no_item"
    assert doctor.get("/queue").json() == []
    handed = {"to": "doctor", "reason": "on leave"}
    assert steward.ask("POST", f"{hidden}/delegate", handed).status_code == 200
    assert [one["id"] for one in doctor.get("/queue").json()] == [ids["did:web:east"]]
    assert doctor.get(hidden).status_code == 200
    settled = doctor.ask("POST", f"{hidden}/settle", {"ruling": "refuse", "reason": "as told"})
    assert settled.json()["ruling"] == "refuse"


def test_no_token_reaches_the_log(console: ConsoleBench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    browser = console.signed_in("one", Role.DOCTOR)
    browser.get("/evidence")
    browser.ask("POST", "/persons", {"password": "a password in a body"}, token="x")
    (token,) = browser.http.cookies.values()
    ours = [one for one in caplog.records if not one.name.startswith("http")]  # not the client's
    said = "\n".join(one.getMessage() for one in ours)
    for secret in (token, browser.token, PASSWORD, "a password in a body"):
        assert secret not in said
