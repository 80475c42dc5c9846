"""Federated figures against those of the pooled data: heart disease and glioma."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataspace_rehearsal import Space
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

pytestmark = pytest.mark.slow

THREE = ("cleveland", "hungarian", "va")
"""Those with more than fifty patients."""


@pytest.fixture(scope="module")
def hearts(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conference]:
    """The four hospitals of the heart disease data; what they answer, they remember."""
    folder = tmp_path_factory.mktemp("hearts")
    space = Space(folder)
    conference = Conference(space, folder, space.add("north"))
    for name in HEART:
        conference.add(name, read_heart(data / "heart_disease", name), HEART_SCHEMA)
    yield conference
    space.close()


def of(data: Path, *names: str) -> dict[str, np.ndarray]:
    """Read the pooled data of some hospitals."""
    return pooled([read_heart(data / "heart_disease", name) for name in names])


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
    hearts: Conference, data: Path
) -> None:
    all_ = of(data, *HEART)
    answer = hearts.ask("mean", "age", "trestbps", "thalach")
    assert errors_of(answer) == []
    for name, found in answer["pooled"]["variables"].items():
        assert found["n"] == 740
        assert found["mean"] == pytest.approx(all_[name].mean(), rel=1e-9)
        assert found["variance"] == pytest.approx(all_[name].var(ddof=1), rel=1e-9)


def test_a_cohort_on_heart_disease_is_that_of_the_pooled_data(
    hearts: Conference, data: Path
) -> None:
    all_ = of(data, *THREE)
    three = [hearts.agreement(name) for name in THREE]
    answer = hearts.ask("mean", "thalach", where=["age>=50", "sex=1"], agreements=three)
    assert errors_of(answer) == []
    wanted = all_["thalach"][(all_["age"] >= 50) & (all_["sex"] == 1)]
    found = answer["pooled"]["variables"]["thalach"]
    assert (found["n"], found["mean"]) == (wanted.size, pytest.approx(wanted.mean(), rel=1e-9))
    assert answer["cohort"] == ["age>=50", "sex=1"]


def test_correlation_and_linear_regression_are_those_of_the_pooled_data(
    hearts: Conference, data: Path
) -> None:
    all_ = of(data, *THREE)
    three = [hearts.agreement(name) for name in THREE]
    names = ("thalach", "age", "trestbps")
    found = hearts.ask("correlation", *names, agreements=three)["pooled"]
    wanted = np.corrcoef([all_[name] for name in names])
    assert np.array(found["correlation"]) == pytest.approx(wanted, rel=1e-9)
    answer = hearts.ask("linear", *names, agreements=three)
    assert errors_of(answer) == []
    x = np.column_stack([np.ones(all_["y"].size), all_["age"], all_["trestbps"]])
    beta, *_ = np.linalg.lstsq(x, all_["thalach"], rcond=None)
    assert values(answer) == pytest.approx(beta, rel=1e-6)


def test_quantiles_lie_within_the_stated_bin(hearts: Conference, data: Path) -> None:
    all_ = of(data, *HEART)
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    for name in ("thalach", "trestbps"):
        answer = hearts.ask("quantile", name, shares=shares)
        assert errors_of(answer) == []
        for found in answer["pooled"]["quantiles"]:
            truths = [
                np.quantile(all_[name], found["share"], method=method)
                for method in ("linear", "lower", "higher")
            ]
            low = -np.inf if found["from"] is None else found["from"]
            high = np.inf if found["to"] is None else found["to"]
            assert all(low <= truth <= high for truth in truths)
            assert not 0.2 < found["share"] < 0.8 or high - low < 20


def test_histograms_and_cross_tables_add_up_to_the_pooled_ones(
    hearts: Conference, data: Path
) -> None:
    all_ = of(data, *THREE)
    three = [hearts.agreement(name) for name in THREE]
    grid = {"oldpeak": [0.5, 1.0, 1.5, 2.0]}
    found = hearts.ask("histogram", "oldpeak", edges=grid, agreements=three)["pooled"]
    edges = [-np.inf, *found["groups"][0]["edges"], np.inf]
    assert found["counts"] == np.histogram(all_["oldpeak"], edges)[0].tolist()
    assert len(found["counts"]) >= 3
    found = hearts.ask("crosstab", "cp", "num", agreements=three)["pooled"]
    assert sum(map(sum, found["counts"])) == all_["y"].size


def test_logistic_regression_on_all_four_hospitals_is_that_of_the_pooled_data(
    conference: Conference, data: Path
) -> None:
    all_ = of(data, *HEART)
    for name in HEART:
        cohort = read_heart(data / "heart_disease", name)
        conference.add(name, cohort, HEART_SCHEMA, public=True)
    names = ["age", "sex", "trestbps", "chol", "thalach", "oldpeak"]
    answer = conference.ask("logistic", "num", *names)
    assert errors_of(answer) == []
    wanted = newton(np.column_stack([all_[name] for name in names]), all_["y"])
    assert values(answer) == pytest.approx(wanted, rel=1e-6)


def test_means_and_logistic_regression_on_the_glioma_table_are_those_of_the_pooled_data(
    conference: Conference, data: Path
) -> None:
    all_ = glioma(conference, data)
    found = conference.ask("mean", "age")["pooled"]["variables"]["age"]
    assert found["mean"] == pytest.approx(all_["age"].mean(), rel=1e-9)
    assert found["variance"] == pytest.approx(all_["age"].var(ddof=1), rel=1e-9)
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
