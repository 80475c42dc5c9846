"""A node's console on a real port, and browsers that are signed in to it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Self

import httpx
from node_bench import NodeBench

from consilium.dataspace.wire.serving import PlainPlace, Serving
from consilium.node.console.app import make_console
from consilium.persons.accounts import add_person, grant_role
from consilium.persons.passwords import Cost, hash_password
from consilium.persons.records import Grant, Person, Role

CHEAP = Cost(memory_kib=8, passes=1)
PASSWORD = "密码 of a careful person"


class Browser:
    """Keeps cookies, and sends the page's token once it is signed in."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=30)
        self.token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def sign_in(self, name: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        answer = self.ask("POST", "/session", {"name": name, "password": password, **more})
        if answer.status_code == 200:
            self.token = answer.json()["csrf"]
        return answer

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["x-consilium-token"] = self.token if token is None else token
        return self.http.request(method, f"/api{path}", json=body, headers=sent)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, **headers)


class ConsoleBench:
    """The console of one node."""

    def __init__(self, node: NodeBench, bundle: Path) -> None:
        self.node = node
        self.database = node.hospital.database
        self.clock = node.reception.clock
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        app = make_console(node.rooms, port=self.port, bundle=bundle)
        self._serving = Serving(app, PlainPlace(host="127.0.0.1", port=self.port))
        self._serving.start()
        self._browsers: list[Browser] = []

    def browser(self) -> Browser:
        found = Browser(f"http://127.0.0.1:{self.port}")
        self._browsers.append(found)
        return found

    def person(self, name: str, *roles: Role | Grant) -> Person:
        secret = hash_password(PASSWORD, name=name, cost=CHEAP)
        with self.database.write() as tx:
            person = add_person(tx, name=name, secret=secret, by="test", clock=self.clock)
            for role in roles:
                grant = role if isinstance(role, Grant) else Grant(role=role)
                person = grant_role(tx, person, grant, by="test", clock=self.clock)
        return person

    def signed_in(self, name: str, *roles: Role | Grant) -> Browser:
        """Give a browser with which somebody new is signed in."""
        self.person(name, *roles)
        browser = self.browser()
        assert browser.sign_in(name).status_code == 200
        return browser

    def close(self) -> None:
        for browser in self._browsers:
            browser.http.close()
        self._serving.close()
