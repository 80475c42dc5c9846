"""The settings of `recipe.toml`, typed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One study's settings; `recipe.toml` says what each means and may be."""

    hidden_1: int = 32
    hidden_2: int = 0
    hidden_3: int = 0
    norm: str = "none"
    dropout: float = 0.0
    learning_rate: float = 0.05
    momentum: float = 0.0
    batch_size: int = 32
    local_steps: int = 20
    proximal_mu: float = 0.0
    l2: float = 0.0
    personal: str = "none"
    ditto_lambda: float = 0.1
    scaling: str = "site"
    target_mean: float = 0.0
    target_spread: float = 1.0
    validation_share: float = 0.2

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers that there are."""
        return tuple(width for width in (self.hidden_1, self.hidden_2, self.hidden_3) if width)
