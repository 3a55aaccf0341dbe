"""Mixed precision: which one, the context of a forward pass, and the scaling of fp16 gradients."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import nn

from detkit.training.config import Precision

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(asked: Precision, device: torch.device, model: nn.Module) -> Precision:
    """What ``auto`` means on a device for a model; anything else is checked and given back.

    Raises:
        ValueError: fp16 was asked for on a CPU.
    """
    if asked == "fp16" and device.type == "cpu":
        raise ValueError("training.precision=fp16: expected a GPU, got the CPU, whose fp16 is slow and unscaled; use bf16, fp32 or auto")
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device.type == "cpu" and _has_amx() and not has_depthwise(model):
        return "bf16"
    return "fp32"


def has_depthwise(model: nn.Module) -> bool:
    """Whether a convolution has one group a channel: its backward in bf16 takes twice its fp32 time on a CPU."""
    return any(isinstance(m, nn.Conv2d) and m.groups > 1 and m.groups == m.in_channels for m in model.modules())


def _has_amx() -> bool:
    found = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(found()) if found is not None else False


class MixedPrecision:
    """The autocast context and the gradient scaler of one precision on one device."""

    def __init__(self, precision: Precision, device: torch.device) -> None:
        self.precision = precision
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def context(self) -> AbstractContextManager[object]:
        """Autocast for the forward pass; does nothing in fp32."""
        dtype = _DTYPES.get(self.precision)
        return torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)
