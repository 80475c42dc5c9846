"""Every sentence of the report, in English and Chinese.

Written for a hospital's director: each term of statistics is said in plain
words where it first appears, and nothing is claimed beyond the figures.
"""

from __future__ import annotations

import re

from consilium.space.record import HIGHER_IS_BETTER
from consilium.space.report.markup import Words

METHOD: dict[str, Words] = {
    "federated": Words("Together", "联合训练"),
    "recalibrated": Words("Together, adjusted", "联合训练（本院校准）"),
    "local": Words("Alone", "单院训练"),
    "majority": Words("Majority guess", "多数类猜测"),
    "pooled": Words("All data in one place", "集中训练"),
}
METHOD_MEANING: dict[str, Words] = {
    "federated": Words(
        "the shared model as it left the last round",
        "最后一轮得到的共享模型",
    ),
    "recalibrated": Words(
        "the shared model with one number, its base rate, fitted by each hospital to its own "
        "training patients",
        "各院用自己的训练患者只调整一个数（基础发病率）后的共享模型",
    ),
    "local": Words(
        "a model that the hospital trains on its own patients only",
        "医院只用自己的患者训练的模型",
    ),
    "majority": Words(
        "always predicting the hospital's more frequent outcome; no model at all",
        "始终预测本院更常见的结局，不使用任何模型",
    ),
    "pooled": Words(
        "one model on all patients in one place; possible only because these data are declared "
        "public",
        "把所有患者数据集中后训练的模型；仅因这些数据已声明公开才可行",
    ),
}
METRIC: dict[str, Words] = {
    "auroc": Words("Ranking (AUROC)", "排序能力（AUROC）"),
    "accuracy": Words("Right answers (accuracy)", "正确率（Accuracy）"),
    "brier": Words("Error of the probabilities (Brier score)", "概率误差（Brier 分数）"),
    "slope": Words("Calibration slope", "校准斜率"),
}
METRIC_MEANING: dict[str, Words] = {
    "auroc": Words(
        "Of two patients, one with and one without the condition, how often the model gives the "
        "higher risk to the right one. 0.5 is chance, 1 is perfect.",
        "任取一名患病者和一名未患病者，模型给前者更高风险的比例。0.5 等于随机，1 为完美。",
    ),
    "accuracy": Words(
        "The share of patients put on the right side of a 50 % risk.",
        "以 50% 风险为界，判断正确的患者比例。",
    ),
    "brier": Words(
        "The mean squared distance between predicted risk and outcome. Lower is better; "
        "0.25 is what a coin would get.",
        "预测风险与实际结局之差的平方均值。越低越好；抛硬币为 0.25。",
    ),
    "slope": Words(
        "1 means that predicted risks spread as they should; below 1 they are too extreme, "
        "above 1 too timid.",
        "1 表示预测风险的离散程度恰当；小于 1 表示过于极端，大于 1 表示过于保守。",
    ),
}
REASON: dict[str, Words] = {
    "measures.one_class": Words(
        "needs patients with and without the condition among those held out; one kind is absent",
        "留出的患者中需要同时有患病者和未患病者，此处缺少其中一类",
    ),
    "measures.too_few_cases": Words("there are too few patients", "患者数量过少"),
    "measures.too_few_patients": Words("there are too few patients", "患者数量过少"),
    "measures.no_spread": Words(
        "the prediction is the same for every patient", "对所有患者的预测都相同"
    ),
    "measures.not_converged": Words("the calculation found no stable value", "计算未能得到稳定值"),
    "measures.too_few_resamples": Words(
        "too many of the resamples had no value", "有效的重抽样次数过少"
    ),
    "federation.not_finite": Words(
        "the model's predictions are not finite numbers", "模型的预测不是有限数值"
    ),
    "space.not_public": Words(
        "the data are not declared public, so they were never put in one place",
        "数据未声明公开，因此从未集中",
    ),
}
UNKNOWN_REASON = Words("it is not defined for these patients", "对这些患者无法定义")
CHOICE: dict[str, Words] = {
    "global": Words("the shared model as it is", "直接使用共享模型"),
    "federated": Words("the shared model as it is", "直接使用共享模型"),
    "recalibrated": Words("the shared model, adjusted to this hospital", "经本院校准的共享模型"),
    "local": Words("its own model", "本院自己的模型"),
    "majority": Words("no model", "不使用模型"),
    "none": Words("no model", "不使用模型"),
}
PURPOSE: dict[str, Words] = {
    "research": Words("research", "科学研究"),
    "medical-research": Words("medical research", "医学研究"),
    "quality-improvement": Words("quality improvement", "质量改进"),
    "care": Words("patient care", "临床诊疗"),
    "public-health": Words("public health", "公共卫生"),
    "education": Words("education", "教学"),
}
NOTE: dict[str, Words] = {
    "space.pooled_public": Words(
        "The row “All data in one place” was computed outside the federation, from files that the "
        "space file declares public. It is there for comparison only; no agreement and no evidence "
        "entry belong to it.",
        "“集中训练”一行在联邦之外计算，所用文件在空间文件中已声明公开。仅供比较，不涉及任何协议或存证条目。",
    ),
    "space.not_public": Words(
        "There is no row “All data in one place”: not all data of this study are declared public, "
        "so they were never brought together.",
        "没有“集中训练”一行：本研究的数据并未全部声明公开，因此从未集中。",
    ),
}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def count_en(number: int) -> str:
    """Write a small count as a word, a large one in digits."""
    return _COUNTS[number] if number < len(_COUNTS) else f"{number:,}"


def figure(value: float | None, *, digits: int = 3) -> str:
    """Write a figure, or the dash that stands for none."""
    return "—" if value is None else f"{value:.{digits}f}"


def percent(value: float) -> str:
    """Write a share as whole per cent."""
    return f"{100 * value:.0f}"


def spoken(text: str) -> Words:
    """Split a title that holds both languages, such as `湖滨医院 · Lakeside Hospital`."""
    parts = text.split(" · ")
    if len(parts) == 2:
        first, second = (bool(_CHINESE.search(part)) for part in parts)
        if first != second:
            return Words(parts[1], parts[0]) if first else Words(parts[0], parts[1])
    return Words(text, text)


def before_chinese(name: str) -> str:
    """Give a name that Chinese text follows: a space after Latin letters."""
    return f"{name} " if name[-1:].isascii() else name


def purpose_words(name: str) -> Words:
    """Say a purpose; an unknown one is shown as it is written."""
    return PURPOSE.get(name.rpartition(":")[2].rpartition("/")[2], Words(name, name))


def reason_words(code: str) -> Words:
    """Say why a figure is undefined."""
    return REASON.get(code, UNKNOWN_REASON)


def note_words(code: str) -> Words:
    """Say a note of the record; an unknown one is shown as it is."""
    return NOTE.get(code, Words(code, code))


def choice_words(name: str) -> Words:
    """Say what a hospital chose."""
    return CHOICE.get(name, Words(name, name))


def worst_words(metric: str) -> Words:
    """Name the worst row of a metric."""
    higher = HIGHER_IS_BETTER[metric]
    return Words("Worst hospital", "最差医院" if higher else "最差医院（最大值）")
