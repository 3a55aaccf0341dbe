"""Settings of a training run: limits, precision, evaluations and checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from detkit.config import Config
from detkit.training.multi_scale import MultiScaleConfig

DEFAULT_EPOCHS = 12.0
"""Epochs of a run without any limit: COCO's 1x schedule."""

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Share = Annotated[float, Field(ge=0, lt=1)]


class EMARestartConfig(Config):
    """Continue the last part of the training from the best evaluation before it, as D-FINE and DEIM do when augmentation stops."""

    at: float = Field(default=120 / 132, gt=0, lt=1)
    """Fraction of the training at which weights, average and optimizer become those of the best evaluation so far."""
    decay: float = Field(default=0.9999, gt=0, lt=1)
    """Fraction of the average that is kept at each step from then on."""


class EMAConfig(Config):
    """Exponential moving average of weights and buffers; when set, the average is evaluated and saved."""

    decay: float = Field(default=0.9998, gt=0, lt=1)
    """Fraction of the average that is kept at each step, once warmed up."""
    warmup_steps: int = Field(default=2000, ge=0)
    """The decay rises as ``decay * (1 - exp(-step / warmup_steps))``; 0 disables the warm-up."""
    restart: EMARestartConfig | None = None
    """Continue the last part of the training from the best evaluation."""


class EarlyStoppingConfig(Config):
    """Early stopping: end the run when the best metric has not improved for a while."""

    patience: int = Field(default=5, ge=1)
    """Consecutive evaluations without an improvement after which the run ends."""
    min_gain: float = Field(default=0.001, ge=0)
    """Smallest increase that counts as an improvement, in the units of the metric (AP: 0 to 1)."""


class TrainingConfig(Config):
    """Gradient training. It ends at whichever limit is reached first, and always with an evaluation."""

    steps: int | None = Field(default=None, ge=1)
    """Maximum number of optimizer steps."""
    epochs: float | None = Field(default=None, gt=0)
    """Maximum number of passes over the training data; 12 if neither ``steps`` nor ``budget`` is set."""
    budget: float | None = Field(default=None, gt=0)
    """Maximum number of core-minutes: user and system time of all processes and their workers, start-up and validation included. The
    budget of the experiment covers all stages, including proposals and features; that of a stage covers this stage."""
    schedule_by: Literal["auto", "steps", "budget"] = "auto"
    """Whether the schedule and the evaluations follow the fraction of the steps or of the budget, so that the learning rate reaches its
    final value when the budget ends; ``auto`` uses the budget if no other limit is set."""
    accumulation_steps: int = Field(default=1, ge=1)
    """Batches whose gradients are averaged into one optimizer step."""
    clip_grad_norm: float | None = Field(default=None, gt=0)
    """Maximum norm of the gradient over all parameters; larger gradients are scaled down."""
    precision: Precision = "auto"
    """Number format of the training. ``auto``: bf16 on a CPU with native bf16 (AMX, AVX512_BF16), bf16 or fp16 on a GPU, otherwise fp32."""
    channels_last: bool = True
    """Use the channels-last memory format for convolutions."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads per process; torch's default if not set. One thread processes the most images per core-minute."""
    multi_scale: MultiScaleConfig | None = None
    """Multi-scale training: resize whole batches to another size every few steps."""
    ema: EMAConfig | None = None
    """Exponential moving average of the weights."""
    early_stopping: EarlyStoppingConfig | None = None
    """End the run when the best metric stops improving."""
    evaluations: int = Field(default=10, ge=1)
    """Number of evaluations, spread evenly over the run; the last one is at its end."""
    unfreeze: tuple[Share, ...] = ()
    """Gradual unfreezing: at each of these fractions of the training, such as ``(0.2, 0.5)``, unfreeze one more of the stages that
    ``model.backbone.frozen_stages`` froze, starting with the last."""
    best_metric: str = "AP"
    """Metric by which the best checkpoint is chosen: ``AP`` of boxes, ``AP50`` and so on; for a model with masks also ``segm_AP``,
    ``segm_AP50`` and so on."""
    log_every: int = Field(default=20, ge=1)
    """Steps between two logged rows."""
    loggers: tuple[Literal["wandb", "mlflow"], ...] = ()
    """Experiment trackers that get every number, in addition to the files of the run: ``wandb``, offline unless ``WANDB_MODE`` is set, and
    ``mlflow``, in ``mlflow.db`` next to the run unless ``MLFLOW_TRACKING_URI`` is set. A stage's own ``training`` does not change them."""
    save_minutes: float = Field(default=10.0, gt=0)
    """Minutes between two writes of the resumable state, in addition to one at each evaluation."""

    copy_to: str = ""
    """Address of a folder in object storage, such as ``s3://bucket/run``: state and checkpoints are copied there after each save, and
    ``detkit train --resume ADDRESS`` continues from them. Empty: no copies. A stage's own ``training`` does not change it."""

    @field_validator("unfreeze")
    @classmethod
    def _check_ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(value):
            raise ValueError(f"expected fractions of the training in ascending order, got {value}")
        return value

    @model_validator(mode="after")
    def _check_schedule_by(self) -> Self:
        if self.schedule_by == "budget" and self.budget is None:
            raise ValueError("schedule_by=budget needs training.budget, in core-minutes")
        if self.schedule_by == "steps" and self.budget is not None and self.steps is None and self.epochs is None:
            raise ValueError("schedule_by=steps needs training.steps or training.epochs in addition to training.budget")
        return self

    @model_validator(mode="after")
    def _check_restart(self) -> Self:
        restart = None if self.ema is None else self.ema.restart
        if restart is not None and restart.at * self.evaluations < 1:
            raise ValueError(
                f"ema.restart.at: expected a fraction of the training after the first of {self.evaluations} evaluations, "
                f"{1 / self.evaluations:g}, got {restart.at:g}; raise training.evaluations"
            )
        return self

    @property
    def follows_budget(self) -> bool:
        """Whether the schedule follows the budget instead of the steps."""
        only_budget = self.budget is not None and self.steps is None and self.epochs is None
        return self.schedule_by == "budget" or (self.schedule_by == "auto" and only_budget)

    def total_steps(self, images: int, batch_size: int) -> int | None:
        """Return the optimizer steps for ``images`` training images with ``batch_size`` per step; None if only the budget limits them."""
        epochs = DEFAULT_EPOCHS if self.epochs is None and self.steps is None and self.budget is None else self.epochs
        by_epochs = None if epochs is None else max(1, round(epochs * images / batch_size))
        limits = [limit for limit in (self.steps, by_epochs) if limit is not None]
        return min(limits) if limits else None
