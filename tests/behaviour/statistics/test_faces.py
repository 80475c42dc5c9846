"""The faces of statistics: command line and Python, over a served node's API."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from statistics_rehearsal import DRAWN_SCHEMA, Conference, drawn

import consilium
from consilium.cli import build_app
from consilium.cli.boundary import run_app
from consilium.dataspace.wire.serving import Serving
from consilium.federation.flare.processes import ChildState
from consilium.node.app import make_app
from consilium.node.reception import Reception
from consilium.node.rooms import Rooms
from consilium.node.settings import NodeSettings
from consilium.persons.settings import ApprovalSettings

Run = Callable[..., str]


@pytest.fixture
def home(conference: Conference, tmp_path: Path) -> Iterator[Path]:
    """The lead's node, served; two hospitals answer."""
    for seed, name in enumerate(("south", "west")):
        conference.add(name, drawn(seed, rows=300), DRAWN_SCHEMA)
    child = ChildState(
        name="engine client", running=True, pid=1, restarts=0, since_s=1.0, exit_status=None
    )
    database = conference.lead.connector.database
    rooms: dict[str, Any] = {
        "home": tmp_path,
        "settings": NodeSettings(),
        "membership": SimpleNamespace(
            participant=conference.lead.me, title="北方医院", space="example.org", hub="https://hub"
        ),
        "connector": conference.lead.connector,
        "link": SimpleNamespace(is_online=lambda: True),
        "engine": SimpleNamespace(state=child),
        "registrar": SimpleNamespace(recipes={}, read_terms=dict),
        "reception": Reception(
            database=database,
            clock=conference.lead.connector.clock,
            settings=ApprovalSettings(),
            models=tmp_path / "models",
        ),
        "evidence": SimpleNamespace(database=database),
    }
    others = dict.fromkeys(
        ("directory", "leading", "tasks", "catalogue", "following", "recipes", "console", "auditor")
    )
    serving = Serving(make_app(Rooms(**rooms, **others)), tmp_path / "home" / "run" / "api.sock")
    serving.start()
    yield tmp_path / "home"
    serving.close()


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command; return what it prints, once it has succeeded."""

    def type_it(*words: str, code: int = 0) -> str:
        given = ["statistics", *words, "--home", str(home)]
        assert run_app(lambda: build_app("statistics"), given) == code
        out, err = capsys.readouterr()
        return out + err

    return type_it


def test_every_statistic_can_be_asked_for_from_the_command_line(run: Run) -> None:
    told = run("count", "--where", "sex=m")
    assert "Patients" in told
    assert told.count("answered") == 2
    assert "variance" in run("mean", "age", "months")
    assert "below" in run("histogram", "age", "--edges", "50,60,70")
    assert "Quantiles" in run("quantile", "months", "--share", "0.5")
    assert "Cross-table" in run("crosstab", "sex", "stage")
    assert "Missing" in run("missing", "age")
    assert "at risk" in run("survival", "months", "ill", "--bins", "6")
    assert "Correlation" in run("correlation", "age", "months")
    assert "intercept" in run("regression", "months", "age")
    assert "intercept" in run("regression", "ill", "age", "--logistic")
    assert "epsilon" in run("count", "--epsilon", "0.5")


def test_records_are_printed_as_json_and_refusals_as_sentences(run: Run) -> None:
    record = json.loads(run("count", "--json"))
    assert record["pooled"] == {"patients": 600, "rows": 600}
    assert "cannot be asked" in run("count", "--where", "height>=2", code=2)
    assert "None of the 2 hospitals answered" in run("count", "--where", "age>=99", code=4)


def test_a_notebook_asks_the_same(home: Path) -> None:
    with consilium.connect(home) as space:
        found = space.statistics.ask("mean", "age", purpose="research", where=["stage=I"])
    assert found["cohort"] == ["stage=I"]
    assert {site["error"] for site in found["sites"]} == {None}
    assert 50 < found["pooled"]["variables"]["age"]["mean"] < 70
