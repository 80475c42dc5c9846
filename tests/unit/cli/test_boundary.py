"""Bad input gives one sentence and an exit code; nobody sees a traceback."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import typer

from consilium.cli import build_app
from consilium.cli.boundary import run_app
from consilium.cli.language import language_of
from consilium.kernel.errors import FAMILIES, texts


@pytest.fixture(autouse=True)
def calm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, in English, and give signals back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSILIUM_LANG", "en")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CONSILIUM_HOME", raising=False)
    monkeypatch.delenv("CONSILIUM_DEBUG", raising=False)
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def run(*arguments: str) -> int:
    named = next((each for each in arguments if not each.startswith("-")), "")
    return run_app(lambda: build_app(named), list(arguments))


def run_raising(error: BaseException) -> int:
    app = typer.Typer()

    @app.command()
    def fail() -> NoReturn:
        raise error

    return run_app(lambda: app, [])


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("frobnicate",), 2, "cli.usage"),
        (("space", "upp"), 2, "Did you mean 'up'?"),
        (("space", "up"), 2, "cli.usage"),
        (("space", "up", "none.toml"), 2, "space.no_file"),
        (("space", "run", "."), 2, "space.no_file"),
        (("space", "down"), 2, "cli.no_home"),
        (("space", "status", "--home", "nowhere"), 5, "space.not_up"),
        (("demo", "--seed", "many"), 2, "cli.usage"),
        (("demo", "--seed", "-1"), 2, "cli.usage"),
        (("demo", "--data", "."), 2, "space.unknown_data"),
        (("demo", "--data", "nowhere"), 2, "space.unknown_data"),
        (("dataset", "list"), 6, "space.no_node"),
        (("dataset", "add", "x.csv", "--schema", "s", "--name", "n", "--offer", "o"), 2,
         "space.no_file"),
        (("catalog", "search", "heart", "--home", "nowhere"), 6, "space.no_node"),
        (("agreement", "list"), 6, "space.no_node"),
        (("study", "run", "plan.toml"), 2, "space.no_file"),
        (("study", "show", "x"), 6, "space.no_node"),
        (("evidence", "verify"), 3, "space.no_log"),
        (("evidence", "verify", "--checkpoint", "none"), 2, "cli.no_checkpoint"),
        (("evidence", "list", "--limit", "0"), 2, "cli.usage"),
        (("hub", "serve", "nowhere"), 3, "hub.no_hub"),
        (("hub", "token", "west"), 6, "hub.signer_away"),
        (("node", "serve", "nowhere"), 3, "link.not_joined"),
        (("node", "join", "rubbish"), 2, "link.token_damaged"),
        (("data", "fetch", "lung"), 3, "readers.no_open_data"),
    ],
)  # fmt: skip
def test_bad_input_gives_one_sentence_and_the_familys_exit_code(
    arguments: tuple[str, ...], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == code
    said = capsys.readouterr()
    assert told in said.err
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err + said.out


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_has_its_exit_code(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    kind = FAMILIES[family]
    error = kind("space.no_log", home="x")
    assert run_raising(error) == kind.exit_code
    assert capsys.readouterr().err == f"{error.text('en')} [space.no_log]\n"


def test_the_sentence_comes_in_the_language_of_the_person(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_LANG", "zh_CN.UTF-8")
    assert run("evidence", "verify") == 3
    assert "存证日志" in capsys.readouterr().err


def test_the_language_is_told_by_the_usual_variables() -> None:
    assert language_of({}) == "en"
    assert language_of({"LANG": "zh_CN.UTF-8"}) == "zh"
    assert language_of({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_GB"}) == "en"
    assert language_of({"LC_ALL": "C", "CONSILIUM_LANG": "zh"}) == "zh"
    assert language_of({"CONSILIUM_LANG": "", "LANG": "ZH"}) == "zh"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Exit(130)])
def test_an_interruption_ends_with_130(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_raising(error) == 130
    assert "Stopped at your request" in capsys.readouterr().err


def test_a_stop_signal_is_taken_as_an_interruption() -> None:
    app = typer.Typer()

    @app.command()
    def stop_me() -> None:
        signal.raise_signal(signal.SIGTERM)

    assert run_app(lambda: app, []) == 130


def test_what_is_unexpected_goes_into_a_log_whose_place_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_raising(ZeroDivisionError("secret")) == 1
    said = capsys.readouterr().err
    log = tmp_path / "state" / "consilium" / "last-failure.log"
    assert str(log) in said
    assert "secret" not in said
    assert "secret" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_traceback_shows_when_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_DEBUG", "1")
    assert run_raising(ZeroDivisionError()) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_last_lines_of_a_log_follow_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    error = FAMILIES["peer"](
        "space.process_died", name="hub", exit=5, log="x.log", detail="port taken"
    )
    assert run_raising(error) == 6
    assert capsys.readouterr().err.endswith("port taken\n")


@pytest.mark.parametrize("room", ["cli", "space"])
def test_every_sentence_is_one_line_in_both_languages_and_says_why(room: str) -> None:
    found = {code: entry for code, entry in texts().items() if code.startswith(f"{room}.")}
    assert found
    for code, entry in found.items():
        assert entry["family"] in FAMILIES, code
        for key in ("en", "zh", "why"):
            assert entry[key].strip(), (code, key)
            assert "\n" not in entry[key], (code, key)
