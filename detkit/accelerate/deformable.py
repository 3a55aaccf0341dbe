"""Sampling of deformable attention with gradients on the CPU by compiled kernels, on all of torch's threads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from detkit.accelerate import deformable_kernels as kernels
from detkit.accelerate.threads import run_jobs

_MIN_SAMPLES = 4096
"""Locations of an image, of all heads, from which on its heads are divided among the threads."""

Array = np.ndarray[Any, np.dtype[np.float32]]


def sample_on_cpu(values: Tensor, sizes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor, points: Sequence[int]) -> Tensor:
    """Compute :func:`detkit.ops.deformable.sample_deformable` for float32 or bfloat16 values of at most 2 ** 24 cells an image.

    The result does not depend on the number of threads. Gradients of gradients raise a RuntimeError.
    """
    apply: Any = _Sample.apply
    levels = _levels(tuple((int(height), int(width)) for height, width in sizes), tuple(points))
    sampled: Tensor = apply(values.float(), locations.float(), weights.float(), levels)
    return sampled.to(values.dtype)


@lru_cache(maxsize=64)
def _levels(sizes: tuple[tuple[int, int], ...], points: tuple[int, ...]) -> Array:
    """``(3, BLOCK * P)`` float32 width, height and first cell of the level of each point, repeated for the queries of a block."""
    rows, start = [], 0
    for (height, width), count in zip(sizes, points, strict=True):
        rows += [(width, height, start)] * count
        start += height * width
    return np.ascontiguousarray(np.array(rows * kernels.BLOCK, np.float32).reshape(-1, 3).T)


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, locations: Tensor, weights: Tensor, levels: Array) -> Tensor:
        values, locations, weights = values.contiguous(), locations.contiguous(), weights.contiguous()
        ctx.save_for_backward(values, locations, weights)
        ctx.levels = levels
        batch, queries, heads = weights.shape[:3]
        out = values.new_empty((batch, queries, heads, values.shape[3]))
        images = zip(_arrays(values, locations, weights), out.numpy(), strict=True)
        spans = _head_spans(weights)
        run_jobs([(kernels.sample, (inputs, levels, *span, sums)) for inputs, sums in images for span in spans])
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, locations, weights = ctx.saved_tensors
        results = (torch.zeros_like(values), torch.empty_like(locations), torch.empty_like(weights))
        upstream = gradient.float().flatten(1).contiguous().numpy()
        images = zip(upstream, _arrays(values, locations, weights), _arrays(*results), strict=True)
        spans = _head_spans(weights)
        run_jobs([(kernels.sample_backward, (*image[:2], ctx.levels, *span, image[2])) for image in images for span in spans])
        return (*results, None)


def _arrays(values: Tensor, locations: Tensor, weights: Tensor) -> list[tuple[Array, Array, Array]]:
    """Values, locations and weights of each image in the shapes that the kernels take."""
    tensors = (values.flatten(1), locations.flatten(3), weights)
    return list(zip(*(tensor.detach().numpy() for tensor in tensors), strict=True))


def _head_spans(weights: Tensor) -> list[tuple[int, int]]:
    """First and last head (exclusive) of each job of an image: heads write to different memory, queries do not."""
    batch, _, heads, _ = weights.shape
    threads = torch.get_num_threads()
    if threads == 1 or batch >= 2 * threads or weights[:1].numel() < _MIN_SAMPLES:
        return [(0, heads)]
    # Two jobs a thread, so that the others take over the work of a thread that is interrupted.
    step = max(1, heads * batch // (2 * threads))
    return [(first, min(first + step, heads)) for first in range(0, heads, step)]
