"""Verdicts in words and rows, for card and terminal alike, English and Chinese side by side."""

from __future__ import annotations

from collections.abc import Sequence

from consilium.models.verdicts import (
    CONTROL_FAILED,
    INCONCLUSIVE,
    LEAKS,
    PASSED,
    TOO_FEW,
    Attack,
    Verdict,
)

OUTCOMES = {
    LEAKS: "leaks 泄露",
    PASSED: "passed 通过",
    INCONCLUSIVE: "inconclusive 无法判定",
}
REASONS = {
    CONTROL_FAILED: "the positive control failed 阳性对照失败",
    TOO_FEW: "too few patients to exclude a leak 患者太少，不能排除泄露",
}
HEAD = (
    "hospital 医院",
    "outcome 结论",
    "attack 攻击",
    "area (95 %) 曲线下面积",
    "found at false rate 误报率下的检出率",
    "control 对照",
    "patients in / out 训练内/外患者",
    "time 时间",
)

Rows = list[tuple[str, ...]]


def tabulate_verdicts(verdicts: Sequence[Verdict]) -> tuple[tuple[str, ...], Rows]:
    """Return a table's head and rows, one for each attack."""
    return HEAD, [_row(one, attack) for one in verdicts for attack in one.attacks]


def say_outcome(verdict: Verdict) -> str:
    """Say the outcome with its reason."""
    word = OUTCOMES[verdict.outcome]
    return f"{word}: {REASONS[verdict.reason]}" if verdict.reason else word


def _row(verdict: Verdict, attack: Attack) -> tuple[str, ...]:
    return (
        verdict.participant,
        say_outcome(verdict),
        attack.name,
        f"{attack.auc:.3f} ({attack.auc_low:.3f} to {attack.auc_high:.3f})",
        _found(attack),
        f"{attack.control:.3f}",
        f"{verdict.members} / {verdict.others}",
        verdict.time,
    )


def _found(attack: Attack) -> str:
    if attack.fpr is None or attack.tpr is None:
        return "–"
    found, at = f"{attack.tpr:.1%}", f"at {attack.fpr:.1%}"
    if attack.tpr_low is None or attack.tpr_high is None:
        return f"{found} {at}"
    return f"{found} ({attack.tpr_low:.1%} to {attack.tpr_high:.1%}) {at}"
