"""Terms in words: one sentence for each, in English and Chinese.

People agree to sentences, gates judge operands. Both come from the same
record, so that nobody reads one thing and signs another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from consilium.dataspace import vocabulary as term
from consilium.dataspace.records import Terms

_OUTPUTS: Mapping[str, tuple[str, str]] = {
    term.MODEL: ("updates of a model", "模型更新"),
    term.METRICS: ("figures about a model", "模型评估指标"),
    term.AGGREGATE: ("tables over patients", "患者汇总统计"),
}
_DIGEST_SHOWN = 19
"""Letters of a fingerprint that a sentence shows: `sha256:` and twelve digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What one term says; `term` is its operand."""

    term: str
    en: str
    zh: str


def sentences_of(terms: Terms, *, recipes: Mapping[str, str] | None = None) -> list[Sentence]:
    """Say terms in words, in the order in which a person asks.

    Parameters
    ----------
    terms : Terms
        Of an offer or an agreement.
    recipes : mapping of str to str, optional
        Names of recipes by digest; one that is not there is shown by its digest.

    Discloses
    ---------
    The terms, to whoever is shown the sentences.
    """
    known = recipes or {}
    return [
        Sentence(term=operand, en=said[0], zh=said[1])
        for operand, say in _SAID.items()
        if (said := say(terms, known)) is not None
    ]


_Said = tuple[str, str] | None
_Say = Callable[[Terms, Mapping[str, str]], _Said]


def _purposes(terms: Terms, _known: Mapping[str, str]) -> _Said:
    en, zh = _lists(terms.purposes)
    return f"It may be used for {en}, and for nothing else.", f"仅可用于：{zh}。"


def _recipients(terms: Terms, _known: Mapping[str, str]) -> _Said:
    en, zh = _lists(who.rpartition(":")[2] for who in terms.recipients)
    return f"It may be used by {en}.", f"使用方：{zh}。"


def _time(terms: Terms, _known: Mapping[str, str]) -> _Said:
    day, clock = terms.not_after[:10], terms.not_after[11:16]
    return f"Every use ends by {day} {clock} UTC.", f"使用须于 {day} {clock}（UTC）前结束。"


def _count(terms: Terms, _known: Mapping[str, str]) -> _Said:
    return (
        f"Under one agreement at most {_of(terms.count, 'study', 'studies')} may run.",
        f"一份合约下最多可开展 {terms.count} 项研究。",
    )


def _rounds(terms: Terms, _known: Mapping[str, str]) -> _Said:
    return (
        f"They may take at most {_of(terms.max_rounds, 'round', 'rounds')} in all.",
        f"所有研究合计最多 {terms.max_rounds} 轮。",
    )


def _cohort(terms: Terms, _known: Mapping[str, str]) -> _Said:
    return (
        f"No study may rest on fewer than {terms.min_cohort} patients here.",
        f"每项研究在本院所用患者不得少于 {terms.min_cohort} 名。",
    )


def _algorithms(terms: Terms, known: Mapping[str, str]) -> _Said:
    en, zh = _lists(known.get(one, one[:_DIGEST_SHOWN]) for one in terms.algorithms)
    return f"Only these recipes may run: {en}.", f"仅可运行以下配方：{zh}。"


def _participants(terms: Terms, _known: Mapping[str, str]) -> _Said:
    if terms.min_participants is None:
        return None
    return (
        f"No update leaves unless at least {terms.min_participants} hospitals must take part"
        " in a round.",
        f"每轮参与医院的法定数不少于 {terms.min_participants} 家时，方可发送更新。",
    )


def _privacy(terms: Terms, _known: Mapping[str, str]) -> _Said:
    if terms.epsilon is None:
        return None
    epsilon, delta = _plain(terms.epsilon), _plain(terms.delta or 0.0)
    return (
        f"All results together may cost a privacy loss of epsilon {epsilon}, delta {delta};"
        " results without noise are refused.",
        f"全部结果的隐私损失合计不得超过 ε = {epsilon}、δ = {delta}；未加噪声的结果一律拒绝。",
    )


def _outputs(terms: Terms, _known: Mapping[str, str]) -> _Said:
    if not terms.outputs:
        return None
    said = [_OUTPUTS[one] for one in terms.outputs]
    en, zh = _lists(one[0] for one in said)[0], _lists(one[1] for one in said)[1]
    return f"Only {en} may leave the hospital.", f"仅以下结果可离开医院：{zh}。"


def _secure(terms: Terms, _known: Mapping[str, str]) -> _Said:
    if terms.secure_aggregation is None:
        return None
    if terms.secure_aggregation:
        return (
            "Updates leave only under secure aggregation; plain ones are refused.",
            "更新仅可在安全聚合下发送，明文更新一律拒绝。",
        )
    return "Updates leave without secure aggregation.", "更新不采用安全聚合。"


def _places(terms: Terms, _known: Mapping[str, str]) -> _Said:
    if not terms.spatial:
        return None
    en, zh = _lists(terms.spatial)
    return f"The recipient must be in {en}.", f"使用方所在地须属于：{zh}。"


_SAID: Mapping[str, _Say] = {
    term.PURPOSE: _purposes,
    term.RECIPIENT: _recipients,
    term.SPATIAL: _places,
    term.TIME: _time,
    term.COUNT: _count,
    term.MAX_ROUNDS: _rounds,
    term.MIN_COHORT: _cohort,
    term.MIN_PARTICIPANTS: _participants,
    term.ALGORITHM: _algorithms,
    term.OUTPUT: _outputs,
    term.SECURE: _secure,
    term.EPSILON: _privacy,
}


def _lists(words: Iterable[str]) -> tuple[str, str]:
    kept = list(words)
    en = kept[0] if len(kept) == 1 else f"{', '.join(kept[:-1])} or {kept[-1]}"
    return en, "、".join(kept)


def _of(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _plain(value: float) -> str:
    return format(Decimal(repr(float(value))).normalize(), "f")
