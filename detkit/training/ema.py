"""A running mean of a model's weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from detkit.training.config import EMAConfig


class EMA:
    """Keeps ``model``: a copy whose weights and float buffers are running means of those it is updated from.

    Whole-number buffers are copied. The decay warms up, so that the first steps' weights do not linger.
    """

    def __init__(self, model: nn.Module, config: EMAConfig) -> None:
        self.config = config
        self.updates = 0
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    def decay(self) -> float:
        """The share of the mean that stays at the next update."""
        if not self.config.warmup_steps:
            return self.config.decay
        return self.config.decay * (1 - math.exp(-(self.updates + 1) / self.config.warmup_steps))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the mean toward the model as it is now."""
        means: list[Tensor] = []
        values: list[Tensor] = []
        for mean, value in zip(_tensors(self.model), _tensors(model), strict=True):
            if mean.is_floating_point():
                means.append(mean)
                values.append(value.detach())
            else:
                mean.copy_(value)
        torch._foreach_lerp_(means, values, 1 - self.decay())
        self.updates += 1

    def state(self) -> dict[str, Any]:
        """What :meth:`load` needs to go on exactly."""
        return {"updates": self.updates, "model": dict(self.model.state_dict())}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.updates = int(state["updates"])
        self.model.load_state_dict(state["model"])


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
