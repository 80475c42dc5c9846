"""The items of CLAIM by number: topics in our words, English and Chinese.

Kept apart because it is a table. Source: Mongan, Moy and Kahn, Radiology:
Artificial Intelligence 2(2):e200029, 2020.
"""

from collections.abc import Mapping

ITEMS: Mapping[str, tuple[str, str]] = {
    "1": ("Title names the kind of method", "标题标明方法类别"),
    "2": ("Abstract", "摘要"),
    "3": ("Background, intended use, clinical role", "背景、预期用途与临床作用"),
    "4": ("Objectives and hypotheses", "研究目标与假设"),
    "5": ("Looking ahead or back", "前瞻性或回顾性"),
    "6": ("Goal of the study", "研究目的"),
    "7": ("Sources of the data", "数据来源"),
    "8": ("Who was eligible", "纳入与排除标准"),
    "9": ("Preparation of the data", "数据预处理"),
    "10": ("Subsets of the data", "数据子集的选取"),
    "11": ("Definition of the data's fields", "数据元素的定义"),
    "12": ("De-identification", "去标识化方法"),
    "13": ("Missing data", "缺失数据的处理"),
    "14": ("Definition of the reference standard", "参考标准的定义"),
    "15": ("Why this reference standard", "选择该参考标准的理由"),
    "16": ("Who annotated, with what skill", "标注来源与标注者资质"),
    "17": ("Tools of annotation", "标注工具"),
    "18": ("Differences between annotators", "标注者内与标注者间的差异"),
    "19": ("Sample size and its reason", "样本量及其依据"),
    "20": ("Division of the data, shares", "数据划分方式与比例"),
    "21": ("Level at which the parts are disjoint", "各部分互不重叠的层级"),
    "22": ("The model in detail", "模型的详细描述"),
    "23": ("Software", "软件、框架与程序包"),
    "24": ("Starting values of the model", "模型参数的初始化"),
    "25": ("Training in detail", "训练过程的细节"),
    "26": ("How the final model was chosen", "最终模型的选择方法"),
    "27": ("Ensembles", "集成方法"),
    "28": ("Measures of performance", "性能指标"),
    "29": ("Uncertainty and significance", "不确定性与显著性的统计方法"),
    "30": ("Robustness and sensitivity", "稳健性与敏感性分析"),
    "31": ("Explanations of predictions", "可解释性方法"),
    "32": ("Testing on data from elsewhere", "外部数据的验证或测试"),
    "33": ("Flow of participants", "研究对象流程"),
    "34": ("Characteristics of each part", "各部分的人口学与临床特征"),
    "35": ("Performance on every part", "各部分数据上的性能"),
    "36": ("Diagnostic accuracy with its precision", "诊断准确性及其精确度"),
    "37": ("Analysis of failures", "失败病例分析"),
    "38": ("Limitations", "局限"),
    "39": ("What it means for practice", "对实践的意义"),
    "40": ("Registration", "研究注册"),
    "41": ("Where the protocol is", "完整研究方案的获取途径"),
    "42": ("Funding", "资助"),
}
