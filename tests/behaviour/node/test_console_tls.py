"""The console's own TLS: for a hospital that puts no proxy before it."""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from pathlib import Path

import httpx
from console_bench import PASSWORD, ConsoleBench
from tests.support.certificates import issue

from consilium.dataspace.wire.serving import TlsPlace
from consilium.node.console.app import open_console
from consilium.node.settings import ConsoleSettings
from consilium.persons.records import Role


def test_a_browser_that_trusts_the_hospitals_authority_signs_in(
    console: ConsoleBench, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "console.pem", tmp_path / "console.key"
    issue(
        TlsPlace(host="127.0.0.1", port=console.port, certificate=certificate, key=key), "console"
    )
    settings = ConsoleSettings(
        port=console.port, certificate=str(certificate), certificate_key=str(key)
    )
    console.person("one", Role.STEWARD)
    console.close()  # its listener without TLS
    trust = ssl.create_default_context(cafile=certificate)
    with ExitStack() as stack:
        opened = open_console(stack, settings, console.node.rooms)
        assert opened is not None
        assert opened.address == f"https://127.0.0.1:{console.port}/"
        browser = httpx.Client(base_url=f"https://localhost:{console.port}", verify=trust)
        stack.enter_context(browser)
        answer = browser.post("/api/session", json={"name": "one", "password": PASSWORD})
        assert answer.status_code == 200
        (cookie,) = answer.headers.get_list("set-cookie")
        assert {"secure", "httponly", "samesite=lax"} <= set(cookie.lower().split("; "))
        assert browser.get("/api/session").json()["person"]["name"] == "one"
