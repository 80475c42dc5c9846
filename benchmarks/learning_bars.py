"""The bars of the area `learning`: real hospitals' data, personal models, privacy, cost.

Long tables are made by their own benchmarks, which go on where they were broken
off and keep their results in `docs/proof/*.json`; the bars run them and read
what they found.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.bars import Bar, Measured
from benchmarks.commands import ROOT, FailedError, python, run
from benchmarks.engine_measures import once, suite
from benchmarks.learning import MOST_OVER_BARE

RESULTS = ROOT / "docs" / "proof"
LONGEST_S = 6 * 3600.0
SEEDS = {42, 43, 44, 45, 46}
CHOICE, TO_POOLED, GLIOMA = 0.02, 0.01, 0.91
BRAIN, BRAIN_TO_POOLED, PERSONAL_GAIN = 0.92, 0.02, 0.03
JOINING = ("own images alone", "own head", "federated head", "fine-tuned", "shared")
RETINA_ACCURACY, RETINA_AUC, RETINA_TO_POOLED = 0.524, 0.717, 0.02
FEDBN_GAIN, POISON_COST = 0.03, 0.03
COMPARED = {
    "brain": ((0.5, "recipe"), (0.5, "pooled"), (0.1, "fedavg"), (0.1, "personalised")),
    "retina": ((0.5, "pooled"), (0.5, "recipe")),
}
"""Rows of images, α and method, that a bar compares; without one there is nothing to judge."""

Judge = Callable[[Any], Measured]


def bars() -> Sequence[Bar]:
    """List the bars in the order of the table that asks for them."""
    return (
        _bar("1", "heart disease: each site's choice", f"≤ {CHOICE} AUROC below the best", "tables",
             _choice),
        _bar("2", "glioma: a hospital left out", f"AUROC ≥ {GLIOMA}, within {TO_POOLED} of pooled",
             "tables", _glioma),
        _bar("3", "brain MRI: federated, personalised", f"≥ {BRAIN} and within {BRAIN_TO_POOLED} "
             f"of pooled; personal ≥ FedAvg + {PERSONAL_GAIN}", "images", judge_brain),
        _bar("4", "fundus grades: pooled, federated", f"pooled ≥ {RETINA_ACCURACY} and AUC "
             f"{RETINA_AUC}; federated within {RETINA_TO_POOLED}", "images", _retina),
        _bar("item 4", "a small hospital joins: 10 images, then all", "measured, five seeds",
             "small_hospitals", _small_hospitals),
        _bar("5", "vessels: Dice on children held out", "≥ 0.74", "vessels", _vessels),
        _bar("6", "Parkinson at home: personalised", "below global and local", "tables",
             _parkinson),
        _bar("7", "digits: FedBN less FedAvg, α = .1", f"≥ {FEDBN_GAIN}", "digits", _digits),
        _bar("8", "glioma, modalities missing", "fused ≥ best single at every kind", "modalities",
             _modalities),
        _bar("9", "noise at ε = 8 on heart disease", "costs ≤ 2 points of accuracy", "privacy",
             _privacy),
        _suite("9", "a second accountant; attacks and their controls",
               "tests/unit/gate/test_accounting.py", "tests/unit/federation/audits"),
        _suite("10", "secure sums: equal, losses, the hub's view, small sums refused",
               "tests/unit/federation/secure", "tests/unit/federation/test_summing.py",
               "tests/behaviour/federation/test_secure_study.py",
               "tests/scenario/flare/test_secure_sums.py", "tests/scenario/secure"),
        _bar("11", "one poisoned site of five", "≤ 3 points lost", "poisoning", _poisoning),
        _cost("12", "a study against the bare loop", f"≤ {MOST_OVER_BARE} after its start", "work",
              _work),
        _cost("12", "2 to 1,000 hospitals in one process", "measured", "sites", _sites),
        _cost("12", "models of 0.1 to 400 MB", "measured", "sizes", _sizes),
    )  # fmt: skip


def _suite(row: str, name: str, *paths: str) -> Bar:
    command = f"pytest {' '.join(paths)}"
    return Bar(
        row=row, name=name, wanted="all pass", command=command, measure=suite(*paths), long=True
    )


def _bar(row: str, name: str, wanted: str, word: str, judge: Judge) -> Bar:
    def measure(quick: bool) -> Measured:
        del quick
        return judge(_result(word))

    command = f"python -m benchmarks.{word}"
    return Bar(row=row, name=name, wanted=wanted, command=command, measure=measure, long=True)


def _cost(row: str, name: str, wanted: str, part: str, judge: Judge) -> Bar:
    def measure(quick: bool) -> Measured:
        more = ("--quick",) if quick else ()
        command = python("-m", "benchmarks.learning", "--part", part, "--json", *more)
        return judge(run(command, timeout_s=LONGEST_S).last_json()[part])

    command = f"python -m benchmarks.learning --part {part}"
    return Bar(row=row, name=name, wanted=wanted, command=command, measure=measure)


@once
def _result(word: str) -> Any:
    """Let a benchmark make what is missing; return what it keeps."""
    run(python("-m", f"benchmarks.{word}"), timeout_s=LONGEST_S, strict=False)
    file = RESULTS / f"{word.replace('_', '-')}.json"
    if not file.exists():
        raise FailedError(f"{file.name} was not written")
    return json.loads(file.read_text(encoding="utf-8"))


def _choice(found: Any) -> Measured:
    rows = found["heart"]["rows"]
    names = [name for name in rows if " chosen - " in name]
    lost = {name: rows[name]["auroc"]["value"] for name in names}
    words = "; ".join(f"{name}: {value:+.4f}" for name, value in lost.items())
    return Measured(
        figure=words,
        met=bool(lost) and min(lost.values()) >= -CHOICE,
        details="\n".join(found["heart"]["lines"]),
    )


def _glioma(found: Any) -> Measured:
    rows = found["glioma"]["rows"]
    auroc, gap = rows["federated"]["auroc"], rows["federated - pooled"]["auroc"]
    return Measured(
        figure=f"{_with_interval(auroc)}; less pooled {_with_interval(gap, signed=True)}",
        met=auroc["value"] >= GLIOMA and gap["value"] >= -TO_POOLED,
        details="\n".join(found["glioma"]["lines"]),
    )


def _parkinson(found: Any) -> Measured:
    rows = found["parkinson"]["rows"]
    gaps = {
        f"{target} less {other}": rows[f"{target}_UPDRS personalised - {other}"]["mae"]
        for target in ("motor", "total")
        for other in ("federated", "local")
    }
    words = "; ".join(f"{name} {_with_interval(gap, signed=True)}" for name, gap in gaps.items())
    return Measured(
        figure=words,
        met=all(gap["high"] < 0 for gap in gaps.values()),
        details="\n".join(found["parkinson"]["lines"]),
    )


def judge_brain(found: Any) -> Measured:
    """Compare the shared model with the pooled one, and own models with plain averaging."""
    federated = _mean(found, "brain", 0.5, "recipe")
    pooled = _mean(found, "brain", 0.5, "pooled")
    own = {name: _own(found, "brain", 0.1, name) for name in ("fedavg", "personalised")}
    gain = own["personalised"] - own["fedavg"]
    return Measured(
        figure=f"federated {federated:.3f}, pooled {pooled:.3f}, personal gain {gain:+.3f}"
        f"{_missing(found, 'brain')}",
        met=not _missing(found, "brain")
        and federated >= max(BRAIN, pooled - BRAIN_TO_POOLED)
        and gain >= PERSONAL_GAIN,
    )


def _retina(found: Any) -> Measured:
    pooled = _mean(found, "retina", 0.5, "pooled")
    area = _mean(found, "retina", 0.5, "pooled", figure="auc")
    federated = _mean(found, "retina", 0.5, "recipe")
    return Measured(
        figure=f"pooled {pooled:.3f} (AUC {area:.3f}), federated {federated:.3f}"
        f"{_missing(found, 'retina')}",
        met=not _missing(found, "retina")
        and pooled >= RETINA_ACCURACY
        and area >= RETINA_AUC
        and federated >= pooled - RETINA_TO_POOLED,
    )


def _small_hospitals(found: Any) -> Measured:
    rows, seeds = found["rows"], set(found["seeds"])
    words = "; ".join(
        f"{name} {rows[f'n=10 {name}']['own']['value']:.3f}, "
        f"{rows[f'n=all {name}']['own']['value']:.3f}"
        for name in JOINING
    )
    left = ", ".join(map(str, sorted(SEEDS - seeds)))
    return Measured(
        figure=words + (f" (seeds {left} not measured)" if left else ""),
        met=seeds == SEEDS,
        details="\n".join(found["lines"]),
    )


def _vessels(found: Any) -> Measured:
    rows = found["rows"]
    lines = [f"{name:<44} {_with_interval(row)}" for name, row in rows.items() if "value" in row]
    best = rows["federated"]["value"]
    return Measured(figure=f"{best:.3f}", met=bool(found["met"]), details="\n".join(lines))


def _digits(found: Any) -> Measured:
    means = {(row["alpha"], row["method"]): 100 * _flat_mean(row["accuracy"]) for row in found}
    gain = (means[0.1, "FedBN"] - means[0.1, "FedAvg"]) / 100
    methods = list(dict.fromkeys(row["method"] for row in found))
    lines = [f"{name:<16} {means[0.1, name]:5.1f} {means[1.0, name]:5.1f}" for name in methods]
    return Measured(
        figure=f"{gain:+.3f}", met=gain >= FEDBN_GAIN, details="\n".join(["α = .1, 1", *lines])
    )


def _modalities(found: Any) -> Measured:
    lines, least = [], math.inf
    for kind, told in found["kinds"].items():
        single = [told["rows"][name]["value"] for name in ("clinical", "genomic")
                  if name in told["rows"]]  # fmt: skip
        gap = told["rows"]["fused"]["value"] - max(single)
        least = min(least, gap)
        lines.append(f"{kind:<10} fused less best single {gap:+.4f}")
    return Measured(figure=f"least {least:+.4f}", met=bool(found["met"]), details="\n".join(lines))


def _privacy(found: Any) -> Measured:
    summary = found["summary"]
    return Measured(
        figure=json.dumps(summary["cost"]), met=bool(summary["met"]), details=found["command"]
    )


def _poisoning(found: Any) -> Measured:
    means = {row["method"]: _flat_mean(row["accuracy"]) for row in found}
    base = means["fedavg | nobody"]
    lost: dict[str, float] = {}
    for name, mean in means.items():
        rule, _, attack = name.partition(" | ")
        if attack != "nobody":
            lost[rule] = max(lost.get(rule, -1.0), base - mean)
    best = min(lost, key=lambda rule: lost[rule])
    lines = [
        f"{rule:<18} worst loss {100 * lost[rule]:5.1f}, without attack "
        f"{100 * (base - means[f'{rule} | nobody']):5.1f} points"
        for rule in lost
    ]
    return Measured(
        figure=f"{best}: {100 * lost[best]:.1f} points",
        met=lost[best] <= POISON_COST,
        details="\n".join(lines),
    )


def _work(rows: Any) -> Measured:
    (row,) = rows
    lines = [f"{key:<20} {value}" for key, value in row.items()]
    return Measured(
        figure=f"{row['over_bare']:.2f} of the bare loop after a start of "
        f"{row['ours_start_s']:.1f} s; rounds {row['rounds_over_plain']:.2f} of plain FLARE's",
        met=row["over_bare"] <= MOST_OVER_BARE,
        details="\n".join(lines),
    )


def _sites(rows: Any) -> Measured:
    most = max(row["size"] for row in rows)
    last = [row for row in rows if row["size"] == most]
    words = "; ".join(f"{row['what']} {row['site_round_ms']:.1f} ms a site" for row in last)
    return Measured(figure=f"{most:.0f} hospitals: {words}", met=most >= 1000, details=_lines(rows))


def _sizes(rows: Any) -> Measured:
    last = rows[-1]
    return Measured(
        figure=f"{last['size']:g} MB: {last['round_s']:.1f} s a round",
        met=True,
        details=_lines(rows),
    )


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(
        f"{row['what']:<14} {row['size']:>7g}  round {row['round_s']:8.3f} s, "
        f"{row['site_round_ms']:8.1f} ms a site, grown {row['grown_mb']:7.0f} MB"
        for row in rows
    )


def _with_interval(row: Mapping[str, Any], *, signed: bool = False) -> str:
    form = "+.3f" if signed else ".3f"
    value = format(row["value"], form)
    if row.get("low") is None or row.get("high") is None:
        return value
    return f"{value} [{format(row['low'], form)}, {format(row['high'], form)}]"


def _cells(found: Any, data: str, alpha: float, method: str) -> list[Any]:
    """Take one cell for each seed, all of the settings that were measured last."""
    told = [cell for cell in found if cell["data"] == data]
    latest = {
        cell["seed"]: cell
        for cell in told
        if (cell["alpha"], cell["method"]) == (alpha, method)
        and (cell["settings"], cell["rounds"]) == (told[-1]["settings"], told[-1]["rounds"])
    }
    return [latest[seed] for seed in sorted(latest)]


def _mean(found: Any, data: str, alpha: float, method: str, *, figure: str = "accuracy") -> float:
    values = [cell["test"][figure] for cell in _cells(found, data, alpha, method)]
    return sum(values) / len(values) if values else math.nan


def _own(found: Any, data: str, alpha: float, method: str) -> float:
    values = [cell["own"]["mean"] for cell in _cells(found, data, alpha, method)]
    return sum(values) / len(values) if values else math.nan


def _missing(found: Any, data: str) -> str:
    """Say which seeds lack a row that the bar compares."""
    rows = [{cell["seed"] for cell in _cells(found, data, *row)} for row in COMPARED[data]]
    left = sorted(SEEDS - set.intersection(*rows))
    return f" (seeds {', '.join(map(str, left))} not measured)" if left else ""


def _flat_mean(seeds: Sequence[Sequence[float]]) -> float:
    """Mean over seeds of the mean over sites."""
    means = [sum(sites) / len(sites) for sites in seeds]
    return sum(means) / len(means)
