"""Learning rate schedules: a factor that depends on the progress of the run, so that it adapts to short runs and budgets."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from detkit.config import Config


class _Schedule(Config):
    warmup_steps: int = Field(default=1000, ge=0)
    """Steps of the warm-up; 0 disables it."""
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    """Longest warm-up as a fraction of the run; the shorter of the two limits counts, so that it adapts to short runs."""
    warmup_start: float = Field(default=0.001, ge=0, le=1)
    """Factor of the learning rate at the start of the warm-up."""
    warmup_shape: Literal["linear", "quadratic"] = "linear"
    """Whether the learning rate rises with the steps of the warm-up or with their square."""

    def factor(self, step: int, progress: float) -> float:
        """Return the factor of the base learning rate.

        Args:
            step: Optimizer steps made before this one.
            progress: Fraction of the run that is done, in [0, 1], by steps or by budget.
        """
        warmup = 1.0
        if self.warmup_steps and self.warmup_fraction:
            warmup = min(1.0, max(step / self.warmup_steps, progress / self.warmup_fraction))
        if self.warmup_shape == "quadratic":
            warmup *= warmup
        return (self.warmup_start + (1 - self.warmup_start) * warmup) * self.after_warmup(min(max(progress, 0.0), 1.0))

    def after_warmup(self, progress: float) -> float:
        """Return the factor without warm-up."""
        raise NotImplementedError


class MultistepConfig(_Schedule):
    """The learning rate drops at milestones; the default is COCO's 1x schedule (60k and 80k of 90k iterations), none keeps it constant."""

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


class FlatCosineConfig(_Schedule):
    """The learning rate is constant, then falls along half a cosine, then stays at its final value (DEIM, arXiv:2412.04234).

    The defaults are those of DEIM's code (``FlatCosineLRScheduler``) for D-FINE-S: 132 epochs, of which 64 are flat and the last 12 without
    augmentation.
    """

    kind: Literal["flat_cosine"] = "flat_cosine"
    warmup_steps: int = Field(default=2000, ge=0)
    """Steps of the warm-up; 0 disables it."""
    warmup_start: float = Field(default=0.0, ge=0, le=1)
    """Factor of the learning rate at the start of the warm-up."""
    warmup_shape: Literal["linear", "quadratic"] = "quadratic"
    """Whether the learning rate rises with the steps of the warm-up or with their square."""
    flat_until: float = Field(default=64 / 132, ge=0, le=1)
    """Fraction of the run until which the learning rate is constant, warm-up included."""
    cosine_until: float = Field(default=120 / 132, ge=0, le=1)
    """Fraction of the run from which the learning rate has its final value; usually where augmentation stops."""
    final_factor: float = Field(default=0.5, ge=0, le=1)
    """Factor of the learning rate at the end of the run."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.flat_until > self.cosine_until:
            raise ValueError(f"expected flat_until <= cosine_until, got {self.flat_until} and {self.cosine_until}")
        return self

    def after_warmup(self, progress: float) -> float:
        """Return the factor without warm-up."""
        if progress <= self.flat_until:
            return 1.0
        if progress >= self.cosine_until:
            return self.final_factor
        fallen = (progress - self.flat_until) / (self.cosine_until - self.flat_until)
        return self.final_factor + (1 - self.final_factor) * 0.5 * (1 + math.cos(math.pi * fallen))


AnySchedule = MultistepConfig | CosineConfig | FlatCosineConfig
"""Any learning rate schedule."""
ScheduleConfig = Annotated[AnySchedule, Field(discriminator="kind")]
