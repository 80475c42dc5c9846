"""Tables are read key by key; every refusal is the room's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError
from consilium.kernel.tables import Fault, Section, Slip, is_number


def room(slip: Slip) -> InputError:
    """Say a slip as a room does; the slip goes along, to be looked at."""
    return InputError("kernel.bad_name", name=slip.path, slip=slip)


def read(**values: Any) -> Section:
    return Section(values, refuse=room)


def refused(call: Callable[[], object]) -> Slip:
    with pytest.raises(InputError) as caught:
        call()
    slip = caught.value.facts["slip"]
    assert isinstance(slip, Slip)
    return slip


def test_each_kind_is_taken_as_it_was_written() -> None:
    table = read(
        text=" a ", line=" a ", texts=["", " b"], lines=[" b "], whole=3, number=2, flag=False,
        choice="left", facts={"any": [1]},
    )  # fmt: skip
    assert table.text("text") == " a "
    assert table.line("line") == "a"
    assert table.texts("texts") == ("", " b")
    assert table.lines("lines") == ("b",)
    assert table.whole("whole") == 3
    assert isinstance(table.number("number"), float)
    assert table.flag("flag") is False
    assert table.choice("choice", ("left", "right")) == "left"
    assert table.facts("facts") == {"any": [1]}
    table.end()


def test_an_absent_key_takes_the_default() -> None:
    table = read()
    assert table.text("text", default="") == ""
    assert table.line("line", default="") == ""
    assert table.texts("texts", default=()) == ()
    assert table.whole("whole", default=0) == 0
    assert table.number("number", default=1) == 1.0
    assert table.flag("flag", default=False) is False
    assert table.choice("choice", ("left", "right"), default="left") == "left"
    assert table.facts("facts") == {}
    assert not table.has("any")


@pytest.mark.parametrize(
    "call",
    [
        lambda table: table.text("key"),
        lambda table: table.line("key"),
        lambda table: table.texts("key"),
        lambda table: table.lines("key"),
        lambda table: table.whole("key"),
        lambda table: table.number("key"),
        lambda table: table.flag("key"),
        lambda table: table.choice("key", ("left",)),
        lambda table: table.section("key"),
        lambda table: table.sections("key"),
    ],
)
def test_without_a_default_a_key_is_required(call: Callable[[Section], object]) -> None:
    slip = refused(lambda: call(read()))
    assert (slip.fault, slip.path) == (Fault.MISSING, "key")


@pytest.mark.parametrize(
    ("call", "value", "fault"),
    [
        (lambda table: table.text("key"), 3, Fault.TEXT),
        (lambda table: table.text("key", default=""), None, Fault.TEXT),
        (lambda table: table.line("key"), " ", Fault.TEXT),
        (lambda table: table.line("key", default="north"), "", Fault.TEXT),
        (lambda table: table.line("key", default=""), " ", Fault.TEXT),
        (lambda table: table.texts("key"), "a", Fault.TEXTS),
        (lambda table: table.texts("key"), ["a", 1], Fault.TEXTS),
        (lambda table: table.lines("key"), [], Fault.TEXTS),
        (lambda table: table.lines("key"), ["a", " "], Fault.TEXTS),
        (lambda table: table.whole("key"), True, Fault.WHOLE),
        (lambda table: table.whole("key"), 3.0, Fault.WHOLE),
        (lambda table: table.whole("key"), "3", Fault.WHOLE),
        (lambda table: table.whole("key", digits=True), "-3", Fault.WHOLE),
        (lambda table: table.number("key"), True, Fault.NUMBER),
        (lambda table: table.number("key"), math.inf, Fault.NUMBER),
        (lambda table: table.number("key"), math.nan, Fault.NUMBER),
        (lambda table: table.number("key"), 10**400, Fault.NUMBER),
        (lambda table: table.flag("key"), 1, Fault.FLAG),
        (lambda table: table.choice("key", ("a",)), ["a"], Fault.CHOICE),
        (lambda table: table.facts("key"), [], Fault.TABLE),
        (lambda table: table.section("key"), [{}], Fault.TABLE),
        (lambda table: table.section("key", optional=True), None, Fault.TABLE),
        (lambda table: table.sections("key"), {}, Fault.TABLES),
        (lambda table: table.sections("key"), [], Fault.TABLES),
        (lambda table: table.sections("key", optional=True), [{}, 3], Fault.TABLES),
    ],
)
def test_a_value_of_another_kind_is_refused(
    call: Callable[[Section], object], value: object, fault: Fault
) -> None:
    slip = refused(lambda: call(read(key=value)))
    assert (slip.fault, slip.path) == (fault, "key")


@pytest.mark.parametrize("value", [4, 11])
def test_a_number_out_of_range_is_refused_with_its_range(value: int) -> None:
    table = read(key=value)
    for take in (table.whole, table.number):
        assert refused(partial(take, "key", low=5, high=10)).facts == {"low": 5, "high": 10}
    assert read(key=5).whole("key", low=5, high=10) == 5
    assert read(key=10).number("key", low=5, high=10) == 10


def test_a_wrong_choice_is_refused_with_what_is_allowed() -> None:
    slip = refused(lambda: read(key="up").choice("key", ("left", "right")))
    assert slip.facts == {"allowed": ("left", "right")}


def test_digits_count_as_a_whole_number_where_that_is_asked_for() -> None:
    assert read(key="12").whole("key", low=5, digits=True) == 12


def test_what_nobody_asked_for_is_refused_with_what_is_known() -> None:
    table = read(rounds=3, round=4)
    assert table.names() == ["rounds", "round"]
    table.whole("rounds")
    table.text("title", default="")
    assert table.names() == ["round"]
    slip = refused(table.end)
    assert (slip.fault, slip.key) == (Fault.UNKNOWN, "round")
    assert slip.facts == {"known": ("rounds", "title")}


def test_a_key_counts_as_asked_for_even_when_it_is_only_looked_for() -> None:
    table = read(key=3)
    assert table.has("key")
    table.end()


def test_a_slip_below_names_its_way() -> None:
    top = read(plan={"sites": [{"name": "north"}, {"seed": "x"}]})
    north, other = top.section("plan").sections("sites")
    assert north.text("name") == "north"
    slip = refused(lambda: other.whole("seed"))
    assert (slip.path, slip.key) == ("plan.sites[2].seed", "seed")
    assert [step.name for step in slip.way] == ["", "2", ""]
    slip = refused(lambda: north.whole("rounds"))
    assert [step.name for step in slip.way] == ["", "north", ""]


def test_a_room_has_slips_of_its_own() -> None:
    def refuse() -> None:
        raise read(title="x" * 99).refuse("room.too_long", "title", most=64)

    slip = refused(refuse)
    assert (slip.fault, slip.path, slip.facts) == ("room.too_long", "title", {"most": 64})


def test_an_absent_optional_table_reads_as_empty() -> None:
    assert read().section("hub", optional=True).whole("port", default=1) == 1
    assert read().sections("study", optional=True) == []


def test_a_room_chooses_the_family_of_its_errors() -> None:
    def refuse(slip: Slip) -> ConsiliumError:
        return IntegrityError("kernel.bad_name", name=slip.key)

    with pytest.raises(IntegrityError):
        Section({}, refuse=refuse).section("a", optional=True).text("b")


@pytest.mark.parametrize(
    ("value", "is_one"),
    [(0, True), (-2.5, True), (1e308, True), (10**309, False), (math.nan, False), (True, False),
     ("1", False), (None, False)],
)  # fmt: skip
def test_a_number_is_what_a_double_can_hold(value: object, is_one: bool) -> None:
    assert is_number(value) is is_one
