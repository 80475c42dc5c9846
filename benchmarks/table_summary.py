"""From what every method said to tables: means, worst, per site, intervals, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import table_ways as ways
from benchmarks.table_data import glioma, parkinson
from benchmarks.table_methods import (
    Figure,
    Found,
    Spread,
    accuracy_of,
    auroc_of,
    mae_of,
    rmse_of,
)

TWO_CLASSES = ("cleveland", "hungary", "va")
"""The Swiss held-out part has one negative: its AUROC says nothing."""
SINGLE = ("federated", "recalibrated", "fine_tuned", "personalised", "local")
BASELINES = ("majority", "pooled")
Records = Mapping[str, Mapping[str, Any]]


def summarise(table: str, records: Records, *, seeds: Sequence[int]) -> dict[str, Any]:
    """Return a table as rows for JSON, and as lines for people."""
    if table == "heart":
        return _heart(records, seeds)
    if table == "small":
        return _small(records, seeds)
    return _glioma(records, seeds) if table == "glioma" else _parkinson(records, seeds)


def _row(found: Found, figure: Figure, row: str, sites: Sequence[str]) -> dict[str, Any]:
    by_site = found.by_site(figure, row, sites=sites)
    return {**found.mean(figure, row, sites=sites).as_record(), "by_site": by_site}


def _heart(records: Records, seeds: Sequence[int]) -> dict[str, Any]:
    sites = ways.heart_tables().sites
    truth = {site: held_out for site, (_, held_out) in sites.items()}
    rows: dict[str, Any] = {}
    lines = []
    for way in ways.HEART:
        said = [records[f"heart/{way}/{seed}"]["said"] for seed in seeds]
        found = Found(truth=truth, said=said)
        for row in (*SINGLE, "chosen", *BASELINES):
            rows[f"{way} {row}"] = {
                "accuracy": _row(found, accuracy_of, row, list(sites)),
                "auroc": _row(found, auroc_of, row, TWO_CLASSES),
            }
            lines.append(f"{way:<8}{row:<13}{_two(rows[f'{way} {row}'])}")
        best = max(SINGLE, key=lambda name: rows[f"{way} {name}"]["auroc"]["value"])
        off = found.mean(auroc_of, "chosen", sites=TWO_CLASSES, minus=best)
        rows[f"{way} chosen - {best}"] = {"auroc": off.as_record()}
        lines.append(f"{way:<8}chosen less the best single method ({best}): AUROC {_spread(off)}")
        lines += [f"{way:<8}chosen {records[f'heart/{way}/{s}']['chosen']}" for s in seeds]
    return {"rows": rows, "lines": lines}


def _two(row: Mapping[str, Any]) -> str:
    parts = []
    for name in ("accuracy", "auroc"):
        one = row[name]
        each = " ".join(f"{value:.3f}" for value in one["by_site"].values())
        parts.append(
            f"{name} {one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}] sd {one['sd']:.3f}"
            f" by site {each}"
        )
    return " | ".join(parts)


def _spread(one: Spread) -> str:
    return f"{one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"


def _small(records: Records, seeds: Sequence[int]) -> dict[str, Any]:
    site = ways.SMALL
    truth = {site: ways.heart_tables().sites[site][1]}
    rows: dict[str, Any] = {}
    lines = []
    for size in ways.SIZES:
        said = [records[f"small/{size}/{seed}"]["said"] for seed in seeds]
        found = Found(truth=truth, said=said)
        for row in (*SINGLE, "chosen", "majority"):
            rows[f"n={size} {row}"] = {
                "accuracy": found.mean(accuracy_of, row, sites=[site]).as_record(),
                "auroc": found.mean(auroc_of, row, sites=[site]).as_record(),
            }
        cells = [
            f"{row} {rows[f'n={size} {row}']['auroc']['value']:.3f}"
            f"/{rows[f'n={size} {row}']['accuracy']['value']:.3f}"
            for row in (*SINGLE, "chosen", "majority")
        ]
        lines.append(f"n={size:<4} AUROC/accuracy " + "  ".join(cells))
    return {"rows": rows, "lines": lines}


def _glioma(records: Records, seeds: Sequence[int]) -> dict[str, Any]:
    sites = ways.LEFT_OUT
    tables = glioma()
    truth = {site: tables.sites[site][0] for site in sites}
    said = []
    for seed in seeds:
        one = ways.merge(
            [records[f"glioma/{s}/{part}"]["said"] for s in sites for part in (seed, "trees")]
        )
        said.append(one)
    found = Found(truth=truth, said=said)
    rows: dict[str, Any] = {}
    for row in ("federated", "pooled", "trees", "majority"):
        rows[row] = {
            "auroc": _row(found, auroc_of, row, sites),
            "accuracy": _row(found, accuracy_of, row, sites),
        }
    elsewhere = _local_elsewhere(found)
    rows["local-only of one other hospital, mean"] = {"auroc": elsewhere}
    off = found.mean(auroc_of, "federated", sites=sites, minus="pooled")
    rows["federated - pooled"] = {"auroc": off.as_record()}
    lines = [f"{name:<12}{_two(row)}" for name, row in rows.items() if len(row) == 2]
    lines += [
        f"local-only of one other hospital, mean: AUROC {elsewhere['value']:.3f}",
        f"federated less pooled: AUROC {_spread(off)}",
    ]
    return {"rows": rows, "lines": lines}


def _local_elsewhere(found: Found) -> dict[str, Any]:
    """Average, over each left-out hospital, the others' own models tried there."""
    by_site = {}
    for site in found.truth:
        others = [f"local of {one}" for one in found.truth if one != site]
        each = [found.by_site(auroc_of, row, sites=[site])[site] for row in others]
        by_site[site] = {"mean": round(float(np.mean(each)), 4), "best": max(each)}
    means = [one["mean"] for one in by_site.values()]
    return {"value": round(float(np.mean(means)), 4), "by_site": by_site}


