"""An examination goes on past a fault, and tells which hop came first."""

from __future__ import annotations

from consilium.kernel.errors import NotFoundError
from consilium.kernel.findings import (
    Check,
    Finding,
    State,
    examine,
    first_failure,
    report,
    report_warning,
)


def good(hop: str) -> Finding:
    return report(hop, "doctor.no_proxy")


def breaks() -> Finding:
    raise NotFoundError("doctor.no_home", home="/nowhere")


def test_what_stands_on_a_fault_is_skipped_and_the_rest_is_not() -> None:
    found = list(
        examine(
            [
                Check(hop="a", run=lambda: good("a")),
                Check(hop="b", run=breaks, needs=("a",)),
                Check(hop="c", run=lambda: good("c"), needs=("b",)),
                Check(hop="d", run=lambda: good("d"), needs=("c",)),
                Check(hop="e", run=lambda: good("e"), needs=("a",)),
            ]
        )
    )
    states = [one.state for one in found]
    assert states == [State.OK, State.FAILED, State.SKIPPED, State.SKIPPED, State.OK]
    failure = first_failure(found)
    assert failure is not None
    assert (failure.hop, failure.code, failure.facts) == (
        "b",
        "doctor.no_home",
        {"home": "/nowhere"},
    )
    assert found[2].facts == {"first": "b"}


def test_a_warning_stops_nothing() -> None:
    checks = [
        Check(hop="a", run=lambda: report_warning("a", "doctor.no_proxy")),
        Check(hop="b", run=lambda: good("b"), needs=("a",)),
    ]
    found = list(examine(checks))
    assert [one.state for one in found] == [State.WARNING, State.OK]
    assert first_failure(found) is None


def test_a_finding_speaks_both_languages_and_becomes_a_record() -> None:
    one = report("clock", "doctor.clock", offset_s=0.4, hub="https://hub")
    assert "0.4 s" in one.text("en")
    assert "0.4 秒" in one.text("zh")
    assert one.as_record() == {
        "hop": "clock",
        "state": "ok",
        "code": "doctor.clock",
        "facts": {"offset_s": 0.4, "hub": "https://hub"},
        "en": one.en,
        "zh": one.zh,
    }
