"""The demo as a newcomer runs it: one command, one record, one report, nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from consilium.kernel.errors import texts
from consilium.space.proof import verify_home
from consilium.space.record import ResultRecord
from consilium.space.report.words import NOTE
from consilium.space.results import METHODS

pytestmark = pytest.mark.scenario

ROOT = Path(__file__).parents[3]
HOSPITALS = {
    "did:web:demo-heart:budapest",
    "did:web:demo-heart:cleveland",
    "did:web:demo-heart:long-beach",
    "did:web:demo-heart:zurich-basel",
}
SWISS = "did:web:demo-heart:zurich-basel"
NAMES = {"north", "lakeside", "hillside", "renhe"}
NOT_TAKEN = {"personalised"}
"""Ways that the demo's recipe does not offer: their row is null throughout, without a reason."""
WORDS = {"federated", "recalibrated", "fine_tuned", "local"}
LONGEST_S = 200.0
OUTSIDE = re.compile(
    r"""(?:src|href|action|data|poster)\s*=\s*["']?(?!\#|data:)[^"'\s>]|url\((?!["']?(?:\#|data:))"""
    r"""|@import|<script[^>]*\ssrc|<link\b|<iframe\b|\bfetch\(|XMLHttpRequest""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Ran:
    """A demo that has ended."""

    folder: Path
    out: str
    err: str
    code: int

    @property
    def line(self) -> dict[str, Any]:
        return dict(json.loads(self.out.splitlines()[-1]))

    @property
    def home(self) -> Path:
        return next(each for each in (self.folder / ".consilium").iterdir())


def run_demo(folder: Path, *options: str, language: str = "en") -> Ran:
    ran = subprocess.run(
        [sys.executable, "-m", "consilium", "demo", "--json", *options],
        cwd=folder,
        env=os.environ | {"CONSILIUM_LANG": language},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_S,
    )
    return Ran(folder, ran.stdout, ran.stderr, ran.returncode)


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the demo that needs nothing, for a reader of Chinese."""
    return run_demo(tmp_path_factory.mktemp("demo"), language="zh")


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the demo on the four hospitals of UCI Heart Disease."""
    data = os.environ.get("CONSILIUM_TEST_DATA")
    if not data:
        explain = "CONSILIUM_TEST_DATA is not set"
        pytest.fail(explain) if os.environ.get("CI") else pytest.skip(explain)
    return run_demo(tmp_path_factory.mktemp("heart"), "--data", f"{data}/heart_disease")


def documented_fields() -> dict[str, set[str]]:
    """Read the fields of `docs/result-record.md`: by the object they stand in, "" for the top."""
    page = (ROOT / "docs" / "result-record.md").read_text(encoding="utf-8")
    fields: dict[str, set[str]] = {}
    for name in re.findall(r"^\| `([a-z0-9_\[\].]+)` \| ", page.partition("## Fields")[2], re.M):
        place, _, key = name.replace("[]", "").rpartition(".")
        fields.setdefault(place, set()).add(key)
    return fields


def left_behind(home: Path) -> list[str]:
    """Name the processes that belong to a home, by their command line or working folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(home) in " ".join(process.cmdline()) or str(home) in process.cwd():
                found.append(f"{process.pid} {process.cmdline()}")
    return found


def listening(home: Path) -> list[int]:
    """Name the ports and sockets of a home that still answer."""
    hub = tomllib.loads((home / "hub" / "hub.toml").read_text(encoding="utf-8"))["hub"]
    found = []
    for port in (hub["port"], hub["engine_port"]):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                found.append(port)
    for path in home.rglob("*.sock"):
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(path))
            found.append(path.name)
    return found


def check_clean(ran: Ran) -> None:
    assert left_behind(ran.folder) == []
    assert listening(ran.home) == []
    assert not (ran.home / "processes.json").exists()


