"""What the quality report says of pictures: how many, how alike, how large, how bright.

Coarse on purpose, counts and shares only; no picture can be told from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from consilium.kernel.errors import InputError
from consilium.readers.album import Album, Kept
from consilium.readers.likeness import Parts, count_copies, count_near
from consilium.readers.records import Progress
from consilium.readers.schema import Schema

SIZES = (128, 256, 512, 1024, 2048, 4096)
"""Bounds of the longer side, in picture elements."""

SHADES = 5
"""Steps of brightness, from black to white."""

MOSTLY = 0.5
"""Above this share of unusable pictures the schema or the folder is wrong."""


def check_pictures(schema: Schema, album: Album) -> None:
    """Refuse a source whose pictures cannot be what the schema says.

    Raises
    ------
    InputError
        `readers.unfit_images` when most of a field's cannot be used, or any
        where the schema refuses gaps.
    """
    total = album.cases + len(album.lost)
    for one in schema.pictures:
        unfit = album.kept[one.name].unfit
        count = unfit.total()
        if count > MOSTLY * total or (schema.missing == "refuse" and count):
            reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(unfit.items()))
            raise InputError(
                "readers.unfit_images", field=one.name, count=count, rows=total, reasons=reasons
            )


def describe_pictures(
    schema: Schema, album: Album | None, part: Parts, *, progress: Progress
) -> dict[str, Any]:
    """Describe each field of pictures or signals by name; empty without any.

    Returns
    -------
    dict
        For each field `kind`, `read`, `unfit` (by reason), and where they mean
        something `copies`, `near_copies` (each `all` and `held_out`),
        `longer_side`, `brightness`, `marked`.
    """
    if album is None:
        return {}
    found = {}
    for one in schema.pictures:
        kept = album.kept[one.name]
        is_mask = schema.label.kind == "mask" and one.name == schema.label.field
        found[one.name] = {
            "kind": "mask" if is_mask else one.kind,
            "read": len(kept.digests),
            "unfit": dict(sorted(kept.unfit.items())),
            **({} if is_mask else _copies(kept, part, progress)),
            **({"longer_side": _sizes(kept.sides)} if kept.sides else {}),
            **({"brightness": _shades(kept.brightness)} if kept.brightness else {}),
            **({"marked": round(float(np.mean(kept.marked)), 3)} if is_mask else {}),
        }
    return found


def public_pictures(pictures: Mapping[str, Any], *, smallest: int) -> dict[str, Any]:
    """Return what of it a catalogue may show: kind and count, unless that is small."""
    return {
        name: {"kind": one["kind"], "read": one["read"] if one["read"] >= smallest else None}
        for name, one in pictures.items()
    }


def _copies(kept: Kept, part: Parts, progress: Progress) -> dict[str, Any]:
    digests = np.frombuffer(b"".join(kept.digests), dtype="V32")
    same = count_copies(digests, part)
    found = {"copies": {"all": same.all, "held_out": same.held_out}}
    if kept.hashes:
        near = count_near(np.stack(kept.hashes), part, progress=progress)
        found["near_copies"] = {"all": near.all, "held_out": near.held_out}
    return found


def _sizes(sides: list[int]) -> dict[str, int]:
    """Count pictures by the longer side they had in their files."""
    counts = np.bincount(np.searchsorted(SIZES, sides), minlength=len(SIZES) + 1)
    names = [*(f"<= {size}" for size in SIZES), f"> {SIZES[-1]}"]
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def _shades(brightness: list[float]) -> dict[str, Any]:
    """Return mean brightness in hundredths, and pictures by fifths from dark to bright."""
    steps = np.clip((np.array(brightness) * SHADES).astype(int), 0, SHADES - 1)
    counts = np.bincount(steps, minlength=SHADES)
    return {"mean": round(float(np.mean(brightness)), 2), "by_fifth": [int(one) for one in counts]}
