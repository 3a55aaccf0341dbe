"""Mixed precision: choice of the number format, autocast for the forward pass, and scaling of fp16 gradients; and the memory format."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from detkit.accelerate.fast_gradients import FastGradients
from detkit.machine import bf16_support
from detkit.training.config import Precision

_log = logging.getLogger(__name__)

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(requested: Precision, device: torch.device) -> Precision:
    """Return the precision that ``auto`` stands for on a device; any other value is checked and returned.

    Raises:
        ValueError: If fp16 is requested on a CPU.
    """
    if requested == "fp16" and device.type == "cpu":
        raise ValueError("training.precision=fp16: expected a GPU, got the CPU, whose fp16 is slow and unscaled; use bf16, fp32 or auto")
    if requested == "bf16" and device.type == "cpu" and not bf16_support().fused:
        _log.warning("warning: training.precision=bf16: this CPU has no bfloat16 instructions, so fp32 is several times faster")
    if requested != "auto":
        return requested
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device.type == "cpu" and bf16_support().instructions:
        return "bf16"
    return "fp32"


def use_channels_last(module: nn.Module) -> None:
    """Convert the weights of convolutions to the channels-last memory format, in place."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's annotations


class MixedPrecision:
    """The autocast context and the gradient scaler of one precision on one device."""

    def __init__(self, precision: Precision, device: torch.device) -> None:
        self.precision = precision
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def must_stop(self, total: Tensor, norm: Tensor) -> Tensor:
        """Return whether the sum of a step's losses or its gradient norm must end the run, as a bool on the device.

        In fp16 the scaler skips a step with an infinite gradient and halves its scale, starting at 65,536. Once the scale is below 1, it
        is not the scale that makes the gradient too large, so further halving would not help and the run would never make a step.
        """
        bad = torch.isfinite(norm).logical_not()
        if self.precision == "fp16":
            bad = bad & (self.scaler.scale(torch.ones_like(norm)) < 1)
        return bad | torch.isfinite(total).logical_not()

    def backward(self, losses: Mapping[str, Tensor], batches: int = 1) -> None:
        """Add the gradients of the sum of a batch's losses, divided by the number of batches of the step."""
        total = torch.stack([value.float() for value in losses.values()]).sum() / batches
        torch.autograd.backward(self.scaler.scale(total))

    def load(self, scaler: Mapping[str, Any], precision: str | None) -> None:
        """Resume with the scaler state of a run.

        Args:
            scaler: State of the scaler; empty unless the run was in fp16.
            precision: Precision of the run; None if it was not recorded.
        """
        if precision not in {None, self.precision}:
            _log.warning(
                "warning: the run was saved in %s and is resumed in %s, so it does not continue exactly", precision, self.precision
            )
        if scaler:
            self.scaler.load_state_dict(dict(scaler))

    @contextmanager
    def context(self) -> Iterator[None]:
        """Enable autocast for the forward pass (except in fp32), and on a CPU the operations with a fast backward pass."""
        dtype = _DTYPES.get(self.precision)
        gradients = FastGradients() if self.device.type == "cpu" else nullcontext()
        with torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None), gradients:
            yield
