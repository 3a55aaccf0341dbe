"""Mean losses and step times between two log rows, collected without a GPU synchronization at each step."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from detkit.training.process.distributed import Processes


class Meter:
    """Sums of detached losses on their device, and of the seconds spent on steps and on waiting for data."""

    def __init__(self) -> None:
        self.step_seconds: float | None = None
        """Seconds of a step between the last two log rows."""
        self._reset()

    def _reset(self) -> None:
        self._losses: dict[str, Tensor] = {}
        self._batches = 0
        self._steps = 0
        self._waited = 0.0
        self._since = time.perf_counter()

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add the loss terms of one batch."""
        self._batches += 1
        for name, value in losses.items():
            value = value.detach().float()
            self._losses[name] = self._losses[name] + value if name in self._losses else value

    def step(self, waited: float) -> None:
        """Count a step, of which ``waited`` seconds were spent waiting for data."""
        self._steps += 1
        self._waited += waited

    def current_step_seconds(self) -> float | None:
        """Return the seconds of a step, before the first log row those so far; None before the first step."""
        return self.step_seconds or ((time.perf_counter() - self._since) / self._steps if self._steps else None)

    def pause(self, seconds: float) -> None:
        """Exclude ``seconds`` from the step time, such as those of an evaluation or a write."""
        self._since += seconds

    def flush(self, processes: Processes) -> tuple[dict[str, float], float, float]:
        """Return mean losses over steps and processes, seconds per step and the fraction spent waiting, and reset the meter."""
        names = sorted(self._losses)
        sums = torch.stack([self._losses[name] for name in names]).tolist() if names else []
        count = max(self._batches, 1) * processes.world
        losses = {name: value / count for name, value in zip(names, processes.sum(*sums), strict=True)}
        losses["total"] = sum(losses.values())
        spent = max(time.perf_counter() - self._since, 1e-9)
        waiting = min(1.0, self._waited / spent)
        seconds = self.step_seconds = spent / max(self._steps, 1)
        self._reset()
        return losses, seconds, waiting
