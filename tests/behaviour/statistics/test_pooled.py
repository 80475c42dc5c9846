"""Federated figures against those of the pooled data: heart disease and glioma."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from statistics_rehearsal import (
    DRAWN_SCHEMA,
    GLIOMA,
    GLIOMA_SCHEMA,
    HEART,
    HEART_SCHEMA,
    Conference,
    drawn,
    errors_of,
    pooled,
    read_glioma,
    read_heart,
)

NUMBERS = ("age", "trestbps", "chol", "thalach", "oldpeak")


def heart(
    conference: Conference, data: Path, *, names: tuple[str, ...] = HEART, **kinds: Any
) -> Any:
    cohorts = [read_heart(data / "heart_disease", name) for name in names]
    for name, cohort in zip(names, cohorts, strict=True):
        conference.add(name, cohort, HEART_SCHEMA, **kinds)
    return pooled(cohorts)


def glioma(conference: Conference, data: Path, **kinds: Any) -> Any:
    cohorts = [read_glioma(data / "tcga_glioma", name) for name in GLIOMA.values()]
    for name, cohort in zip(GLIOMA, cohorts, strict=True):
        conference.add(name, cohort, GLIOMA_SCHEMA, **kinds)
    return pooled(cohorts)


def newton(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fit a logistic regression on pooled data, apart from the product's own code."""
    scale = x.std(axis=0)
    design = np.column_stack([np.ones(y.size), x / scale])
    beta = np.zeros(design.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-design @ beta))
        beta += np.linalg.lstsq(
            (design.T * (p * (1 - p))) @ design, design.T @ (y - p), rcond=None
        )[0]
    beta[1:] /= scale
    return beta


def values(answer: dict[str, Any]) -> np.ndarray:
    return np.array([one["value"] for one in answer["pooled"]["coefficients"]])


def test_mean_and_variance_on_heart_disease_are_those_of_the_pooled_data(
    conference: Conference, data: Path
) -> None:
    all_ = heart(conference, data)
    answer = conference.ask("mean", "age", "trestbps", "thalach")
    assert errors_of(answer) == []
    for name, found in answer["pooled"]["variables"].items():
        assert found["n"] == 740
        assert found["mean"] == pytest.approx(all_[name].mean(), rel=1e-9)
        assert found["variance"] == pytest.approx(all_[name].var(ddof=1), rel=1e-9)


def test_a_cohort_on_heart_disease_is_that_of_the_pooled_data(
    conference: Conference, data: Path
) -> None:
    all_ = heart(conference, data, names=("cleveland", "hungarian", "va"))
    answer = conference.ask("mean", "thalach", where=["age>=50", "sex=1"])
    assert errors_of(answer) == []
    wanted = all_["thalach"][(all_["age"] >= 50) & (all_["sex"] == 1)]
    found = answer["pooled"]["variables"]["thalach"]
    assert (found["n"], found["mean"]) == (wanted.size, pytest.approx(wanted.mean(), rel=1e-9))
    assert answer["cohort"] == ["age>=50", "sex=1"]


def test_quantiles_lie_within_the_stated_bin(conference: Conference, data: Path) -> None:
    all_ = heart(conference, data)
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    for name in ("age", "thalach"):
        answer = conference.ask("quantile", name, shares=shares)
        for found in answer["pooled"]["quantiles"]:
            truths = [
                np.quantile(all_[name], found["share"], method=method)
                for method in ("linear", "lower", "higher", "median_unbiased")
            ]
            low = -np.inf if found["from"] is None else found["from"]
            high = np.inf if found["to"] is None else found["to"]
            assert all(low <= truth <= high for truth in truths[:3])
            assert not 0.2 < found["share"] < 0.8 or high - low < 20


