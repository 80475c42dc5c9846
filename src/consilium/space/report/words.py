"""Every sentence of the report, in English and Chinese.

Written for a hospital's director: each term of statistics is said in plain
words where it first appears, and nothing is claimed beyond the figures.
"""

from __future__ import annotations

import re

from consilium.measures.targets import HIGHER_IS_BETTER, WITH_UNIT
from consilium.space.report.markup import Words

METHOD: dict[str, Words] = {
    "federated": Words("Together", "联合训练"),
    "recalibrated": Words("Together, adjusted", "联合训练（本院校准）"),
    "fine_tuned": Words("Together, trained on", "联合训练（本院微调）"),
    "personalised": Words("Together, personal", "联合训练（个性化）"),
    "local": Words("Alone", "单院训练"),
    "majority": Words("Majority guess", "多数类猜测"),
    "pooled": Words("All data in one place", "集中训练"),
}
METHOD_OF_TARGET: dict[tuple[str, str], Words] = {
    ("majority", "number"): Words("Mean guess", "均值猜测"),
    ("majority", "survival"): Words("No ranking", "不排序"),
    ("majority", "mask"): Words("Nothing marked", "不作标记"),
}
"""Names of methods where a target of the model calls for another than `METHOD`'s."""
_ADJUSTED = Words(
    "the shared model with one number, its base rate, fitted by each hospital to its own "
    "training patients",
    "各院用自己的训练患者只调整一个数（基础发病率）后的共享模型",
)
METHOD_MEANING: dict[str, Words] = {
    "federated": Words(
        "the shared model as it left the last round",
        "最后一轮得到的共享模型",
    ),
    "recalibrated": _ADJUSTED,
    "fine_tuned": Words(
        "the shared model after a few more rounds of training at the hospital alone",
        "共享模型再由医院用自己的患者多训练几轮",
    ),
    "personalised": Words(
        "the shared model with what each hospital kept for itself; that part never left it",
        "共享模型加上各院自己留存的部分；该部分从未离开医院",
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
MEANING_OF_TARGET: dict[tuple[str, str], Words] = {
    ("recalibrated", "classes"): Words(
        "the shared model with one number for each class, how common it is, fitted by each "
        "hospital to its own training patients",
        "各院用自己的训练患者为每一类只调整一个数（该类的常见程度）后的共享模型",
    ),
    ("recalibrated", "number"): Words(
        "the shared model with one number added, fitted by each hospital to its own training "
        "patients",
        "各院用自己的训练患者只加上一个修正数后的共享模型",
    ),
    ("majority", "number"): Words(
        "always predicting the mean of the hospital's training patients; no model at all",
        "始终预测本院训练患者的平均值，不使用任何模型",
    ),
    ("majority", "survival"): Words(
        "the same risk for everybody; no model at all", "对所有人给出相同风险，不使用任何模型"
    ),
    ("majority", "mask"): Words(
        "marking nothing in any image; no model at all", "不标记任何区域，不使用任何模型"
    ),
}
METRIC: dict[str, Words] = {
    "auroc": Words("Ranking (AUROC)", "排序能力（AUROC）"),
    "auroc_macro": Words("Ranking, mean over classes (AUROC)", "排序能力，各类平均（AUROC）"),
    "accuracy": Words("Right answers (accuracy)", "正确率（Accuracy）"),
    "balanced_accuracy": Words(
        "Right answers, classes alike (balanced accuracy)", "各类等权的正确率（平衡准确率）"
    ),
    "brier": Words("Error of the probabilities (Brier score)", "概率误差（Brier 分数）"),
    "slope": Words("Calibration slope", "校准斜率"),
    "mae": Words("Mean absolute error", "平均绝对误差"),
    "rmse": Words("Root mean square error", "均方根误差"),
    "mean_error": Words("Mean error", "平均误差"),
    "concordance": Words("Ranking over time (concordance index)", "时间排序能力（一致性指数）"),
    "dice": Words("Overlap with the true region (Dice)", "与真实区域的重合度（Dice 系数）"),
    "sensitivity": Words("Found of the true region (sensitivity)", "真实区域的检出比例（灵敏度）"),
    "precision": Words("True of what was drawn (precision)", "所标区域的正确比例（精确度）"),
}
METRIC_MEANING: dict[str, Words] = {
    "auroc": Words(
        "Of two patients, one with and one without the condition, how often the model gives the "
        "higher risk to the right one. 0.5 is chance, 1 is perfect.",
        "任取一名患病者和一名未患病者，模型给前者更高风险的比例。0.5 等于随机，1 为完美。",
    ),
    "auroc_macro": Words(
        "For each class against all others: of two patients, how often the model gives the right "
        "one the higher chance; then the mean over classes. 0.5 is chance, 1 is perfect.",
        "对每一类与其余各类：任取两名患者，模型给正确者更高概率的比例，再对各类取平均。"
        "0.5 等于随机，1 为完美。",
    ),
    "accuracy": Words(
        "The share of patients put on the right side of a 50 % risk.",
        "以 50% 风险为界，判断正确的患者比例。",
    ),
    "balanced_accuracy": Words(
        "The share of each class that is recognised, averaged so that rare classes count as much "
        "as common ones.",
        "每一类被正确识别的比例取平均，少见的类与常见的类同等重要。",
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
    "mae": Words(
        "How far predictions lie from the truth on average. Lower is better.",
        "预测值与真实值平均相差多少。越低越好。",
    ),
    "rmse": Words(
        "The same, with large errors weighing more. Lower is better.",
        "与上相同，但大误差权重更大。越低越好。",
    ),
    "mean_error": Words(
        "Above 0 predictions are too high, below 0 too low.",
        "大于 0 表示预测偏高，小于 0 表示偏低。",
    ),
    "concordance": Words(
        "Of two patients, how often the one with the earlier event was given the higher risk. "
        "0.5 is chance, 1 is perfect.",
        "任取两名患者，较早发生事件者被给予更高风险的比例。0.5 等于随机，1 为完美。",
    ),
    "dice": Words(
        "Image by image: 0 is no overlap, 1 is the same region.",
        "逐幅图像计算：0 为不重合，1 为完全相同。",
    ),
    "sensitivity": Words(
        "Image by image: the share of the marked pixels that the model drew.",
        "逐幅图像计算：真实标记像素中被模型画出的比例。",
    ),
    "precision": Words(
        "Image by image: the share of the drawn pixels that are marked.",
        "逐幅图像计算：模型所画像素中真实标记的比例。",
    ),
}
METRIC_MEANING_OF_TARGET: dict[tuple[str, str], Words] = {
    ("accuracy", "classes"): Words(
        "The share of patients put into the right class.", "被归入正确类别的患者比例。"
    ),
    ("brier", "classes"): Words(
        "Half the mean squared distance between predicted chances and the true class. Lower is "
        "better.",
        "预测概率与真实类别之差的平方和均值的一半。越低越好。",
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
    "measures.class_absent": Words(
        "needs patients of every class among those held out; at least one class is absent",
        "留出的患者中需要有每一类，此处至少缺少一类",
    ),
    "measures.no_pairs": Words(
        "no two held-out patients can be compared: too few events",
        "留出的患者中没有可比较的两人：事件过少",
    ),
    "measures.nothing_marked": Words("nothing is marked in these images", "这些图像中没有标记"),
    "measures.too_few": Words(
        "it would stand on too few patients to be told", "所依据的患者过少，不能透露"
    ),
    "measures.hidden_with_others": Words(
        "hidden so that a small group beside it cannot be worked out",
        "一并隐藏，以免推算出旁边的小组",
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
    "fine_tuned": Words("the shared model, trained on at this hospital", "经本院微调的共享模型"),
    "personalised": Words("its personal form of the shared model", "共享模型的本院个性化版本"),
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


def method_words(method: str, kind: str) -> Words:
    """Name a method of a study with such a target."""
    return METHOD_OF_TARGET.get((method, kind), METHOD[method])


def method_meaning(method: str, kind: str) -> Words:
    """Explain a method of a study with such a target."""
    return MEANING_OF_TARGET.get((method, kind), METHOD_MEANING[method])


def metric_words(metric: str, unit: str = "") -> Words:
    """Name a figure, with its unit where it has one."""
    words = METRIC[metric]
    if metric not in WITH_UNIT or not unit:
        return words
    return Words(f"{words.en} [{unit}]", f"{words.zh}（{unit}）")


def metric_meaning(metric: str, kind: str) -> Words:
    """Explain a figure of a study with such a target."""
    return METRIC_MEANING_OF_TARGET.get((metric, kind), METRIC_MEANING[metric])


def show(metric: str, value: float | None, *, digits: int = 3) -> str:
    """Write a figure as its kind is read: shares with digits, numbers of a unit as they come."""
    if value is None or metric not in WITH_UNIT:
        return figure(value, digits=digits)
    return f"{value:#.{digits}g}".rstrip(".") if abs(value) < 10**digits else f"{value:,.0f}"


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
    higher = HIGHER_IS_BETTER.get(metric, True)
    return Words("Worst hospital", "最差医院" if higher else "最差医院（最大值）")