def _parkinson(records: Records, seeds: Sequence[int]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    lines = []
    for score in ("motor_UPDRS", "total_UPDRS"):
        sites = parkinson(score).sites
        truth = {site: held_out for site, (_, held_out) in sites.items()}
        said = [records[f"parkinson/{score}/{seed}"]["said"] for seed in seeds]
        errors = _home_errors(truth, said)
        for row in errors["mae"]:
            rows[f"{score} {row}"] = {
                figure: _over_homes(errors[figure][row]).as_record() for figure in errors
            }
            mae, rmse = (rows[f"{score} {row}"][figure] for figure in ("mae", "rmse"))
            lines.append(
                f"{score} {row:<29} MAE {mae['value']:.3f} [{mae['low']:.3f}, {mae['high']:.3f}]"
                f"  RMSE {rmse['value']:.3f}"
            )
        for other in ("local", "local ridge", "federated"):
            off = _over_homes(errors["mae"]["personalised"] - errors["mae"][other])
            rows[f"{score} personalised - {other}"] = {"mae": off.as_record()}
            lines.append(f"{score} personalised less {other}: MAE {_spread(off)}")
        lines.append(f"{score} by time inside the training part: {_pulls(records, score)}")
    return {"rows": rows, "lines": lines}


def _home_errors(truth: Mapping[str, Any], said: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Return each home's error, averaged over seeds, by figure and method."""
    names = list(said[0][next(iter(truth))])
    names = [name for name in names if all(name in one[site] for one in said for site in truth)]
    return {
        label: {
            row: np.array(
                [
                    np.mean([figure(cases.y, np.asarray(one[site][row])) for one in said])
                    for site, cases in truth.items()
                ]
            )
            for row in names
        }
        for label, figure in (("mae", mae_of), ("rmse", rmse_of))
    }


def _over_homes(each: Any, *, resamples: int = 10_000) -> Spread:
    """Average over homes, with a bootstrap over subjects: a home is a subject."""
    generator = np.random.default_rng(7)
    draws = each[generator.integers(len(each), size=(resamples, len(each)))].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Spread(value=float(each.mean()), low=float(low), high=float(high))


def _pulls(records: Records, score: str) -> str:
    errors = records[f"parkinson/{score}/pulls"]["errors"]
    return "; ".join(
        f"{kind} " + " ".join(f"{pull}:{value:.3f}" for pull, value in errors[kind].items())
        for kind in errors
    )
