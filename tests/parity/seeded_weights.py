"""Weights that follow from the name and the shape of each tensor, so that frozen outputs need no file of weights."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

GAIN = 1.5
"""Of convolutions, between those that keep the variance through ReLU and through linear layers."""


def seeded_weights(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Return a tensor for each name; constants, such as the boxes of cells, are random too."""
    return {name: _tensor(name, tuple(shape)) for name, shape in shapes.items()}


def _tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    random = np.random.RandomState(zlib.crc32(name.encode()))  # its numbers are the same in all versions
    part = name.rpartition(".")[2]
    if part == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if part == "running_var" or part == "scale" or (part == "weight" and len(shape) == 1):
        values = random.uniform(0.8, 1.2, shape)
    elif len(shape) < 2:
        values = random.normal(0, 1 if "sampling_offsets" in name else 0.1, shape)
    else:
        gain = GAIN if len(shape) == 4 else 1.0
        values = random.normal(0, gain * int(np.prod(shape[1:])) ** -0.5, shape)
    return torch.from_numpy(np.asarray(values)).float()
