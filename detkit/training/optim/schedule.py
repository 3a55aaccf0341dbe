"""Learning rate schedules: a factor that depends on the progress of the run, so that it adapts to short runs and budgets."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator

from detkit.config import Config


class _Schedule(Config):
    warmup_steps: int = Field(default=1000, ge=0)
    """Steps of the linear warm-up; 0 disables it."""
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    """Longest warm-up as a fraction of the run; the shorter of the two limits counts, so that it adapts to short runs."""
    warmup_start: float = Field(default=0.001, ge=0, le=1)
    """Factor of the learning rate at the start of the warm-up."""

    def factor(self, step: int, progress: float) -> float:
        """Return the factor of the base learning rate.

        Args:
            step: Optimizer steps made before this one.
            progress: Fraction of the run that is done, in [0, 1], by steps or by budget.
        """
        warmup = 1.0
        if self.warmup_steps and self.warmup_fraction:
            warmup = min(1.0, max(step / self.warmup_steps, progress / self.warmup_fraction))
        return (self.warmup_start + (1 - self.warmup_start) * warmup) * self.after_warmup(min(max(progress, 0.0), 1.0))

    def after_warmup(self, progress: float) -> float:
        """Return the factor without warm-up."""
        raise NotImplementedError


class MultistepConfig(_Schedule):
    """The learning rate drops at milestones; the default is COCO's 1x schedule (60k and 80k of 90k iterations)."""

    kind: Literal["multistep"] = "multistep"
    milestones: tuple[float, ...] = (2 / 3, 8 / 9)
    """Fractions of the run after which the learning rate drops, in ascending order."""
    drop_factor: float = Field(default=0.1, gt=0, le=1)
    """Factor of the learning rate at each milestone."""

    @field_validator("milestones")
    @classmethod
    def _check_ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(value) or any(not 0 < fraction < 1 for fraction in value):
            raise ValueError(f"expected fractions of the run between 0 and 1 in ascending order, got {value}")
        return value

    def after_warmup(self, progress: float) -> float:
        """Return the factor without warm-up."""
        return float(self.drop_factor ** sum(progress >= milestone for milestone in self.milestones))


class CosineConfig(_Schedule):
    """The learning rate falls along half a cosine (arXiv:1608.03983, without restarts)."""

    kind: Literal["cosine"] = "cosine"
    final_factor: float = Field(default=0.01, ge=0, le=1)
    """Factor of the learning rate at the end of the run."""

    def after_warmup(self, progress: float) -> float:
        """Return the factor without warm-up."""
        return self.final_factor + (1 - self.final_factor) * 0.5 * (1 + math.cos(math.pi * progress))


ScheduleConfig = Annotated[MultistepConfig | CosineConfig, Field(discriminator="kind")]
