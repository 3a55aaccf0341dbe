"""How long a run trains, in what precision, and what it keeps."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from detkit.config import Config
from detkit.training.multi_scale import MultiScaleConfig

DEFAULT_EPOCHS = 12.0
"""The 1x schedule of COCO, for a run that sets no limit at all."""

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Share = Annotated[float, Field(ge=0, lt=1)]


class EMAConfig(Config):
    """A running mean of the weights and buffers, which is then what is evaluated and kept."""

    decay: float = Field(default=0.9998, gt=0, lt=1)
    """Share of the mean that stays at each step, once warmed up."""
    warmup_steps: int = Field(default=2000, ge=0)
    """The decay rises as ``decay * (1 - exp(-step / warmup_steps))``; 0 is no warm-up."""


class EarlyStoppingConfig(Config):
    """End the run when the measure has not improved for a while."""

    patience: int = Field(default=5, ge=1)
    """Evaluations in a row without an improvement."""
    min_gain: float = Field(default=0.001, ge=0)
    """What counts as an improvement, in the measure's own units (AP: 0 to 1)."""


class TrainingConfig(Config):
    """One run of gradient steps; it ends with whichever limit is reached first, and evaluates at its end in any case."""

    steps: int | None = Field(default=None, ge=1)
    """At most this many optimizer steps."""
    epochs: float | None = Field(default=None, gt=0)
    """At most this many passes over the training data; 12 if neither ``steps`` nor ``budget`` is set."""
    budget: float | None = Field(default=None, gt=0)
    """At most this many core-minutes: user and system time of all processes and their workers, start-up and validation included. The
    experiment's holds for all stages together, proposals and features included; a stage's own for that stage."""
    schedule_by: Literal["auto", "steps", "budget"] = "auto"
    """What the schedule and the evaluations follow: the share of the steps, or of the budget, so that the rate reaches its end as the
    budget ends; ``auto`` is the budget if nothing else is set."""
    accumulation_steps: int = Field(default=1, ge=1)
    """Batches whose gradients are averaged into one step."""
    clip_grad_norm: float | None = Field(default=None, gt=0)
    """Largest norm of the whole gradient."""
    precision: Precision = "auto"
    """``auto``: bf16 on a CPU that multiplies it natively (AMX, AVX512_BF16), bf16 or fp16 on a GPU, else fp32."""
    channels_last: bool = True
    """Keep convolutions in channels-last order."""
    threads: int | None = Field(default=None, ge=1)
    """Threads that every process computes with on a CPU; as many as torch takes unless given. One sees most images per core-minute."""
    multi_scale: MultiScaleConfig | None = None
    """Bring batches to another size every few steps."""
    ema: EMAConfig | None = None
    """Running mean of the weights."""
    early_stopping: EarlyStoppingConfig | None = None
    """End when the measure no longer improves."""
    evaluations: int = Field(default=10, ge=1)
    """Evaluations, spread evenly over the run; the last one is at its end."""
    unfreeze: tuple[Share, ...] = ()
    """Gradual unfreezing: from each of these shares of the training on, such as ``(0.2, 0.5)``, one more of the stages that
    ``model.backbone.frozen_stages`` froze learns, the last of them first."""
    best_metric: str = "AP"
    """The number of the evaluation by which the best checkpoint is chosen."""
    log_every: int = Field(default=20, ge=1)
    """Steps between two rows of the log."""
    save_minutes: float = Field(default=10.0, gt=0)
    """Minutes between two writes of the resumable state, besides one at each evaluation."""

    @field_validator("unfreeze")
    @classmethod
    def _rises(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(value):
            raise ValueError(f"expected shares of the training that rise, got {value}")
        return value

    @model_validator(mode="after")
    def _has_what_it_follows(self) -> Self:
        if self.schedule_by == "budget" and self.budget is None:
            raise ValueError("schedule_by=budget needs training.budget, in core-minutes")
        if self.schedule_by == "steps" and self.budget is not None and self.steps is None and self.epochs is None:
            raise ValueError("schedule_by=steps needs training.steps or training.epochs beside training.budget")
        return self

    @property
    def follows_budget(self) -> bool:
        """Whether the schedule follows the budget rather than the steps."""
        only_budget = self.budget is not None and self.steps is None and self.epochs is None
        return self.schedule_by == "budget" or (self.schedule_by == "auto" and only_budget)

    def total_steps(self, images: int, batch_size: int) -> int | None:
        """Optimizer steps of the run on ``images`` training images with ``batch_size`` a step, or nothing if only the budget ends it."""
        epochs = DEFAULT_EPOCHS if self.epochs is None and self.steps is None and self.budget is None else self.epochs
        by_epochs = None if epochs is None else max(1, round(epochs * images / batch_size))
        limits = [limit for limit in (self.steps, by_epochs) if limit is not None]
        return min(limits) if limits else None
