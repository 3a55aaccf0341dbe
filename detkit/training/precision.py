"""Mixed precision: which one, the context of a forward pass, and the scaling of fp16 gradients."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from detkit.machine import bf16_instructions
from detkit.ops.fast_gradients import FastGradients
from detkit.training.config import Precision

log = logging.getLogger("detkit.training")

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(asked: Precision, device: torch.device) -> Precision:
    """What ``auto`` means on a device; anything else is checked and given back.

    Raises:
        ValueError: fp16 was asked for on a CPU.
    """
    if asked == "fp16" and device.type == "cpu":
        raise ValueError("training.precision=fp16: expected a GPU, got the CPU, whose fp16 is slow and unscaled; use bf16, fp32 or auto")
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device.type == "cpu" and bf16_instructions():
        return "bf16"
    return "fp32"


class MixedPrecision:
    """The autocast context and the gradient scaler of one precision on one device."""

    def __init__(self, precision: Precision, device: torch.device) -> None:
        self.precision = precision
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def is_bad(self, total: Tensor, norm: Tensor) -> Tensor:
        """Whether the sum of a step's losses or the norm of its gradient must end the run, as one bool on the device.

        In fp16 the scaler skips the step of an infinite gradient and halves its scale, from 65,536 on. With a scale below 1 it is not the
        scale that makes the gradient too large, and no further halving would help: such a run would go on without ever making a step.
        """
        bad = torch.isfinite(norm).logical_not()
        if self.precision == "fp16":
            bad = bad & (self.scaler.scale(torch.ones_like(norm)) < 1)
        return bad | torch.isfinite(total).logical_not()

    def load(self, scaler: Mapping[str, Any], precision: str | None) -> None:
        """Go on from the scaler's state, which is empty but in fp16, of a run in this precision or another; none: it was not kept."""
        if precision not in {None, self.precision}:
            log.warning("warning: the run was made in %s and goes on in %s: not exactly", precision, self.precision)
        if scaler:
            self.scaler.load_state_dict(dict(scaler))

    @contextmanager
    def context(self) -> Iterator[None]:
        """Autocast for the forward pass (not in fp32), with operations on a CPU that have a fast backward."""
        dtype = _DTYPES.get(self.precision)
        gradients = FastGradients() if self.device.type == "cpu" else nullcontext()
        with torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None), gradients:
            yield
