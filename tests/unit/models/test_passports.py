from typing import Any

import pytest

from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.keys import SigningKey
from consilium.models.passports import Passport, read_passport, sign_passport, verify_passport


def test_a_signed_passport_reads_back_as_it_was(
    passport: Passport, key: SigningKey, weights: bytes
) -> None:
    text = sign_passport(key, passport)
    assert verify_passport(text + "\n", key=key.public, weights=weights) == passport
    assert read_passport(text) == passport
    assert sign_passport(key, passport) == text


def test_another_key_or_other_weights_are_found(
    passport: Passport, key: SigningKey, weights: bytes
) -> None:
    text = sign_passport(key, passport)
    with pytest.raises(IntegrityError) as refusal:
        verify_passport(text, key=SigningKey.generate().public)
    assert refusal.value.code == "ledger.bad_signature"
    with pytest.raises(IntegrityError) as refusal:
        verify_passport(text, key=key.public, weights=weights + b"\x00")
    assert refusal.value.code == "models.other_weights"


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "sha256:00"},
        {"weights": None},
        {"capability": {}},
        {"lineage": None},
        {"sites": [{"participant": "x"}]},
        {"sites": 3},
        {"unknown": 1},
        {"limitations": None},
    ],
)
def test_a_misshapen_passport_is_refused(passport: Passport, change: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refusal:
        Passport.from_record(passport.as_record() | change)
    assert refusal.value.code == "models.bad_passport"


def test_a_passport_without_a_field_is_refused(passport: Passport) -> None:
    record = passport.as_record()
    for name in record:
        less = {key: value for key, value in record.items() if key != name}
        with pytest.raises(InputError):
            Passport.from_record(less)
