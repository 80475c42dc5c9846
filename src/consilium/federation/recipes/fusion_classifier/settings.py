"""The settings of `recipe.toml`, typed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """See `recipe.toml` for ranges and meanings."""

    width: int = 16
    table_layers: int = 1
    head_layers: int = 0
    modality_dropout: float = 0.3
    scaling: str = "site"
    prevalence: str = "learnt"
    optimiser: str = "adamw"
    learning_rate: float = 0.003
    decay_rounds: int = 0
    weight_decay: float = 0.01
    batch_size: int = 16
    epochs: int = 1
    proximal_mu: float = 0.0
    personal: str = "none"
    ditto_lambda: float = 0.1
    threads: int = 0