def test_the_demo_ends_well_and_its_last_line_is_the_record(invented: Ran) -> None:
    assert invented.code == 0, invented.err
    assert "Traceback" not in invented.out + invented.err
    fields, line = documented_fields(), invented.line
    assert set(line) == fields[""]
    for place in ("timing", "bytes", "evidence", "model", "mean", "worst"):
        if place in fields:
            assert set(line[place]) == fields[place], place
    assert set(line["mean"]) == set(line["worst"]) == {"auroc", "accuracy", "brier"}
    for site in line["sites"]:
        assert set(site) == fields["sites"]
        for measure in ("auroc", "accuracy", "brier", "slope"):
            assert set(site[measure]) == set(METHODS)
    assert ResultRecord.from_json(line).as_json() == line
    [kept] = (invented.home / "results").glob("*.json")
    assert json.loads(kept.read_bytes()) == line


def test_every_status_is_a_word_that_people_can_read(invented: Ran) -> None:
    line = invented.line
    assert {site["chosen"] for site in line["sites"]} <= WORDS
    codes = {code for site in line["sites"] for code in site["undefined"].values()}
    for code in codes:
        assert texts()[code]["en"], code
    assert set(line["notes"]) <= set(NOTE)
    shown = report_of(invented).partition("</head>")[2]
    for code in (*texts(), *NOTE):
        assert not re.search(rf">[^<]*\b{re.escape(code)}\b", shown), code
    for stage in ("启动服务平台: 1/1", "医院接入: 8/8", "接入数据: 4/4", "评估: 1/1"):
        assert stage in invented.err
    for word in ("报告", "结果", "模型护照"):
        assert f"\n{word}: /" in invented.out
    assert f"✓ {line['evidence']['entries']} 条，全部通过验证\n" in invented.out


def report_of(ran: Ran) -> str:
    [path] = (ran.home / "results").glob("*.html")
    assert str(path) in ran.out
    return path.read_text(encoding="utf-8")


def test_the_report_stands_alone(invented: Ran) -> None:
    page = report_of(invented)
    assert page.lower().startswith("<!doctype html>")
    assert not OUTSIDE.search(page), OUTSIDE.search(page)
    assert page.count("<svg") >= 5  # a curve, and a calibration plot of each hospital
    for title in ("仁和", "Lakeside", "Hillside", "North"):
        assert title in page


def test_evidence_and_model_are_what_the_record_says(invented: Ran) -> None:
    line, home = invented.line, invented.home
    assert line["evidence"]["verified"] is True
    passport = Path(line["model"]["passport"])
    weights = passport.with_suffix(".safetensors").read_bytes()
    assert line["model"]["digest"] == f"sha256:{hashlib.sha256(weights).hexdigest()}"
    proofs = [verify_home(home / name) for name in ("hub", *sorted(NAMES))]
    assert all(proof.verified for proof in proofs)
    # After the record was written the nodes go on a moment: nothing is missing.
    assert sum(proof.entries for proof in proofs) >= line["evidence"]["entries"]


def test_no_process_and_no_port_is_left(invented: Ran) -> None:
    check_clean(invented)


def test_the_four_real_hospitals_reach_their_figures(heart: Ran) -> None:
    assert heart.code == 0, heart.err
    line = heart.line
    sites = {site["id"]: site for site in line["sites"]}
    assert set(sites) == HOSPITALS
    assert line["mean"]["accuracy"]["recalibrated"] >= 0.79
    # Zurich and Basel hold out one negative case: what it says of ranking is left out here.
    ranked = [sites[name]["auroc"]["recalibrated"] for name in sorted(HOSPITALS - {SWISS})]
    assert sum(ranked) / len(ranked) >= 0.80
    assert line["notes"] == ["space.pooled_public"]
    assert line["mean"]["accuracy"]["pooled"] is not None


def test_a_figure_that_is_not_defined_is_null_and_says_why(heart: Ran) -> None:
    for site in heart.line["sites"]:
        null = {
            f"{measure}.{method}"
            for measure in ("auroc", "accuracy", "brier", "slope")
            for method in METHODS
            if site[measure][method] is None and method not in NOT_TAKEN
        }
        assert set(site["undefined"]) == null
        assert site["undefined"]["slope.majority"] == "measures.no_spread"


def test_nothing_of_the_real_hospitals_is_left_running(heart: Ran) -> None:
    check_clean(heart)
