"""The settings of `recipe.toml`, typed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """See `recipe.toml` for ranges and meanings."""

    width: int = 16
    norm: str = "instance"
    contrast: str = "local"
    contrast_radius: float = 8.0
    channels: str = "all"
    patch: int = 128
    patches: int = 4
    augment: str = "strong"
    learning_rate: float = 0.003
    decay_rounds: int = 0
    weight_decay: float = 0.0001
    batch_size: int = 4
    epochs: int = 1
    proximal_mu: float = 0.0
    personal: str = "none"
    ditto_lambda: float = 0.1
    validation_share: float = 0.0
    precision: str = "full"
    threads: int = 0
