"""A hospital behind a proxy that wants a password: joining, and everything after."""

from __future__ import annotations

from pathlib import Path

import pytest
from connect_proxy import ConnectProxy
from hub_rehearsal import CLOCK, Hub, Rehearsal

from consilium.kernel.errors import PeerError
from consilium.node.hub_client import HubClient
from consilium.node.join import join_hub
from consilium.node.membership import FILE
from consilium.node.proxy import ProxyRules
from consilium.node.settings import load_node_settings

LOGIN = "north:Geheim-4711"


def rules(folder: Path, proxy: ConnectProxy, login: str) -> ProxyRules:
    path = folder / "login"
    path.write_text(login)
    path.chmod(0o600)
    return ProxyRules(setting=proxy.address, login=str(path))


def test_joining_through_a_proxy_makes_it_the_nodes_own(
    space: Rehearsal, hub: Hub, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with ConnectProxy(LOGIN) as proxy:
        ours = rules(tmp_path, proxy, LOGIN)
        join_hub(home, hub.mint("behind"), clock=CLOCK, proxies=ours)
        assert proxy.passed[f"localhost:{hub.settings.hub.port}"] == 2
        settings = load_node_settings(home, environment={})
        assert settings.proxies(home, environment={}) == ours
        assert "Geheim" not in (home / FILE).read_text()
        node = space.node(home)
        through = ours.find(node.membership.hub)
        client = HubClient(node.hub._caller, trust=node.keys.trust(), proxy=through)
        listed = client.call("GET", "/members")
        client.close()
    assert "list" in listed


def test_a_wrong_password_costs_no_token(hub: Hub, tmp_path: Path) -> None:
    home, token = tmp_path / "home", hub.mint("guesser")
    with ConnectProxy(LOGIN) as proxy:
        with pytest.raises(PeerError) as caught:
            join_hub(home, token, clock=CLOCK, proxies=rules(tmp_path, proxy, "north:geraten"))
        assert caught.value.code == "link.proxy_login"
        assert "geraten" not in f"{caught.value.public} {caught.value.detail}"
        assert not home.exists()
        join_hub(home, token, clock=CLOCK, proxies=rules(tmp_path, proxy, LOGIN))
    assert (home / FILE).exists()
