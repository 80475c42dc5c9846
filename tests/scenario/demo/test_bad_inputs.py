"""Bad input of any command: one clear sentence, the family's exit code, nothing lost."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from consilium.cli import main
from consilium.hub.signer import FOLDER as SIGNER
from consilium.hub.signer_socket import AdminClient
from consilium.kernel.errors import FAMILIES, texts
from consilium.space.client import Client
from consilium.space.processes import RunningSpace, running_space
from consilium.space.spacefile import read_space

pytestmark = pytest.mark.scenario

LANGUAGES = ("en", "zh")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ROWS = [f"{30 + i % 40},{1 + i * 0.37:.3f},{'IV' if i * 7 % 5 < 2 else 'II'}" for i in range(120)]
HEAD = "age,marker,grade"

SCHEMA = """
[label]
field = "grade"
rule = '== "IV"'
[[fields]]
name = "age"
kind = "number"
[[fields]]
name = "marker"
kind = "number"
[[fields]]
name = "grade"
kind = "category"
categories = ["II", "IV"]
"""
OFFER = """
[governance]
ethics_approval = "KY-1"
ethics_expires = 2099-12-31T00:00:00Z
consent_basis = "made up"
deidentification = "made up"
retention = "one test"
human_genetic_resources = false
owner = "nobody"
contact = "office@example.org"
[terms]
purposes = ["medical-research"]
recipients = ["west"]
"""
STUDY = """
name = "grade"
purpose = "medical-research"
recipe = "tabular-logistic"
rounds = 1
[datasets]
west = "good"
"""
SPACE = """
[space]
name = "bad-inputs"
[[participant]]
name = "west"
title = "West Hospital"
"""


def write_inputs(folder: Path) -> None:
    """Write one good input of each kind, and the bad ones."""
    good = "\n".join([HEAD, *ROWS])
    inputs: dict[str, str | bytes] = {
        "good.csv": good,
        "empty.csv": "",
        "head.csv": HEAD + "\n",
        "one-class.csv": good.replace("IV", "II"),
        "no-label.csv": "\n".join(line.rsplit(",", 1)[0] for line in good.splitlines()),
        "words.csv": "\n".join([HEAD, *(f"很老,很高,{row[-2:].strip(',')}" for row in ROWS)]),
        "broken-gbk.csv": f"{HEAD}\n六十".encode("gbk")[:-1] + b"\xff\xff\n" + good.encode(),
        "zeros.csv": bytes(4096),
        "text.parquet": good,
        "schema.toml": SCHEMA,
        "cut.toml": f"{SCHEMA}[[fields",
        "colour.toml": f'colour = "red"\n{SCHEMA}',
        "offer.toml": OFFER,
        "offer-colour.toml": f'{OFFER}colour = "red"\n',
        "offer-owner.toml": OFFER.replace('owner = "nobody"\n', ""),
        "offer-days.toml": f"{OFFER}days = 0\n",
        "study.toml": STUDY,
        "study-recipe.toml": STUDY.replace("tabular-logistic", "deep-magic"),
        "study-setting.toml": f"settings = {{ colour = 1 }}\n{STUDY}",
        "study-rule.toml": f'rule = "fedmagic"\n{STUDY}',
        "study-rounds.toml": STUDY.replace("rounds = 1", "rounds = 0"),
        "study-nobody.toml": STUDY.replace("west =", "nobody ="),
        "study-dataset.toml": STUDY.replace('"good"', '"none"'),
        "study-purpose.toml": STUDY.replace("medical-research", "advertising"),
        "space.toml": SPACE,
        "rubbish": "rubbish",
    }
    for name, text in inputs.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


@dataclass(frozen=True)
class Desk:
    """Where a person sits: the folder with the inputs, and a running space of one hospital."""

    folder: Path
    space: RunningSpace
    used_token: str

    def fill(self, words: tuple[str, ...]) -> list[str]:
        """Put the folders of this run into a command line."""
        places = {
            "WEST": str(self.space.home / "west"),
            "HUB": str(self.space.home / "hub"),
            "SPACE": str(self.space.home),
            "USED": self.used_token,
        }
        return [places.get(word, word) for word in words]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Bring up a space of one hospital with one dataset."""
    folder = tmp_path_factory.mktemp("bad")
    write_inputs(folder)
    with running_space(read_space(folder / "space.toml"), folder / "h") as space:
        token = AdminClient(space.home / "hub" / SIGNER).mint("south", title="South", hours=1)
        yield Desk(folder=folder, space=space, used_token=str(token["token"]))


