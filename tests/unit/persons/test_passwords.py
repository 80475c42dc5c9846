"""Passwords and names: what is taken, what is kept."""

from __future__ import annotations

import pytest

from consilium.kernel.errors import InputError
from consilium.persons.accounts import check_person_name
from consilium.persons.passwords import USUAL, Cost, hash_password, is_password

CHEAP = Cost(memory_kib=8, passes=1)


def test_the_usual_cost_is_at_least_what_owasp_asks_for() -> None:
    assert USUAL.memory_kib >= 19 * 1024
    assert USUAL.passes >= 2
    assert hash_password("a long password", name="first").startswith(
        f"$argon2id$v=19$m={USUAL.memory_kib},t={USUAL.passes},p=1$"
    )


def test_a_password_fits_its_own_hash_alone_and_no_two_hashes_are_alike() -> None:
    hashed = hash_password("天坛医院的数据不出院 2026", name="first", cost=CHEAP)
    assert is_password(hashed, "天坛医院的数据不出院 2026")
    assert not is_password(hashed, "天坛医院的数据不出院 2025")
    assert hashed != hash_password("天坛医院的数据不出院 2026", name="first", cost=CHEAP)


def test_a_letter_counts_the_same_however_the_keyboard_composed_it() -> None:
    hashed = hash_password("caf\u00e9 au lait ok", name="first", cost=CHEAP)
    assert is_password(hashed, "cafe\u0301 au lait ok")


@pytest.mark.parametrize(
    "weak", ["", "short", "x" * 12, "abcabcabcabc", "y" * 300, "Steward Person", "ab12" * 65]
)
def test_a_weak_password_is_refused(weak: str) -> None:
    with pytest.raises(InputError) as refused:
        hash_password(weak, name="steward person", cost=CHEAP)
    assert refused.value.code == "persons.weak_password"
    assert weak not in refused.value.public or not weak


def test_a_very_long_guess_is_no_password() -> None:
    assert not is_password(hash_password("a long password", name="w", cost=CHEAP), "x" * 10**6)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("管理员甲", "管理员甲"),
        ("  数据  管理员 ", "数据 管理员"),
        ("Ｓteward", "Steward"),
        ("Ärztin Süd", "Ärztin Süd"),
    ],
)
def test_a_name_of_any_script_is_kept_in_one_form(given: str, kept: str) -> None:
    assert check_person_name(given) == kept


@pytest.mark.parametrize(
    "bad",
    ["", "   ", "x" * 65, "a/b", "a:b", "a\x00b", "..", "urn:uuid:1", "a\u202eb", "a#b", "a?b"],
)
def test_a_name_that_would_confuse_is_refused(bad: str) -> None:
    with pytest.raises(InputError) as refused:
        check_person_name(bad)
    assert refused.value.code == "persons.bad_name"
