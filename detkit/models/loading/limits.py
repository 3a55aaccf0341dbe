"""Limits of what the config in a checkpoint may ask for, checked before any memory is allocated for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from detkit.models.detector import DetectorConfig
from detkit.printable import shortened

MAX_NUMBER = 10_000_000
"""Largest integer in the config of a model; the largest in use is a number of proposals."""
MAX_NUMBERS: Mapping[str, float] = {
    "warp_size": 4096,
    "context_pixels": 4096,
    "pool_size": 256,
    "pyramid_bins": 256,
    "sampling_ratio": 64,
    "kernel": 64,
    "padding": 64,
    "scales": 16,
    "short_side": 16_384,
    "long_side": 16_384,
}
"""Largest values of the keys that multiply the memory of a detection, by the last part of the key."""
SPARE_ELEMENTS, SPARE_TENSORS, FACTOR = 100_000_000, 2_000, 4
"""A network may be built with parts that are dropped again, such as the last layers of AlexNet, which have 59 million numbers."""

_WITH_SIZE = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn}
_FROM_SIZE = {torch.full}


def check_limits(config: DetectorConfig, name: str) -> None:
    """Check the numbers of a model's config that determine how much memory its detections take.

    Args:
        config: The config.
        name: Name of the checkpoint in error messages.

    Raises:
        ValueError: If a number is too large.
    """
    for key, value in _numbers(json.loads(config.to_json()), "model"):
        limit = MAX_NUMBERS.get(key.rpartition(".")[2], MAX_NUMBER if isinstance(value, int) else float("inf"))
        if value > limit and not key.endswith(".seed"):
            raise ValueError(
                f"checkpoint {name}: {key}: expected at most {limit:,}, got {shortened(str(value), 40)}; use another checkpoint"
            )


def _numbers(value: Any, key: str) -> Iterator[tuple[str, int | float]]:
    """Yield the key and the value of every number; members of lists have the key of the list."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, key)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield key, value


class BuildLimit(TorchFunctionMode):
    """Stops the building of a network inside the block that needs much more memory than the tensors of its checkpoint.

    Args:
        tensors: The tensors of the checkpoint.
        name: Name of the checkpoint in error messages.

    Raises:
        ValueError: Before the allocation that exceeds the limit.
    """

    def __init__(self, tensors: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        self._stored, self._name = sum(tensor.numel() for tensor in tensors.values()), name
        self._elements = FACTOR * self._stored + SPARE_ELEMENTS
        self._tensors = FACTOR * len(tensors) + SPARE_TENSORS

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        size = _size(func, args, kwargs or {})
        if size is not None:
            self._elements -= prod(size)
            self._tensors -= 1
            if self._elements < 0 or self._tensors < 0:
                raise ValueError(
                    f"checkpoint {self._name}: its config describes a far larger model than its {self._stored:,} numbers; the next tensor "
                    f"would have the shape {' x '.join(f'{side:,}' for side in size) or '1'}; it was not built: use another checkpoint"
                )
        return func(*args, **(kwargs or {}))


def _size(func: Any, args: Any, kwargs: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the shape of the tensor that a function creates, or None for all other functions."""
    if func not in _WITH_SIZE and func not in _FROM_SIZE:
        return None
    given = kwargs.get("size", args[0] if args else ())
    if func in _WITH_SIZE and isinstance(given, int):
        given = args
    return tuple(int(side) for side in given)
