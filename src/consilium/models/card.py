"""The model card: a passport as a page for people, in Markdown.

Headings stand in English and Chinese, figures once. Everything on the page is
taken from the passport; whatever came from elsewhere is escaped, so that a
title cannot turn into markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consilium.kernel.errors import texts
from consilium.measures.targets import HIGHER_IS_BETTER, WITH_UNIT
from consilium.models.checklist import ANSWERED, AUTHORS, IN_PART, WORDS
from consilium.models.claim import CLAIM, is_imaging
from consilium.models.markdown import escape as _safe
from consilium.models.markdown import table as _table
from consilium.models.marks import AuditMark, Mark
from consilium.models.passports import Passport, SiteRecord, figure
from consilium.models.tripod import TRIPOD
from consilium.models.verdict_words import tabulate_verdicts

ROWS = {
    "federated": "federated 联邦",
    "recalibrated": "recalibrated 再校准",
    "fine_tuned": "fine-tuned 微调",
    "personalised": "personalised 个性化",
    "local": "local only 仅本地",
    "majority": "without a model 不用模型",
}
METRICS = {
    "auroc": "AUROC 曲线下面积",
    "auroc_macro": "AUROC, mean over classes 各类平均的曲线下面积",
    "concordance": "concordance index 一致性指数",
    "dice": "Dice coefficient 戴斯系数",
    "mae": "mean absolute error 平均绝对误差",
    "rmse": "root mean square error 均方根误差",
    "mean_error": "mean error 平均误差",
    "accuracy": "accuracy 准确率",
    "balanced_accuracy": "balanced accuracy 平衡准确率",
    "sensitivity": "sensitivity of pixels 像素灵敏度",
    "precision": "precision of pixels 像素精确度",
    "brier": "Brier score 布里尔分数",
    "calibration_slope": "calibration slope 校准斜率",
}
"""Figures in the order in which the card shows them; a model has those of its target."""


def write_card(
    passport: Passport, *, marks: Sequence[Mark] = (), audits: Sequence[AuditMark] = ()
) -> str:
    """Write the card; revoked agreements stand right below its title, verdicts by its limits.

    Returns
    -------
    str
        Markdown, ending with a line feed; the same passport gives the same text.

    Discloses
    ---------
    What stands in the passport, nothing more.
    """
    parts = [
        f"# {_safe(passport.name)}",
        f"> {_safe(passport.intended_use)}",
        *_marked(marks),
        *_what(passport),
        *_from(passport),
        *_results(passport),
        *_limits(passport),
        *_attacked(audits),
        *_checklists(passport),
        *_proof(passport),
    ]
    return "\n\n".join(parts) + "\n"


def _marked(marks: Sequence[Mark]) -> Iterable[str]:
    if marks:
        yield "## Revoked agreements 已撤销的合约"
        yield (
            "This model was made under agreements that have been revoked since. Ask those "
            "hospitals before you use it. 本模型所依据的下列合约已被撤销，使用前请联系相关医院。"
        )
        yield _table(
            (
                "hospital 医院",
                "agreement 合约",
                "rounds 轮次",
                "revoked by 撤销方",
                "time 时间",
                "reason 理由",
            ),
            [
                (
                    mark.participant,
                    _safe(mark.agreement),
                    str(mark.rounds),
                    mark.by,
                    mark.time,
                    _safe(mark.reason),
                )
                for mark in marks
            ],
        )


def _what(passport: Passport) -> Iterable[str]:
    what = passport.capability
    yield "## What it is 模型"
    yield _table(
        ("", ""),
        [
            ("Task 任务", _safe(what.task)),
            ("Family 类型", _safe(what.family)),
            ("Recipe 配方", f"{_safe(what.recipe)} {_safe(what.recipe_version)}"),
            ("Predicts 预测目标", _safe(_target(passport))),
            ("Arrays 数组", ", ".join(f"{_safe(n)} {list(s)}" for n, s in what.arrays.items())),
        ],
    )
    yield "### Inputs 输入"
    yield _table(
        ("field 字段", "kind 类型", "unit 单位", "categories or shape 类别或尺寸"),
        [
            (
                _safe(one.name),
                one.kind,
                _safe(one.unit),
                ", ".join(map(_safe, one.categories)) or " x ".join(map(str, one.shape)),
            )
            for one in what.inputs
        ],
    )


def _target(passport: Passport) -> str:
    what = passport.capability
    more = ", ".join(filter(None, ("/".join(what.classes), what.unit)))
    return f"{what.label} ({more})" if more else what.label


def _from(passport: Passport) -> Iterable[str]:
    past = passport.lineage
    yield "## Where it comes from 来源"
    yield _table(
        ("", ""),
        [
            ("Study 研究", _safe(past.title)),
            ("Question 问题", _safe(past.question)),
            ("Purpose 用途", _safe(past.purpose)),
            ("Lead 牵头方", past.lead),
            ("Rounds 轮次", f"{past.rounds}, {_safe(past.rule)}, seed {past.seed}"),
            ("Parents 父模型", ", ".join(past.parents) or "none 无"),
        ],
    )
    yield "### Hospitals 医院"
    yield _table(
        ("hospital 医院", "training 训练", "held out 留出", "rounds 轮次", "agreement 合约"),
        [
            (
                site.participant,
                _number(site.n_train),
                _number(site.n_test),
                str(site.rounds),
                _safe(site.agreement),
            )
            for site in passport.sites
        ],
    )


def _results(passport: Passport) -> Iterable[str]:
    yield "## How it does 表现"
    yield (
        "On each hospital's own held-out patients, with 95 % bootstrap intervals. "
        "在各医院自己的留出患者上评估，附 95 % 自助法区间。"
    )
    for metric, title in METRICS.items():
        if any(metric in rows for site in passport.sites for rows in site.rows.values()):
            unit = passport.capability.unit if metric in WITH_UNIT else ""
            yield f"### {title}{f' [{_safe(unit)}]' if unit else ''}"
            yield _matrix(passport.sites, metric)
    chosen = [(site.participant, ROWS.get(site.chosen, "–")) for site in passport.sites]
    yield "### What each hospital would use 各医院的选择"
    yield _table(("hospital 医院", "choice 选择"), chosen)


def _matrix(sites: Sequence[SiteRecord], metric: str) -> str:
    shown = [row for row in ROWS if any(row in site.rows for site in sites)]
    lines = [(site.participant, *(_figure(site, row, metric) for row in shown)) for site in sites]
    lines.append(("**mean 平均**", *(_mean(sites, row, metric) for row in shown)))
    if metric in HIGHER_IS_BETTER:
        lines.append(("**worst 最差**", *(_worst(sites, row, metric) for row in shown)))
    return _table(("hospital 医院", *(ROWS[row] for row in shown)), lines)


def _figure(site: SiteRecord, row: str, metric: str) -> str:
    found = figure(site, row, metric)
    if found is None:
        reason = site.rows.get(row, {}).get(metric, {}).get("reason")
        return f"– ({reason})" if reason in texts() else "–"
    if found.get("low") is None or found.get("high") is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _mean(sites: Sequence[SiteRecord], row: str, metric: str) -> str:
    found = _defined(sites, row, metric)
    return f"{sum(found) / len(found):.3f} (of {len(found)})" if found else "–"


def _worst(sites: Sequence[SiteRecord], row: str, metric: str) -> str:
    found = _defined(sites, row, metric)
    worst = min if HIGHER_IS_BETTER[metric] else max
    return f"{worst(found):.3f}" if found else "–"


def _defined(sites: Sequence[SiteRecord], row: str, metric: str) -> list[float]:
    return [float(one["value"]) for site in sites if (one := figure(site, row, metric))]


def _limits(passport: Passport) -> Iterable[str]:
    yield "## Limits 局限"
    yield "\n".join(f"- {_safe(line)}" for line in passport.limitations) or "- none stated 未说明"
    yield "## Privacy spent 隐私消耗"
    spent = ", ".join(f"{_safe(str(k))} = {_safe(str(v))}" for k, v in passport.privacy.items())
    yield spent or "No privacy budget was spent: none was agreed. 未约定、未消耗隐私预算。"


def _attacked(audits: Sequence[AuditMark]) -> Iterable[str]:
    yield "## Attacked before release 发布前的攻击审计"
    if not audits:
        yield "No hospital has laid a verdict beside this passport. 尚无医院出具审计结论。"
        return
    yield (
        "Each hospital attacked the model with its own patients: those trained on against "
        "those never trained on; 0.5 is guessing. It tells nothing of stronger attackers. "
        "各医院用自己的患者攻击模型：参加训练者对从未参加训练者；0.5 等于乱猜。"
        "更强的攻击者不在此列。"
    )
    head, rows = tabulate_verdicts([one.verdict for one in audits])
    yield _table(head, [tuple(map(_safe, row)) for row in rows])


def _checklists(passport: Passport) -> Iterable[str]:
    """Say how much of the reporting checklists the passport answers."""
    yield "## For the paper 论文报告清单"
    shown = (TRIPOD, CLAIM) if is_imaging(passport) else (TRIPOD,)
    lines = []
    for checklist in shown:
        states = [one.state for one in checklist.list_items(passport)]
        counts = [str(states.count(state)) for state in (ANSWERED, IN_PART, AUTHORS)]
        lines.append((checklist.name, *counts))
    head = [" ".join(WORDS[state]) for state in (ANSWERED, IN_PART, AUTHORS)]
    yield _table(("checklist 清单", *head), lines)


def _proof(passport: Passport) -> Iterable[str]:
    past = passport.lineage
    yield "## Proof 证明"
    yield _table(
        ("", ""),
        [
            ("Weights 权重", passport.weights),
            ("Plan 计划", past.plan),
            ("Start 起始模型", past.start),
            ("Recipe 配方", passport.capability.recipe_digest),
            *((f"Data of 数据 {site.participant}", site.fingerprint) for site in passport.sites),
            ("Passport 护照", passport.digest),
            ("Issued 签发", f"{passport.issuer}, {passport.created}"),
        ],
    )


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)
