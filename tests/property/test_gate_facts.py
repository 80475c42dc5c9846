"""Whatever a recipe says, only figures of the closed vocabulary leave."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium.gate.facts import COUNTS, HIDDEN, KEYS, PLACES, WORDS, CountRule, check_facts
from consilium.kernel.errors import DeniedError, texts
from consilium.measures.targets import OF_TARGET

RULE = CountRule(smallest=10, largest=1000)

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(sorted(WORDS))
    | st.binary(max_size=4)
)
keys = st.sampled_from(sorted(KEYS)) | st.text(max_size=8)
junk = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def _walk(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for name, item in value.items() for pair in [(name, item), *_walk(item, name)]]
    if isinstance(value, list):
        return [pair for item in value for pair in [("", item), *_walk(item)]]
    return []


@given(facts=st.dictionaries(keys, junk, max_size=6))
def test_what_passes_holds_only_known_keys_own_words_and_rounded_figures(
    facts: dict[str, Any],
) -> None:
    try:
        passed = check_facts(facts, rule=RULE)
    except DeniedError:
        return
    json.dumps(passed, allow_nan=False)
    for key, value in _walk(passed):
        assert key == "" or key in KEYS
        if key in COUNTS:
            assert type(value) is int
            assert RULE.smallest <= value <= RULE.largest
        if key in PLACES:
            assert type(value) is int
            assert value >= 0
        if isinstance(value, str):
            assert value in WORDS or value in texts()
        if isinstance(value, float):
            assert math.isfinite(value)
            assert value == float(f"{value:.5e}")


@given(text=st.text(min_size=1), key=st.sampled_from(sorted(KEYS - COUNTS - PLACES)))
def test_free_text_never_leaves(text: str, key: str) -> None:
    if text in WORDS or text in texts():
        return
    with pytest.raises(DeniedError) as refusal:
        check_facts({key: text}, rule=RULE)
    assert refusal.value.code == "gate.fact_is_text"


@given(key=st.text())
def test_an_unknown_key_never_leaves_and_is_not_repeated(key: str) -> None:
    if key in KEYS:
        return
    with pytest.raises(DeniedError) as refusal:
        check_facts({key: 1.0}, rule=RULE)
    assert refusal.value.facts == {"place": "facts"}


@given(values=st.lists(st.floats() | st.integers() | st.text(), min_size=1, max_size=30))
def test_a_list_of_single_values_never_leaves(values: list[Any]) -> None:
    with pytest.raises(DeniedError):
        check_facts({"bins": values}, rule=RULE)


@given(count=st.integers(max_value=9), key=st.sampled_from(sorted(COUNTS)))
def test_a_small_count_never_leaves(count: int, key: str) -> None:
    with pytest.raises(DeniedError):
        check_facts({key: count}, rule=RULE)


@given(value=st.floats(-1e6, 1e6))
def test_rounding_keeps_six_significant_digits(value: float) -> None:
    [rounded] = check_facts({"value": value}, rule=RULE).values()
    assert rounded == pytest.approx(value, rel=5.1e-6)


@given(
    place=st.integers(0, 99),
    more=st.dictionaries(st.sampled_from(sorted(KEYS - HIDDEN)), st.floats(0, 1), max_size=2),
)
def test_of_a_group_without_a_count_nothing_leaves_but_its_place_and_the_reason(
    place: int, more: dict[str, float]
) -> None:
    group = {"index": place, "reason": "measures.too_few", **more}
    if not more:
        assert check_facts({"classes": [group]}, rule=RULE) == {"classes": [group]}
        return
    with pytest.raises(DeniedError):
        check_facts({"classes": [group]}, rule=RULE)


@given(value=st.floats() | st.text() | st.integers(max_value=-1) | st.booleans())
def test_a_place_is_a_whole_number_and_nothing_else(value: Any) -> None:
    with pytest.raises(DeniedError):
        check_facts({"subgroups": [{"n": 20, "field": value, "index": 0}]}, rule=RULE)


def test_every_figure_of_every_kind_of_target_is_known() -> None:
    for names in OF_TARGET.values():
        facts: dict[str, Any] = {"rows": {"personalised": {name: {"value": 0.5} for name in names}}}
        assert check_facts(facts, rule=RULE) == facts
