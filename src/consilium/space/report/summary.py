"""The opening of the report: the finding in one sentence, what happened, what to beware of."""

from __future__ import annotations

from consilium.measures.targets import HIGHER_IS_BETTER
from consilium.space.record import ResultRecord
from consilium.space.report.charts import cross_mark, tick_mark
from consilium.space.report.markup import Html, Piece, Words, tag
from consilium.space.report.story import Story
from consilium.space.report.words import (
    before_chinese,
    count_en,
    metric_words,
    percent,
    show,
    spoken,
)
from consilium.space.results import Row, SiteResult

SMALL_TEST = 30
"""Below this many held-out patients a figure says little."""
CLEAR = 0.01
"""Differences of means up to this count as none."""


def opening(record: ResultRecord, story: Story) -> Html:
    """Write the finding, four key figures and the cautions."""
    return tag(
        "section",
        tag("p", finding(record), class_="finding"),
        tag("div", *_key_figures(record), class_="figures"),
        *_cautions(record, story),
        class_="opening",
    )


def happened(record: ResultRecord, story: Story) -> Html:
    """Tell the way of the study in five steps of plain words."""
    n, agreements = len(record.sites), len(story.terms)
    lead = next((spoken(member.title) for member in story.members if member.lead), Words("—", "—"))
    cases = sum(site.n_train for site in record.sites)
    held = sum(site.n_test for site in record.sites)
    steps = (
        Words(
            f"{count_en(n).capitalize()} hospitals registered their data with governance and "
            "terms. The tables stayed where they are.",
            f"{n} 家医院登记了各自的数据、治理信息和使用条款。数据表始终留在原处。",
        ),
        Words(
            f"{lead.en} asked for {count_en(agreements)} signed agreements, its own data included, "
            "and got them by each hospital's policy.",
            f"{before_chinese(lead.zh)}申请并获得了 {agreements} 份签名协议"
            "（包括使用本院数据的协议），均由各院策略决定。",
        ),
        Words(
            f"In {record.rounds} rounds the hospitals improved the shared model, each on its own "
            f"training patients ({cases:,} in all), and sent back weights only.",
            f"共 {record.rounds} 轮，各院用自己的训练患者（合计 {cases:,} 名）改进共享模型，"
            "只发回模型参数。",
        ),
        Words(
            f"Each hospital then judged the model on patients that no training had seen "
            f"({held:,} in all).",
            f"随后各院用从未参与训练的患者（合计 {held:,} 名）评估模型。",
        ),
        Words(
            "Every step left a signed entry in each hospital's evidence log; the logs were proved "
            "at the end.",
            "每一步都在各院的存证日志中留下签名记录；结束时对日志进行了验证。",
        ),
    )
    return section(
        Words("What happened", "经过"),
        tag("ol", *(tag("li", step) for step in steps), class_="steps"),
    )


def section(title: Words, *inside: Html, note: Words | None = None) -> Html:
    """Write one section with its heading and, if given, a line that explains it."""
    explained = (tag("p", note, class_="note"),) if note else ()
    return tag("section", tag("h2", title), *explained, *inside)


def finding(record: ResultRecord) -> Words:
    """Say in one sentence what came out, neither more nor less."""
    n = len(record.sites)
    opening_en = (
        f"{count_en(n).capitalize()} hospitals trained one model; "
        "no patient record left its hospital."
    )
    opening_zh = f"{n} 家医院共同训练了一个模型；没有任何患者记录离开医院。"
    told = _risks(record) if record.target.kind == "binary" else _lead(record)
    return Words(opening_en + told.en, opening_zh + told.zh)


def _risks(record: ResultRecord) -> Words:
    """Say ranking and right answers in patients of a hundred."""
    ranking, right = _pair(record, "auroc"), _pair(record, "accuracy")
    if ranking is None or right is None:
        return Words("", "")
    start = _verdict(_difference(ranking) or _difference(right))
    en = (
        f"ranks {percent(ranking[0])} of 100 pairs of patients rightly ({percent(ranking[1])} "
        f"alone) and is right about {percent(right[0])} of 100 patients ({percent(right[1])} alone)"
    )
    zh = (
        f"在 100 对患者中平均正确排序 {percent(ranking[0])} 对（单院 {percent(ranking[1])} 对），"
        f"在 100 名患者中判断正确 {percent(right[0])} 名（单院 {percent(right[1])} 名）"
    )
    return Words(f" {start.en} {en}.", f"{start.zh}{zh}。")


def _lead(record: ResultRecord) -> Words:
    """Say the figures that lead, each with its name."""
    for metric in record.metrics:
        pair = _pair(record, metric) if metric in record.mean else None
        if pair is not None:
            break
    else:
        return Words("", "")
    larger = max(abs(pair[0]), abs(pair[1])) if not HIGHER_IS_BETTER[metric] else 1.0
    gain = (pair[0] - pair[1]) / (larger or 1.0)
    start = _verdict(_side(gain if HIGHER_IS_BETTER[metric] else -gain))
    name = metric_words(metric, record.target.unit)
    together, alone = (show(metric, one) for one in pair)
    en = f"{name.en[:1].lower()}{name.en[1:]}"
    return Words(
        f" {start.en} reaches, averaged over the hospitals: {en} {together} ({alone} alone).",
        f"{start.zh}{name.zh}各院平均为 {together}（单院 {alone}）。",
    )


