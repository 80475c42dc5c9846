"""Presets: from a word in a draft to the noise of a plan.

`audit` draws no noise and only clips, `standard` costs an epsilon of 8 over the
whole study, `strict` one of 1. What they cost in accuracy stands in
docs/privacy.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from consilium.gate.accounting import MOST_DELTA, noise_for
from consilium.gate.orders import NOISE_RANGES, NOISY, FieldNeed, NoisePlan
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError

AUDIT, STANDARD, STRICT = "audit", "standard", "strict"
EPSILONS: Mapping[str, float | None] = {AUDIT: None, STANDARD: 8.0, STRICT: 1.0}
CLIP, RATE, STEPS = 1.0, 0.3, 10
"""Chosen on validation parts of training data (benchmarks/privacy.py)."""
USUAL_DELTA = 1e-5
"""Or a tenth of one over the largest hospital's cases, where that is less. A dataset's
usual budget holds ten studies of it."""
_WHOLE = ("steps",)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyWish:
    """What a draft says of noise. `None` and 0 leave a value to the preset.

    `ranges` holds the least and greatest usual value by column; columns that it
    does not name keep the plausible range of the lead's catalogue entry.
    """

    preset: str = STANDARD
    epsilon: float = 0.0
    delta: float = 0.0
    clip: float = CLIP
    rate: float = RATE
    steps: int = STEPS
    figures: str = NOISY
    ranges: dict[str, Any] = field(default_factory=dict)


def read_wish(value: Json) -> PrivacyWish:
    """Read the `privacy` table of a draft.

    Raises
    ------
    InputError
        `study.bad_plan` naming the field.

    Discloses
    ---------
    Nothing.
    """
    if not isinstance(value, Mapping):
        raise _bad("", "is no table")
    known = {item.name for item in fields(PrivacyWish)}
    for name in value:
        if name not in known:
            raise _bad(str(name)[:80], "is not known")
    wish = PrivacyWish(**dict(value))  # type: ignore[arg-type]
    if wish.preset not in EPSILONS:
        raise _bad("preset", f"is none of {', '.join(EPSILONS)}")
    for name, (low, high) in NOISE_RANGES.items():
        given = getattr(wish, name, low)
        is_left_open = name in ("epsilon", "delta") and given == 0
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        if not is_number or (name in _WHOLE and given != int(given)):
            raise _bad(name, "is not a number")
        if not is_left_open and not low <= given <= high:
            raise _bad(name, f"is not between {low} and {high}")
    if not isinstance(wish.ranges, Mapping) or not all(map(_is_range, wish.ranges.values())):
        raise _bad("ranges", "are not pairs of a least and a greatest value")
    return replace(wish, steps=int(wish.steps))


def plan_noise(wish: PrivacyWish, *, rounds: int, cases: int) -> NoisePlan | None:
    """Work out how much noise a study needs; None for `audit`.

    Parameters
    ----------
    rounds : int
        Of the whole study.
    cases : int
        Training cases of the largest hospital; 0 where none shows them.

    Raises
    ------
    InputError
        `gate.bad_noise` when no noise is enough.

    Discloses
    ---------
    Nothing.
    """
    preset = EPSILONS[wish.preset]
    if preset is None:
        return None
    epsilon = float(wish.epsilon or preset)
    delta = float(wish.delta or min(USUAL_DELTA, _round_down(MOST_DELTA / max(cases, 1))))
    noise = noise_for(
        epsilon=epsilon, rate=float(wish.rate), steps=rounds * wish.steps, delta=delta
    )
    return NoisePlan(
        epsilon=epsilon,
        delta=delta,
        clip=float(wish.clip),
        noise=noise,
        rate=float(wish.rate),
        steps=wish.steps,
        figures=wish.figures,
    )


def settings_of(wish: PrivacyWish, plan: NoisePlan | None) -> dict[str, Any]:
    """Give the recipe settings that say what the plan says.

    Discloses
    ---------
    Nothing.
    """
    noise = 0.0 if plan is None else plan.noise
    return {
        "clip": float(wish.clip),
        "noise": noise,
        "rate": float(wish.rate),
        "local_steps": wish.steps,
    }


def declare_ranges(
    features: tuple[FieldNeed, ...], wish: PrivacyWish, shown: Mapping[str, Any]
) -> tuple[FieldNeed, ...]:
    """Put the usual range of each number into the needs of a plan.

    Parameters
    ----------
    shown : mapping of str to sequence of float
        Plausible ranges of the catalogue, for columns that the wish leaves out.

    Raises
    ------
    InputError
        `federation.no_range` when neither names a column.

    Discloses
    ---------
    Nothing: both were written down before anything was computed.
    """
    found = []
    for need in features:
        if need.kind != "number":
            found.append(need)
            continue
        declared = wish.ranges.get(need.name) or shown.get(need.name)
        if not declared or not _is_range(declared):
            raise InputError("federation.no_range", column=need.name)
        found.append(replace(need, range=(float(declared[0]), float(declared[1]))))
    return tuple(found)


def _is_range(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return all(isinstance(one, int | float) for one in value) and bool(value[0] < value[1])


def _round_down(value: float) -> float:
    """Keep two digits, never more than the value."""
    shown = float(f"{value:.1e}")
    return shown if shown <= value else float(f"{value * 0.95:.1e}")


def _bad(name: str, reason: str) -> InputError:
    field_ = f"privacy.{name}" if name else "privacy"
    return InputError("study.bad_plan", field=field_, reason=reason)
