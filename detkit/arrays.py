"""Types of numpy arrays and of sizes; tensors are converted to arrays without importing PyTorch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Size = tuple[int, int]
"""An image's ``(height, width)`` in pixels."""

ImageArray = NDArray[np.uint8]
"""An image, ``(H, W, 3)`` RGB unless a function states otherwise."""
Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
Features = NDArray[np.floating[Any]]
"""Floating-point numbers of any precision."""


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Return whether a value is a tensor; none can exist before PyTorch is imported, and this does not import it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def to_numpy(values: NDArray[Any] | Tensor) -> NDArray[Any]:
    """Return an array unchanged, and a tensor as an array, on the CPU and without gradients."""
    return values.detach().cpu().numpy() if is_tensor(values) else np.asarray(values)


def vector_like(values: Any, like: Any) -> Any:
    """Return numbers as a tensor or an array of the type, and on the device, of another one."""
    return like.new_tensor(values) if is_tensor(like) else np.asarray(values, like.dtype)