def _pair(record: ResultRecord, metric: str) -> tuple[float, float] | None:
    """Return a metric's mean together and alone, where both are defined."""
    together, alone = _best(record.mean[metric], metric), record.mean[metric]["local"]
    return None if together is None or alone is None else (together, alone)


def _difference(pair: tuple[float, float]) -> int:
    """Return 1 where together is clearly better, -1 where it is clearly worse, else 0."""
    return _side(pair[0] - pair[1])


def _side(gain: float) -> int:
    return 0 if abs(gain) <= CLEAR else (1 if gain > 0 else -1)


def _verdict(difference: int) -> Words:
    return {
        1: Words("Together it", "联合训练的模型"),
        0: Words("It does about as well as each hospital alone: it", "其表现与单院训练相当："),
        -1: Words("Here working together did not pay: it", "本研究中联合训练没有带来收益："),
    }[difference]


def _key_figures(record: ResultRecord) -> list[Html]:
    train = sum(site.n_train for site in record.sites)
    held = sum(site.n_test for site in record.sites)
    verified = record.evidence.verified
    return [
        _leading_card(record),
        _card(
            f"{train + held:,}",
            Words(
                f"patients: {train:,} to learn from, {held:,} held out",
                f"名患者：{train:,} 名用于训练，{held:,} 名留作评估",
            ),
        ),
        _card(
            size(record.bytes.up),
            Words(
                "left the hospitals in all: model weights and figures, no patient record",
                "为各院发出的全部数据：仅模型参数和统计数值，没有患者记录",
            ),
        ),
        _card(
            tick_mark() if verified else cross_mark(),
            f" {record.evidence.entries:,}",
            Words(
                "evidence entries, all proved" if verified else "evidence entries, NOT all proved",
                "条存证，全部通过验证" if verified else "条存证，未全部通过验证",
            ),
            state="good" if verified else "bad",
        ),
    ]


def _leading_card(record: ResultRecord) -> Html:
    """Show the mean of the figure that leads, together and alone."""
    metric = record.metrics[0]
    together = show(metric, _best(record.mean[metric], metric), digits=2)
    alone = show(metric, record.mean[metric]["local"], digits=2)
    if record.target.kind == "binary":
        words = Words(
            f"mean ranking, together (AUROC); alone {alone}",
            f"联合训练的平均排序能力（AUROC）；单院为 {alone}",
        )
    else:
        name = metric_words(metric, record.target.unit)
        words = Words(
            f"{name.en}, together, mean of hospitals; alone {alone}",
            f"{name.zh}，联合训练的各院平均；单院为 {alone}",
        )
    return _card(together, words)


def _card(*inside: Piece, state: str = "") -> Html:
    """Build a key figure; the last piece explains what stands before it."""
    return tag(
        "div",
        tag("strong", *inside[:-1]),
        tag("span", inside[-1], class_="label"),
        class_=f"card {state}".strip(),
    )


def size(count: int) -> str:
    """Write a number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _cautions(record: ResultRecord, story: Story) -> list[Html]:
    found = [caution for site in record.sites for caution in _cautions_of(site)]
    if not record.evidence.verified:
        found.insert(0, _evidence_caution(story))
    if not found:
        return []
    return [
        tag(
            "div",
            tag("h3", Words("Read with care", "注意")),
            tag("ul", *(tag("li", caution) for caution in found)),
            class_="cautions",
        )
    ]


def _cautions_of(site: SiteResult) -> list[Words]:
    found = []
    name = spoken(site.title)
    right: Row = site.figures.get("accuracy", {})
    best, guess = _best(right, "accuracy"), right.get("majority")
    if best is not None and guess is not None and best < guess:
        found.append(
            Words(
                f"{name.en}: the shared model is right less often ({percent(best)} %) than "
                f"always guessing the majority ({percent(guess)} %). Do not use it there as it is.",
                f"{name.zh}：共享模型的正确率（{percent(best)}%）低于始终猜测多数类"
                f"（{percent(guess)}%）。请勿在该院直接使用。",
            )
        )
    error: Row = site.figures.get("mae", {})
    least, mean = _best(error, "mae"), error.get("majority")
    if least is not None and mean is not None and least > mean:
        found.append(
            Words(
                f"{name.en}: the shared model lies further off ({show('mae', least)}) than always "
                f"guessing the mean ({show('mae', mean)}). Do not use it there as it is.",
                f"{name.zh}：共享模型的误差（{show('mae', least)}）大于始终猜测均值"
                f"（{show('mae', mean)}）。请勿在该院直接使用。",
            )
        )
    if site.n_test < SMALL_TEST:
        found.append(
            Words(
                f"{name.en}: only {site.n_test} held-out patients; its figures are uncertain.",
                f"{name.zh}：仅有 {site.n_test} 名留出患者，其数值不确定性较大。",
            )
        )
    return found


def _evidence_caution(story: Story) -> Words:
    bad = ", ".join(line.member for line in story.evidence if not line.verified) or "—"
    return Words(
        f"The evidence could not be proved whole ({bad}). Stop and tell a person before using "
        "this result.",
        f"存证未能完整验证（{bad}）。请停止使用本结果并通知负责人。",
    )


def _best(row: Row, metric: str) -> float | None:
    """Return the better of the shared model's two forms."""
    forms = (row.get("federated"), row.get("recalibrated"))
    found = [value for value in forms if value is not None]
    return (max if HIGHER_IS_BETTER[metric] else min)(found) if found else None
