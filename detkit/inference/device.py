"""Which device and which number format a detector runs in."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from detkit.machine import bf16_instructions

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device that ``name`` means; ``auto`` is a CUDA GPU, else Apple's, else the CPU.

    Raises:
        ValueError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device {name!r}: expected auto, cpu, cuda, cuda:0, or mps") from None
    here = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}.get(device.type, 0)
    if (device.index or 0) >= here:
        known = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise ValueError(f"device {str(name)!r} is not here; this PyTorch ({torch.__version__}) sees: {known}")
    return device


def pick_dtype(precision: Precision | str, device: torch.device) -> torch.dtype:
    """The type that matrix products and convolutions run in; ``auto`` is the fast one that keeps the detections.

    bf16 where the device multiplies it natively (AMX or AVX512_BF16 on a CPU, Ampere or later on a GPU), fp16 on older GPUs,
    fp32 elsewhere.

    Raises:
        ValueError: there is no such precision, or the device cannot run it.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision {precision!r}: expected one of {', '.join(get_args(Precision))}")
    if precision == "auto":
        return _native(device)
    if precision == "fp16" and device.type == "cpu":
        raise ValueError("precision 'fp16': CPUs are slow and coarse in it; take bf16 or fp32")
    return _DTYPES[precision]


def _native(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and bf16_instructions() else torch.float32
