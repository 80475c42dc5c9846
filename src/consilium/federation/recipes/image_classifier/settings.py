"""The settings of `recipe.toml`, typed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consilium.federation.networks import Optimising, RoundPlan, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a study may set; `recipe.toml` says the meaning and range of each."""

    network: str = "resnet10"
    width: int = 16
    size: int = 64
    shrink: int = 1
    shrink_by: str = "stride"
    norm: str = "group"
    drop: float = 0.0
    normalise: str = "site"
    flip: str = "horizontal"
    rotate: float = 15.0
    shift: float = 0.1
    zoom: float = 0.1
    intensity: float = 0.2
    mixup: float = 0.0
    smoothing: float = 0.1
    balance: str = "none"
    views: str = "one"
    optimiser: str = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 0.05
    schedule_rounds: int = 0
    local_epochs: int = 1
    batch_size: int = 32
    proximal_mu: float = 0.0
    personal: str = "none"
    ditto_lambda: float = 0.1
    personal_from: int = 1
    train: str = "all"
    start_model: str = ""
    start_folder: str = ""
    validation_share: float = 0.15
    precision: str = "full"
    threads: int = 0
    clip: float = 0.0
    noise: float = 0.0
    rate: float = 0.3
    local_steps: int = 10

    @property
    def round_plan(self) -> RoundPlan:
        """How a site trains in a round."""
        return RoundPlan(
            optimising=Optimising(
                kind=self.optimiser,
                learning_rate=self.learning_rate,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                schedule=Schedule(rounds=self.schedule_rounds),
            ),
            epochs=self.local_epochs,
            batch_size=self.batch_size,
            proximal_mu=self.proximal_mu,
            ditto_lambda=self.ditto_lambda if self.personal == "ditto" else None,
            personal_from=self.personal_from,
            keeps_batch_norm=self.norm == "local_batch",
            threads=self.threads,
            mixed=self.precision == "mixed",
        )

    @property
    def alone(self) -> Settings:
        """The same for a site alone, without what makes sense only in a federation."""
        return replace(
            self,
            proximal_mu=0.0,
            personal="none",
            norm="batch" if self.norm == "local_batch" else self.norm,
            noise=0.0,
            balance="none" if self.balance == "prior" else self.balance,
        )
