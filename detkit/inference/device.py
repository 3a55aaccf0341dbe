"""Selection of the device and data type in which a detector runs."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from detkit.machine import bf16_support

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device with a name; ``auto`` is a CUDA GPU if available, else an Apple GPU, else the CPU.

    Raises:
        ValueError: If the device is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device {name!r}: expected auto, cpu, cuda, cuda:0, or mps") from None
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}.get(device.type, 0)
    if (device.index or 0) >= count:
        available = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise ValueError(f"device {str(name)!r} is not available; PyTorch {torch.__version__} has: {available}")
    return device


def pick_dtype(precision: Precision | str, device: torch.device) -> torch.dtype:
    """Return the data type of matrix products and convolutions; ``auto`` is the fastest one that preserves the detections.

    ``auto`` is bf16 where the device multiplies it natively (AMX or AVX512_BF16 on a CPU, Ampere or later on a GPU), fp16 on older
    GPUs, and fp32 elsewhere.

    Raises:
        ValueError: If the precision does not exist, or the device does not support it.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision {precision!r}: expected one of {', '.join(get_args(Precision))}")
    if precision == "auto":
        return _native(device)
    if precision == "fp16" and device.type == "cpu":
        raise ValueError("precision 'fp16': slow and inaccurate on CPUs; use bf16 or fp32")
    return _DTYPES[precision]


def _native(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and bf16_support().instructions else torch.float32