def test_histograms_and_cross_tables_add_up_to_the_pooled_ones(
    conference: Conference, data: Path
) -> None:
    all_ = heart(conference, data, names=("cleveland", "hungarian", "va"))
    found = conference.ask("histogram", "age", edges={"age": [45.0, 50.0, 55.0, 60.0]})["pooled"]
    edges = [-np.inf, *found["groups"][0]["edges"], np.inf]
    assert found["counts"] == np.histogram(all_["age"], edges)[0].tolist()
    assert len(found["counts"]) >= 3
    found = conference.ask("crosstab", "sex", "num")["pooled"]
    assert sum(map(sum, found["counts"])) == all_["y"].size


def test_correlation_and_linear_regression_are_those_of_the_pooled_data(
    conference: Conference, data: Path
) -> None:
    all_ = heart(conference, data, names=("cleveland", "hungarian", "va"))
    found = conference.ask("correlation", "age", "thalach", "trestbps")["pooled"]
    wanted = np.corrcoef([all_[name] for name in ("age", "thalach", "trestbps")])
    assert np.array(found["correlation"]) == pytest.approx(wanted, rel=1e-9)
    answer = conference.ask("linear", "thalach", "age", "trestbps")
    assert errors_of(answer) == []
    x = np.column_stack([np.ones(all_["y"].size), all_["age"], all_["trestbps"]])
    beta, *_ = np.linalg.lstsq(x, all_["thalach"], rcond=None)
    assert values(answer) == pytest.approx(beta, rel=1e-6)


def test_logistic_regression_on_all_four_hospitals_is_that_of_the_pooled_data(
    conference: Conference, data: Path
) -> None:
    all_ = heart(conference, data, public=True)
    names = ["age", "sex", "trestbps", "chol", "thalach", "oldpeak"]
    answer = conference.ask("logistic", "num", *names)
    assert errors_of(answer) == []
    wanted = newton(np.column_stack([all_[name] for name in names]), all_["y"])
    assert values(answer) == pytest.approx(wanted, rel=1e-6)


def test_logistic_regression_behind_the_gate_is_that_of_the_pooled_data(
    conference: Conference, data: Path
) -> None:
    all_ = glioma(conference, data)
    answer = conference.ask("logistic", "grade", "age", "sex")
    assert errors_of(answer) == []
    x = np.column_stack([all_["age"], all_["sex"]])
    assert values(answer) == pytest.approx(newton(x, all_["y"]), rel=1e-6)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(x, all_["y"])
    assert values(answer)[1:] == pytest.approx(model.coef_[0], rel=1e-4)


def test_survival_is_kaplan_and_meiers_estimate_on_the_grid(conference: Conference) -> None:
    cohorts = [drawn(seed, rows=400) for seed in (1, 2)]
    for name, cohort in zip(("south", "west"), cohorts, strict=True):
        conference.add(name, cohort, DRAWN_SCHEMA)
    all_ = pooled(cohorts)
    answer = conference.ask("survival", "months", "ill", bins=12)
    assert errors_of(answer) == []
    alive, at_risk = 1.0, all_["y"].size
    for step in answer["pooled"]["intervals"]:
        low = -np.inf if step["from"] is None else step["from"]
        high = np.inf if step["to"] is None else step["to"]
        inside = (all_["months"] >= low) & (all_["months"] < high)
        assert (step["at_risk"], step["events"]) == (at_risk, int(all_["y"][inside].sum()))
        alive *= 1 - step["events"] / at_risk
        at_risk -= int(inside.sum())
        assert step["survival"] == pytest.approx(alive, rel=1e-12)
    assert len(answer["pooled"]["intervals"]) >= 4


def test_mean_and_variance_on_the_glioma_table_are_those_of_the_pooled_data(
    conference: Conference, data: Path
) -> None:
    all_ = glioma(conference, data)
    found = conference.ask("mean", "age")["pooled"]["variables"]["age"]
    assert found["mean"] == pytest.approx(all_["age"].mean(), rel=1e-9)
    assert found["variance"] == pytest.approx(all_["age"].var(ddof=1), rel=1e-9)
