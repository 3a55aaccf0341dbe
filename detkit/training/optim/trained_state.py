"""The tensors that gradient training changes, and their reset to the best evaluation before the last part of a training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from detkit.checkpoint import load_state, save_state
from detkit.training.config import EMARestartConfig
from detkit.training.optim.ema import EMA
from detkit.training.saved_state import explain_foreign_state, load_optimizer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainedState:
    """The tensors that gradient training changes.

    Attributes:
        detector: The model.
        optimizer: Its optimizer.
        ema: The moving average of its weights.
        adapters: Layers that are trained with it, for distillation.
    """

    detector: nn.Module
    optimizer: torch.optim.Optimizer
    ema: EMA[Any] | None
    adapters: nn.Module

    def state(self) -> dict[str, Any]:
        """Return the tensors for :meth:`load`."""
        return {
            "detector": dict(self.detector.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state() if self.ema else None,
            "adapters": dict(self.adapters.state_dict()),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore the result of :meth:`state`."""
        self.detector.load_state_dict(state["detector"])
        load_optimizer(self.optimizer, state["optimizer"])
        if len(list(self.adapters.children())):
            self.adapters.load_state_dict(state.get("adapters", {}))
        if self.ema:
            self.ema.load(state["ema"])


class EMARestart:
    """Continue once from the best evaluation so far, with another decay of the moving average.

    D-FINE and DEIM do so where augmentation stops (``stop_epoch`` and ``ema_restart_decay`` in their ``det_solver.py``): weights, average
    and optimizer are those of the best evaluation. Their code stores the decay without using it; here it is used.

    Args:
        config: When, and the decay from then on.
        trained: The tensors that are reset.
        path: File that holds them as they were at the best evaluation so far.
    """

    def __init__(self, config: EMARestartConfig, trained: TrainedState, path: Path) -> None:
        self.config, self.trained, self.path = config, trained, path

    @property
    def is_done(self) -> bool:
        """Whether the training has been restarted."""
        return self.trained.ema is not None and self.trained.ema.restarted

    def keep(self, step: int) -> None:
        """Write the tensors of the best evaluation, which was made after ``step`` steps; only in the first process."""
        save_state(self.path, {"step": step, **self.trained.state()})

    def run(self, progress: float, best_step: int | None, last: Path) -> None:
        """Restart if it is due and was not done before.

        Args:
            progress: Fraction of the training that is done.
            best_step: Step of the best evaluation; None if there was none, so that only the decay changes.
            last: Newest checkpoint of the run, for messages.

        Raises:
            ValueError: If the file of the best evaluation is missing or is not of ``best_step``.
        """
        if self.is_done or self.trained.ema is None or progress < self.config.at:
            return
        if best_step is not None:
            self._load(best_step, last)
        self.trained.ema.restart()
        source = "the current weights" if best_step is None else f"the best evaluation (step {best_step})"
        _log.info("%.0f %% of the training: continuing from %s with EMA decay %g", 100 * progress, source, self.config.decay)

    def _load(self, best_step: int, last: Path) -> None:
        state = load_state(self.path) if self.path.is_file() else {}
        if state.get("step") != best_step:
            got = f"that of step {state['step']}" if "step" in state else "no file"
            raise ValueError(
                f"training.ema.restart: expected the state of the best evaluation, step {best_step}, in {self.path}, got {got}; set "
                f"training.ema.restart=none, or start a new run with weights={last}"
            )
        with explain_foreign_state(self.path, last):
            self.trained.load(state)

    def clean(self) -> None:
        """Remove the file once it is not needed any more; only in the first process."""
        if self.is_done:
            self.path.unlink(missing_ok=True)