@pytest.fixture(autouse=True)
def calm(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in the folder with the inputs, and give signals back."""
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(desk.folder / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("CONSILIUM_HOME", "CONSILIUM_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    before = {
        each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    }
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def run(desk: Desk, *words: str) -> int:
    """Run a command as a person would, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(desk.fill(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def add(table: str, *, schema: str = "schema.toml", name: str = "new", offer: str = "offer.toml") -> tuple[str, ...]:  # fmt: skip  # noqa: E501
    return ("dataset", "add", table, "--schema", schema, "--name", name, "--offer", offer,
            "--home", "WEST")  # fmt: skip


def study(*words: str) -> tuple[str, ...]:
    return ("study", *words, "--home", "WEST")


TABLES: dict[str, tuple[tuple[str, ...], str]] = {
    "a file that is missing": (add("none.csv"), "readers.no_file"),
    "a folder": (add("."), "readers.unreadable_file"),
    "an empty file": (add("empty.csv"), "readers.empty_file"),
    "a file with a header alone": (add("head.csv"), "readers.empty_file"),
    "a file without the label": (add("no-label.csv"), "readers.label_missing"),
    "words for numbers": (add("words.csv"), "readers.wrong_types"),
    "a broken encoding": (add("broken-gbk.csv"), "readers.broken_encoding"),
    "a file of zeros": (add("zeros.csv"), "readers.broken_encoding"),
    "no Parquet": (add("text.parquet"), "readers.bad_parquet"),
}
"""Tables that a reader refuses, each in a process of its own."""

CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "no schema": (add("good.csv", schema="none.toml"), "space.no_schema"),
    "an unknown built-in schema": (add("good.csv", schema="lungs"), "space.no_schema"),
    "a schema that is cut": (add("good.csv", schema="cut.toml"), "readers.schema_unreadable"),
    "an unknown key of a schema": (
        add("good.csv", schema="colour.toml"),
        "readers.schema_unknown_key",
    ),
    "a name with capitals": (add("good.csv", name="Bad-Name"), "kernel.bad_name"),
    "no offer": (add("good.csv", offer="none.toml"), "space.no_file"),
    "an unknown term": (add("good.csv", offer="offer-colour.toml"), "space.unknown_key"),
    "governance without an owner": (
        add("good.csv", offer="offer-owner.toml"),
        "space.bad_governance",
    ),
    "terms for no day": (add("good.csv", offer="offer-days.toml"), "space.not_whole"),
    "an unknown dataset": (("dataset", "show", "none", "--home", "WEST"), "dataspace.no_dataset"),
    "an unknown agreement": (
        ("agreement", "show", "none", "--home", "WEST"),
        "dataspace.no_agreement",
    ),
    "an agreement with nobody": (
        ("agreement", "request", "nobody", "good", "--home", "WEST"),
        "dataspace.unknown_participant",
    ),
    "an agreement on nothing": (
        ("agreement", "request", "west", "none", "--home", "WEST"),
        "study.no_offer",
    ),
    "an unknown study": (study("show", "none"), "study.unknown"),
    "stopping an unknown study": (study("stop", "none"), "study.unknown"),
    "a plan that is missing": (study("run", "none.toml"), "space.no_file"),
    "an unknown recipe": (study("run", "study-recipe.toml"), "study.bad_plan"),
    "an unknown setting": (study("run", "study-setting.toml"), "federation.unknown_setting"),
    "an unknown rule": (study("run", "study-rule.toml"), "federation.unknown_rule"),
    "a plan without rounds": (study("run", "study-rounds.toml"), "space.not_whole"),
    "a checkpoint that is none": (
        ("evidence", "verify", "--home", "WEST", "--checkpoint", "rubbish"),
        "ledger.not_a_checkpoint",
    ),
    "the wrong folder": (("evidence", "verify", "--home", "SPACE"), "space.no_log"),
    "a second hub": (
        ("hub", "init", "HUB", "--space", "bad", "--host", "127.0.0.1"),
        "hub.exists",
    ),
    "a folder in use": (
        ("hub", "init", "SPACE", "--space", "bad", "--host", "127.0.0.1"),
        "hub.folder_in_use",
    ),
    "a file for a folder": (
        ("hub", "init", "rubbish", "--space", "bad", "--host", "127.0.0.1"),
        "hub.folder_in_use",
    ),
    "a port that cannot be": (
        ("hub", "init", "new", "--space", "bad", "--host", "127.0.0.1", "--port", "99999"),
        "hub.bad_setting",
    ),
    "a token for a member": (("hub", "token", "west", "--home", "HUB"), "hub.name_taken"),
    "a token for the hub": (("hub", "token", "hub", "--home", "HUB"), "hub.reserved_name"),
    "a token for no time": (
        ("hub", "token", "east", "--hours", "0", "--home", "HUB"),
        "hub.bad_hours",
    ),
    "a damaged token": (("node", "join", "rubbish", "--home", "new"), "link.token_damaged"),
    "a home that has joined": (("node", "join", "USED", "--home", "WEST"), "link.already_joined"),
    "a file for a home": (("node", "join", "USED", "--home", "rubbish"), "ledger.cannot_write"),
    "a space that is up": (("space", "up", "space.toml", "--home", "SPACE"), "space.already_up"),
    "a space file that is none": (("space", "up", "good.csv", "--home", "new"), "space.not_toml"),
    "a demo in a file": (("demo", "--home", "rubbish"), "space.foreign_home"),
}


def check(said: str, code: str, language: str) -> None:
    """Require one clear sentence in the person's language, with its code."""
    assert said.endswith(f" [{code}]\n"), said
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    assert not re.search(r"\.\.|\.。|。。|\{|\}", said), said
    assert bool(CHINESE.search(said)) == (language == "zh"), said


@pytest.mark.parametrize(
    ("case", "language"),
    [
        *((case, language) for case in sorted(CASES) for language in LANGUAGES),
        *((case, LANGUAGES[place % 2]) for place, case in enumerate(sorted(TABLES))),
    ],
)
def test_bad_input_is_told_in_one_sentence(
    desk: Desk,
    case: str,
    language: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words, code = (CASES | TABLES)[case]
    monkeypatch.setenv("CONSILIUM_LANG", language)
    assert run(desk, *words) == FAMILIES[texts()[code]["family"]].exit_code
    said = capsys.readouterr()
    assert said.out == ""
    check(said.err, code, language)
    assert not (desk.folder / "new").exists()


def test_what_was_refused_left_nothing_behind(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [child.name for child in desk.space.children.alive()] == ["hub", "west"]
    home = desk.space.home / "west"
    with Client(desk.space.wire("west")) as client:
        assert client.datasets.list() == []
        assert client.studies.list() == []
        assert client.status()["ready"]
    assert not list(home.glob("blobs/*/*"))
    assert not list(home.glob("intake/*"))
    # And the good input of the same kind is taken: a label of one class with a named warning.
    assert run(desk, *add("one-class.csv", name="one-class")) == 0
    assert "readers.warn_one_class" in capsys.readouterr().out
    assert run(desk, *add("good.csv", name="good")) == 0
    assert run(desk, *add("good.csv", name="good")) == 5
    assert "dataspace.dataset_exists" in capsys.readouterr().err


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ("study-nobody.toml", "dataspace.unknown_participant"),
        ("study-dataset.toml", "study.no_offer"),
    ],
)
def test_a_study_that_nobody_can_join_ends_with_the_reason(
    desk: Desk,
    plan: str,
    reason: str,
    language: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CONSILIUM_LANG", language)
    assert run(desk, *study("run", plan)) == FAMILIES["state"].exit_code
    first, *others = capsys.readouterr().err.splitlines()
    check(f"{first}\n", "space.study_failed", language)
    # The sentence is wholly in one language, and so are the hospitals' answers below it.
    words = str(texts()["study.too_few_sites"][language]).partition("{")[0]
    assert words in first
    expected = str(texts()[reason][language]).rpartition("}")[2]
    assert [line.endswith(expected) for line in others] == [True]


def serve(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must end by itself, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "consilium", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


@pytest.mark.parametrize(
    ("noun", "place", "code"),
    [
        ("hub", "HUB", "ledger.home_taken"),
        ("node", "WEST", "ledger.home_taken"),
        ("hub", "WEST", "hub.no_hub"),
        ("node", "HUB", "link.not_joined"),
    ],
)
def test_a_folder_that_is_served_or_another_cannot_be_served(
    desk: Desk, noun: str, place: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_LANG", "zh")
    ran = serve(*desk.fill((noun, "serve", place)))
    assert ran.returncode == FAMILIES[texts()[code]["family"]].exit_code
    check(ran.stderr, code, "zh")


@pytest.mark.parametrize("key", ["--port", "--engine-port"])
def test_a_hub_whose_port_is_taken_ends_with_a_sentence(desk: Desk, key: str) -> None:
    with closing(socket.socket()) as taken, closing(socket.socket()) as free:
        for each in (taken, free):
            each.bind(("127.0.0.1", 0))
        taken.listen()
        other = "--engine-port" if key == "--port" else "--port"
        home = desk.folder / f"taken{key}"
        ports = {key: taken.getsockname()[1], other: free.getsockname()[1]}
        free.close()
        options = [str(word) for pair in ports.items() for word in pair]
        assert run(desk, "hub", "init", str(home), "--space", "pp", "--host", "127.0.0.1", *options) == 0  # fmt: skip  # noqa: E501
        ran = serve("hub", "serve", str(home))
    assert ran.returncode == FAMILIES["state"].exit_code
    assert ran.stderr.splitlines()[-1].endswith("[boundary.port_taken]")
    assert str(ports[key]) in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_token_works_once(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(desk, "node", "join", "USED", "--home", "south") == 0
    capsys.readouterr()
    assert run(desk, "node", "join", "USED", "--home", "south-again") == 4
    assert capsys.readouterr().err.endswith("[hub.token_used]\n")
    assert not (desk.folder / "south-again").exists()


def test_a_demo_leaves_another_space_alone(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_LANG", "en")
    assert run(desk, "demo", "--home", "SPACE") == FAMILIES["state"].exit_code
    check(capsys.readouterr().err, "space.foreign_home", "en")
    assert [child.name for child in desk.space.children.alive()] == ["hub", "west"]
