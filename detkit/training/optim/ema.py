"""Exponential moving average of a model's weights."""

from __future__ import annotations

import copy
import math
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from detkit.training.config import EMAConfig

M = TypeVar("M", bound=nn.Module)


class EMA(Generic[M]):
    """Copy of a model (``model``) whose weights and float buffers are moving averages of those of the trained model.

    Integer buffers are copied. The decay warms up, so that the weights of the first steps are soon forgotten.

    Attributes:
        model: The average.
        updates: Number of updates.
        restarted: Whether :meth:`restart` was called.
    """

    def __init__(self, model: M, config: EMAConfig) -> None:
        self.config = config
        self.updates = 0
        self.restarted = False
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    def decay(self) -> float:
        """Return the fraction of the average that is kept at the next update."""
        decay = self.config.restart.decay if self.restarted and self.config.restart else self.config.decay
        if not self.config.warmup_steps:
            return decay
        return decay * (1 - math.exp(-(self.updates + 1) / self.config.warmup_steps))

    def restart(self) -> None:
        """Use the decay of ``config.restart`` from now on."""
        self.restarted = True

    @torch.no_grad()
    def update(self, model: M) -> None:
        """Move the average toward the current weights of the model."""
        averages: list[Tensor] = []
        values: list[Tensor] = []
        for average, value in zip(_tensors(self.model), _tensors(model), strict=True):
            if average.is_floating_point():
                averages.append(average)
                values.append(value.detach())
            else:
                average.copy_(value)
        torch._foreach_lerp_(averages, values, 1 - self.decay())
        self.updates += 1

    def state(self) -> dict[str, Any]:
        """Return the state for :meth:`load`, from which the average continues exactly."""
        return {"updates": self.updates, "restarted": self.restarted, "model": dict(self.model.state_dict())}

    def load(self, state: dict[str, Any]) -> None:
        """Resume from the result of :meth:`state`."""
        self.updates = int(state["updates"])
        self.restarted = bool(state.get("restarted", False))
        self.model.load_state_dict(state["model"])


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
