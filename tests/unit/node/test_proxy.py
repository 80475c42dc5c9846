"""Which proxy is in force: the node's setting, then the environment, and never a password shown."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from consilium.kernel.errors import InputError, NotFoundError
from consilium.node.hub_client import connection_error
from consilium.node.proxy import Proxy, ProxyRules, refusal_of
from consilium.node.settings import load_node_settings

HUB = "https://hub.example.org:8440"


def found(url: str = HUB, **environment: str) -> Proxy | None:
    return ProxyRules(environment=environment).find(url)


def login_file(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "login"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_without_a_word_there_is_no_proxy() -> None:
    assert found() is None
    assert found(http_proxy="http://proxy:3128") is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_the_environment_is_taken_as_users_expect(name: str) -> None:
    proxy = found(**{name: "http://north:p%40ss@proxy.local:8080/"})
    assert proxy is not None
    assert (proxy.address, proxy.source) == ("proxy.local:8080", name)
    assert (proxy.user, proxy.password) == ("north", "p@ss")
    assert proxy.url == "http://north:p%40ss@proxy.local:8080"


@pytest.mark.parametrize(
    "listed",
    ["hub.example.org", "example.org", ".example.org", "*.example.org", "x, *", "a,EXAMPLE.ORG"],
)
def test_hosts_can_be_exempted(listed: str) -> None:
    assert found(HTTPS_PROXY="proxy:3128", NO_PROXY=listed) is None


@pytest.mark.parametrize("listed", ["", "ample.org", "hub.example.org.cn", "10.0.0.0/8"])
def test_other_exemptions_do_not_count(listed: str) -> None:
    assert found(HTTPS_PROXY="proxy:3128", NO_PROXY=listed) is not None


def test_a_network_can_be_exempted() -> None:
    assert found("https://10.1.2.3:8440", HTTPS_PROXY="proxy:3128", NO_PROXY="10.0.0.0/8") is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_the_environments_proxy_is_not_for_this_machine(host: str) -> None:
    assert found(f"https://{host}:8440", HTTPS_PROXY="proxy:3128") is None


def test_the_nodes_setting_goes_over_the_environment(tmp_path: Path) -> None:
    environment = {"HTTPS_PROXY": "http://other:1", "NO_PROXY": "*"}
    rules = ProxyRules(
        setting="http://proxy:3128",
        login=login_file(tmp_path, "north:a:b c\n"),
        environment=environment,
    )
    proxy = rules.find("https://localhost:1")
    assert proxy is not None
    assert (proxy.address, proxy.user, proxy.password) == ("proxy:3128", "north", "a:b c")
    direct = ProxyRules(setting="direct", environment={"HTTPS_PROXY": "http://other:1"})
    assert direct.find(HUB) is None


def test_a_login_file_is_named_from_the_nodes_folder(tmp_path: Path) -> None:
    login_file(tmp_path, "north:secret")
    text = '[node]\nproxy = "http://proxy:3128"\nproxy_login = "login"\n'
    (tmp_path / "node.toml").write_text(text)
    settings = load_node_settings(tmp_path, environment={})
    proxy = settings.proxies(tmp_path, environment={}).find(HUB)
    assert proxy is not None
    assert proxy.user == "north"


@pytest.mark.parametrize(
    "text", ["https://proxy:3128", "socks5://proxy:1", "http://:3128", "http://p:x", "http://p/x"]
)
def test_a_proxy_of_another_kind_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InputError) as caught:
        ProxyRules(setting=text.replace("//", "//u:geheim@")).find(HUB)
    assert caught.value.code == "node.bad_proxy"
    assert "geheim" not in caught.value.public


def test_a_password_in_a_setting_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        ProxyRules(setting="http://north:geheim@proxy:3128").find(HUB)
    assert caught.value.code == "node.proxy_password"
    assert "geheim" not in caught.value.public


@pytest.mark.parametrize(
    ("text", "mode"), [("n:s", 0o644), ("n", 0o600), (":s", 0o600), ("", 0o600)]
)
def test_a_login_that_is_open_or_none_is_refused(tmp_path: Path, text: str, mode: int) -> None:
    rules = ProxyRules(setting="http://proxy:3128", login=login_file(tmp_path, text, mode))
    with pytest.raises(InputError) as caught:
        rules.find(HUB)
    assert caught.value.code == "node.bad_proxy_login"


def test_a_login_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        ProxyRules(setting="http://proxy:3128", login=str(tmp_path / "none")).find(HUB)


def test_a_proxy_and_its_rules_never_show_the_password() -> None:
    environment = {"HTTPS_PROXY": "http://north:geheim@proxy:3128"}
    rules = ProxyRules(environment=environment)
    assert "geheim" not in f"{rules!r} {rules.find(HUB)!r}"


PROXY = Proxy(host="proxy", port=3128, source="x", user="north", password="geheim")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx.ProxyError("407 Proxy Authentication Required"), "link.proxy_login"),
        (httpx.ProxyError("403 Forbidden"), "link.proxy_refused"),
        (httpx.ProxyError("odd"), "link.proxy_refused"),
        (httpx.ConnectError("refused"), "link.proxy_away"),
        (httpx.ConnectTimeout("late"), "link.proxy_away"),
        (httpx.ReadTimeout("late"), "link.hub_away"),
    ],
)
def test_what_a_proxy_did_is_told_in_one_sentence(error: httpx.HTTPError, code: str) -> None:
    ours = connection_error(error, hub=HUB, proxy=PROXY)
    assert ours.code == code
    assert "geheim" not in ours.public


def test_a_refusal_tells_its_status() -> None:
    assert refusal_of(httpx.ProxyError("407 Proxy Authentication Required")) == 407
    assert refusal_of(httpx.ProxyError("something else")) is None
