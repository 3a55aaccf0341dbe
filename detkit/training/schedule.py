"""Schedules: the learning rate as a factor of how far the run has come, so that short runs and budgets scale."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator

from detkit.config import Config


class _Schedule(Config):
    warmup_steps: int = Field(default=1000, ge=0)
    """Iterations over which the rate rises linearly; 0 is no warm-up."""
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    """Share of the run over which it rises at most; the warm-up ends with whichever comes first, so that short runs scale."""
    warmup_start: float = Field(default=0.001, ge=0, le=1)
    """The factor it rises from."""

    def factor(self, step: int, progress: float) -> float:
        """What the base rate is multiplied with.

        Args:
            step: Optimizer steps made before this one.
            progress: Share of the run that is over, in [0, 1], by iterations or by the budget.
        """
        risen = 1.0
        if self.warmup_steps and self.warmup_fraction:
            risen = min(1.0, max(step / self.warmup_steps, progress / self.warmup_fraction))
        return (self.warmup_start + (1 - self.warmup_start) * risen) * self.after_warmup(min(max(progress, 0.0), 1.0))

    def after_warmup(self, progress: float) -> float:
        """The factor without warm-up."""
        raise NotImplementedError


class MultistepConfig(_Schedule):
    """The rate drops at milestones; the default is the 1x schedule of COCO (60k and 80k of 90k iterations)."""

    kind: Literal["multistep"] = "multistep"
    milestones: tuple[float, ...] = (2 / 3, 8 / 9)
    """Shares of the run after which the rate drops, rising."""
    drop_factor: float = Field(default=0.1, gt=0, le=1)
    """Times the rate at each milestone."""

    @field_validator("milestones")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(value) or any(not 0 < share < 1 for share in value):
            raise ValueError(f"expected rising shares of the run between 0 and 1, got {value}")
        return value

    def after_warmup(self, progress: float) -> float:
        """The factor without warm-up."""
        return float(self.drop_factor ** sum(progress >= share for share in self.milestones))


class CosineConfig(_Schedule):
    """The rate falls along half a cosine (arXiv:1608.03983, without restarts)."""

    kind: Literal["cosine"] = "cosine"
    final_factor: float = Field(default=0.01, ge=0, le=1)
    """The factor at the end of the run."""

    def after_warmup(self, progress: float) -> float:
        """The factor without warm-up."""
        return self.final_factor + (1 - self.final_factor) * 0.5 * (1 + math.cos(math.pi * progress))


ScheduleConfig = Annotated[MultistepConfig | CosineConfig, Field(discriminator="kind")]
