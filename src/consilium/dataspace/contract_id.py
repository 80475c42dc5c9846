"""The 47-character id of a digital contract (数字合约), computed from an agreement.

TC609-6-2025-14, as quoted at second hand (docs/tc609.md), numbers contracts so::

    C  2  12110000400688345B  1100  20261123170500  7K2M9QXA  R
    |  |  |                   |     |               |         check character
    |  |  |                   |     |               random part
    |  |  |                   |     time, China Standard Time
    |  |  |                   region or industry
    |  |  the provider's unified social credit code (GB 32100-2015)
    |  kind of business node: 1 regional, 2 industry, 3 enterprise
    contract

Nothing is drawn by chance and nothing stored: both parties compute the same id
from the agreement and the space's register. How the official text makes the
check character and the random part is not known here; both are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from consilium.dataspace.records import Agreement
from consilium.kernel.clock import read_time
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""Digits and letters of GB 32100-2015: without I, O, S, V and Z, which are misread."""
LENGTH, CODE_LENGTH = 47, 18
NODE_TYPES = {1: "regional", 2: "industry", 3: "enterprise"}
NOWHERE = "0000"
"""Region or industry that nobody has named."""
PLACEHOLDER = "XXXXXXXX"
"""How a code begins that stands for a member without a registered one."""

_VALUE = {letter: value for value, letter in enumerate(ALPHABET)}
_BASE = len(ALPHABET)
_WEIGHT = 3
"""A primitive root of 31, so that the weights of neighbours always differ."""
_HASHED, _RANDOM = 9, 8
_TIME = "%Y%m%d%H%M%S"
_CHINA = timezone(timedelta(hours=8))
_PARTS = {"kind": 1, "node": 1, "subject": 18, "area": 4, "time": 14, "random": 8, "check": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """What a space says about itself and its members' codes.

    Parameters
    ----------
    node_type : int
        Kind of business node, a key of `NODE_TYPES`.
    area : str
        Code of the region or industry, four characters of `ALPHABET`.
    subjects : mapping of ParticipantId to str
        Registered unified social credit codes; others get a placeholder.

    Raises
    ------
    InputError
        `dataspace.bad_contract_id`, `dataspace.bad_credit_code`.
    """

    node_type: int = 2
    area: str = NOWHERE
    subjects: Mapping[ParticipantId, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no contract id can be made of."""
        whole = len(self.area) == len(NOWHERE) and not set(self.area) - set(ALPHABET)
        if self.node_type not in NODE_TYPES or not whole:
            raise InputError("dataspace.bad_contract_id", id=f"C{self.node_type}…{self.area}")
        for code in self.subjects.values():
            verify_credit_code(code)

    def id_of(self, agreement: Agreement) -> str:
        """Compute the contract id of an agreement; the provider is its subject.

        Discloses
        ---------
        Nothing by itself. The id tells the provider's code and the time of agreement.
        """
        code = self.subjects.get(agreement.provider) or placeholder_code(agreement.provider)
        moment = read_time(str(agreement.policy["timestamp"])).astimezone(_CHINA)
        random = _spell(agreement.id, _RANDOM)
        body = f"C{self.node_type}{code}{self.area}{moment:{_TIME}}{random}"
        return body + check_character(body)


def read_contract_id(text: str) -> dict[str, str]:
    """Take a contract id apart, by the names of its parts.

    Raises
    ------
    InputError
        `dataspace.bad_contract_id`.

    Discloses
    ---------
    Nothing.
    """
    parts, start = {}, 0
    for name, length in _PARTS.items():
        parts[name] = text[start : start + length]
        start += length
    is_whole = len(text) == LENGTH and not set(text) - set(ALPHABET)
    fits = is_whole and parts["kind"] == "C" and parts["node"] in {str(one) for one in NODE_TYPES}
    if not fits or check_character(text[:-1]) != text[-1] or not _is_time(parts["time"]):
        raise InputError("dataspace.bad_contract_id", id=text[: 2 * LENGTH])
    return parts


def verify_credit_code(code: str) -> None:
    """Return if this is a unified social credit code (GB 32100-2015) with a right check character.

    Raises
    ------
    InputError
        `dataspace.bad_credit_code`.

    Discloses
    ---------
    Nothing.
    """
    is_whole = len(code) == CODE_LENGTH and not set(code) - set(ALPHABET)
    if not is_whole or check_character(code[:-1]) != code[-1]:
        raise InputError("dataspace.bad_credit_code", subject=code[: 2 * CODE_LENGTH])


def placeholder_code(participant: ParticipantId) -> str:
    """Compute a stand-in for a missing code: always the same, and never a valid code.

    It begins with eight X, and its last character is one beyond the right one.

    Discloses
    ---------
    Nothing.
    """
    body = PLACEHOLDER + _spell(participant, _HASHED)
    return body + ALPHABET[(_VALUE[check_character(body)] + 1) % _BASE]


def is_placeholder(contract_id: str) -> bool:
    """Say whether a contract id bears a stand-in instead of a registered code.

    Discloses
    ---------
    Nothing.
    """
    return contract_id[2:].startswith(PLACEHOLDER)


def check_character(body: str) -> str:
    """Compute the check character of letters in `ALPHABET`, as GB 32100 does for its codes.

    Letters are weighted by the powers of 3 modulo 31, which is prime. So every
    single wrong letter and every exchange of two neighbours is found. (ISO 7064
    MOD 37,36 misses some exchanges; MOD 37-2 needs a star as 37th letter.)

    Discloses
    ---------
    Nothing.
    """
    total = sum(_VALUE[letter] * pow(_WEIGHT, place, _BASE) for place, letter in enumerate(body))
    return ALPHABET[-total % _BASE]


def _spell(text: str, length: int) -> str:
    """Spell the digest of a text in `ALPHABET`."""
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest())
    letters = []
    for _ in range(length):
        number, value = divmod(number, _BASE)
        letters.append(ALPHABET[value])
    return "".join(letters)


def _is_time(text: str) -> bool:
    try:
        return text.isdecimal() and bool(datetime.strptime(text, _TIME).replace(tzinfo=_CHINA))
    except ValueError:
        return False
