"""Each kind of target against independent computations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.special import softmax as scipy_softmax
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    mean_absolute_error,
    precision_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
)
from toy_recipe import CLASSES, make_judge, make_toy_cases, train_toy

from consilium.federation.contract import Cases, Prepared
from consilium.federation.evaluation import evaluate_site, kind_of
from consilium.federation.evaluation.binary import tell_apart
from consilium.gate.facts import CountRule, check_facts
from consilium.gate.orders import Target

KINDS = ("binary", "classes", "number", "survival", "mask")


def judged(kind: str, *, n: int = 90, **changes: Any) -> tuple[Any, Cases, np.ndarray]:
    """Judge a trained model; return the facts, the held-out cases and its raw predictions."""
    train, held_out = make_toy_cases(kind, n=120, seed=1), make_toy_cases(kind, n=n, seed=2)
    judge = make_judge(kind, arrays=train_toy(kind, make_toy_cases(kind, n=80, seed=3)), **changes)
    found = evaluate_site(judge, Prepared(train=train, held_out=held_out))
    return found, held_out, judge.federated(held_out)


def values(found: Any, row: str = "federated") -> dict[str, float]:
    return {name: figure["value"] for name, figure in found["rows"][row].items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_figures_in_every_row_with_intervals(kind: str) -> None:
    found, held_out, _ = judged(kind)
    metrics = kind_of(make_judge(kind).needs.target).metrics
    ways = ["federated", "recalibrated", "fine_tuned", "local", "majority"]
    if kind in ("survival", "mask"):
        ways.remove("recalibrated")
    assert list(found["rows"]) == ways
    for row in ways[:-1]:
        assert list(found["rows"][row]) == list(metrics)
        for figure in found["rows"][row].values():
            assert figure["low"] <= figure["value"] <= figure["high"]
    assert found["n_test"] == held_out.n
    assert list(found["choice"]["scores"]) == ways[:-1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_every_kind_tells_passes_the_gate_and_none_of_it_is_a_small_group(kind: str) -> None:
    found, _, _ = judged(kind)
    checked = check_facts(found, rule=CountRule(smallest=10, largest=1000))
    assert set(checked) == set(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_whose_predictions_are_not_finite_is_told_and_never_chosen(kind: str) -> None:
    broken = {"weight": make_judge(kind).plan.start["weight"] + np.nan}
    found: Any = evaluate_site(
        make_judge(kind, arrays=broken, tuning_rounds=0),
        Prepared(
            train=make_toy_cases(kind, n=60, seed=1), held_out=make_toy_cases(kind, n=40, seed=2)
        ),
    )
    reasons = {figure["reason"] for figure in found["rows"]["federated"].values()}
    assert reasons == {"federation.not_finite"}
    assert found["choice"]["chosen"] == "local"


def test_two_classes_as_scikit_learn_counts_them() -> None:
    found, held_out, raw = judged("binary")
    chances = 1 / (1 + np.exp(-raw))
    told = values(found)
    assert told["auroc"] == pytest.approx(roc_auc_score(held_out.y, raw))
    assert told["accuracy"] == pytest.approx(accuracy_score(held_out.y, chances > 0.5))
    assert told["brier"] == pytest.approx(brier_score_loss(held_out.y, chances))


def test_several_classes_as_scikit_learn_counts_them() -> None:
    found, held_out, raw = judged("classes")
    chances = scipy_softmax(raw, axis=1)
    told = values(found)
    assert told["accuracy"] == pytest.approx(accuracy_score(held_out.y, raw.argmax(axis=1)))
    assert told["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(held_out.y, raw.argmax(axis=1))
    )
    assert told["auroc_macro"] == pytest.approx(
        roc_auc_score(held_out.y, chances, multi_class="ovr", average="macro")
    )
    member = held_out.y[:, None] == np.arange(3)
    assert told["brier"] == pytest.approx(((chances - member) ** 2).sum(axis=1).mean() / 2)


def test_numbers_as_scikit_learn_counts_them() -> None:
    found, held_out, raw = judged("number")
    told = values(found)
    assert told["mae"] == pytest.approx(mean_absolute_error(held_out.y, raw))
    assert told["rmse"] == pytest.approx(root_mean_squared_error(held_out.y, raw))
    assert told["mean_error"] == pytest.approx(np.mean(raw - held_out.y))


def test_concordance_pair_by_pair() -> None:
    found, held_out, risk = judged("survival")
    time, event = held_out.tensors["time"], held_out.y
    won = pairs = 0.0
    for first in range(held_out.n):
        for later in range(held_out.n):
            if event[first] and time[first] < time[later]:
                pairs += 1
                won += (risk[first] > risk[later]) + 0.5 * (risk[first] == risk[later])
    assert values(found)["concordance"] == pytest.approx(won / pairs)


def test_masks_image_by_image() -> None:
    found, held_out, raw = judged("mask", n=30)
    truth, drawn = held_out.tensors["mask"].reshape(30, -1), (raw > 0).reshape(30, -1)
    told = values(found)
    kept = [(t, d) for t, d in zip(truth, drawn, strict=True) if t.any() or d.any()]
    assert told["dice"] == pytest.approx(np.mean([f1_score(t, d) for t, d in kept]))
    marked = [(t, d) for t, d in kept if t.any()]
    assert told["sensitivity"] == pytest.approx(np.mean([recall_score(t, d) for t, d in marked]))
    said = [(t, d) for t, d in kept if d.any()]
    assert told["precision"] == pytest.approx(np.mean([precision_score(t, d) for t, d in said]))


def test_what_one_would_say_without_a_model() -> None:
    train, held_out = make_toy_cases("number", n=50, seed=1), make_toy_cases("number", n=30, seed=2)
    guess = kind_of(Target(kind="number")).guess(train, held_out)
    assert guess == pytest.approx(np.full(30, train.y.mean()))
    classes = make_toy_cases("classes", n=50, seed=1)
    shares = kind_of(Target(kind="classes", classes=CLASSES)).guess(classes, held_out)
    assert shares.shape == (30, 3)
    assert shares[0] == pytest.approx([np.mean(classes.y == one) for one in range(3)])
    found, _, _ = judged("survival")
    assert values(found, "majority") == {"concordance": 0.5}
    found, _, _ = judged("mask")
    assert values(found, "majority") == {"dice": 0.0, "sensitivity": 0.0, "precision": None}


def test_the_loss_by_which_a_site_chooses_is_the_textbooks() -> None:
    for kind, expected in (
        ("binary", lambda y, raw: log_loss(y, 1 / (1 + np.exp(-raw)))),
        (
            "classes",
            lambda y, raw: -np.mean(log_softmax(raw, axis=1)[range(len(y)), y.astype(int)]),
        ),
        ("number", mean_absolute_error),
    ):
        cases = make_toy_cases(kind, n=70, seed=5)
        judge = make_judge(kind, arrays=train_toy(kind, cases))
        raw = judge.federated(cases)
        losses = judge.kind.losses(cases, judge.kind.read(raw))
        assert losses.each.mean() == pytest.approx(expected(cases.y, raw))
        assert set(losses.weight) == {1.0}


def test_the_loss_of_risks_and_masks_is_one_less_the_figure_that_leads() -> None:
    for kind in ("survival", "mask"):
        found, held_out, raw = judged(kind)
        kind_ = make_judge(kind).kind
        losses = kind_.losses(held_out, kind_.read(raw))
        mean = losses.each @ losses.weight / losses.weight.sum()
        assert mean == pytest.approx(1 - values(found)[kind_.metrics[0]])


def test_a_site_without_one_of_the_classes_says_so_and_still_has_its_accuracy() -> None:
    held_out = make_toy_cases("classes", n=60, seed=2)
    held_out = held_out.take(held_out.y != 1)
    judge = make_judge("classes", arrays=train_toy("classes", held_out))
    train = make_toy_cases("classes", n=60, seed=1)
    found: Any = evaluate_site(judge, Prepared(train=train, held_out=held_out))
    row = found["rows"]["federated"]
    assert row["auroc_macro"]["reason"] == "measures.class_absent"
    assert row["accuracy"]["value"] is not None
    hidden = {one["index"]: one.get("reason") for one in found["classes"]}
    assert hidden[1] == "measures.too_few"


def test_nobody_with_an_event_leaves_no_ranking_and_says_so() -> None:
    train, held_out = (make_toy_cases("survival", n=40, seed=seed) for seed in (1, 2))
    train.y[:] = held_out.y[:] = 0.0
    found: Any = evaluate_site(make_judge("survival"), Prepared(train=train, held_out=held_out))
    assert found["rows"]["federated"]["concordance"]["reason"] == "measures.no_pairs"
    assert found["choice"]["chosen"] == "federated"
    assert set(found["choice"]["scores"].values()) == {None}


def test_each_class_is_told_by_its_index_and_small_ones_hide() -> None:
    found, held_out, raw = judged("classes", min_cases=5)
    sizes = np.bincount(held_out.y.astype(int), minlength=3)
    for one in found["classes"]:
        if "n" not in one:
            assert set(one) == {"index", "reason"}
            continue
        assert one["n"] == sizes[one["index"]] >= 5
        member = held_out.y == one["index"]
        assert (
            one["sensitivity"]["value"]
            == pytest.approx(np.mean(raw.argmax(axis=1)[member] == one["index"]))
            or found["choice"]["chosen"] != "federated"
        )


def test_a_decision_curve_never_sets_a_few_patients_apart() -> None:
    generator = np.random.default_rng(0)
    for n in (12, 40, 200):
        chances = generator.random(n) ** 2
        kept = tell_apart(chances, minimum=10)
        counts = [n, *(int((chances >= at).sum()) for at in kept), 0]
        steps = [before - after for before, after in pairwise(counts)]
        assert all(step == 0 or step >= 10 for step in steps)
    assert len(tell_apart(chances, minimum=1)) == 19


def test_the_decision_curve_is_that_of_the_model_the_site_chose() -> None:
    found, held_out, raw = judged("binary", min_cases=1)
    assert len(found["decision"]) == 19
    share = held_out.y.mean()
    for point in found["decision"]:
        odds = point["threshold"] / (1 - point["threshold"])
        assert point["treat_all"] == pytest.approx(share - (1 - share) * odds)
        if found["choice"]["chosen"] == "federated":
            treated = 1 / (1 + np.exp(-raw)) >= point["threshold"]
            net = (treated * held_out.y).mean() - (treated * (1 - held_out.y)).mean() * odds
            assert point["value"] == pytest.approx(net)


def test_a_figure_that_only_a_few_images_have_is_kept_back() -> None:
    train, held_out = make_toy_cases("mask", n=40, seed=1), make_toy_cases("mask", n=40, seed=2)
    held_out.tensors["mask"][4:] = 0  # four images have something marked
    judge = make_judge("mask", arrays=train_toy("mask", train))
    row: Any = evaluate_site(judge, Prepared(train=train, held_out=held_out))["rows"]["federated"]  # type: ignore[call-overload,index]
    assert (row["sensitivity"]["value"], row["sensitivity"]["n"]) == (None, 40)
    assert row["sensitivity"]["reason"] == "measures.too_few"
    assert row["precision"]["value"] is not None
