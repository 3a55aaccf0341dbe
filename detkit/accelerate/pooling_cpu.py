"""RoI align with gradients on the CPU by compiled kernels, on all of torch's threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detkit.accelerate import pooling_kernels as kernels
from detkit.accelerate.threads import run_jobs

_MAX_COORDINATE = 1e6
"""Box corners are clamped to this many pixels, so that adaptive sampling of a diverged box terminates."""


@dataclass(frozen=True)
class _Options:
    """Numbers of :func:`pool_on_cpu` that the backward pass needs again."""

    cells: int
    ratio: int
    strides: tuple[float, ...]
    aligned: bool


def pool_on_cpu(
    maps: tuple[Tensor, ...], regions: Tensor, rows: list[Tensor], *, cells: int, ratio: int, strides: tuple[float, ...], aligned: bool
) -> Tensor:
    """Pool regions from float32 or bfloat16 maps; the result does not depend on the number of threads.

    Args:
        maps: ``(B, C, H_l, W_l)``.
        regions: ``(N, 5)`` image, x1, y1, x2, y2.
        rows: For each map, the indices of the regions that are pooled from it.
        cells: Per side of the output.
        ratio: Samples per cell and direction; 0 adapts to the region.
        strides: Of the maps.
        aligned: Shift samples by half a cell.

    Returns:
        ``(N, C, cells, cells)``.
    """
    apply: Any = _Pool.apply
    options = _Options(cells, ratio, strides, aligned)
    regions = regions.detach().float().nan_to_num().clamp(-_MAX_COORDINATE, _MAX_COORDINATE).contiguous()
    pooled: Tensor = apply(regions, tuple(rows), options, *(level_map.to(maps[0].dtype) for level_map in maps))
    return pooled


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, regions: Tensor, rows: tuple[Tensor, ...], options: _Options, *maps: Tensor) -> Tensor:
        ctx.regions, ctx.rows, ctx.options = regions, rows, options
        ctx.shapes, ctx.dtype = [level_map.shape for level_map in maps], maps[0].dtype
        pooled = maps[0].new_empty((len(regions), maps[0].shape[1], options.cells, options.cells))
        jobs = []
        for level_map, level_rows, stride in zip(maps, rows, options.strides, strict=True):
            values = _as_numpy(level_map.detach().permute(0, 2, 3, 1).contiguous())
            for chunk in _chunks(level_rows.numpy()):
                arguments = (values, regions.numpy(), chunk, _as_numpy(pooled.flatten(2)))
                jobs.append((kernels.pool, (*arguments, options.ratio, np.float32(1 / stride), options.aligned)))
        run_jobs(jobs)
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        options: _Options = ctx.options
        values, regions = _as_numpy(gradient.to(ctx.dtype).contiguous().flatten(2)), ctx.regions.numpy()
        out: list[Tensor | None] = []
        jobs = []
        for index, ((batch, channels, height, width), stride) in enumerate(zip(ctx.shapes, options.strides, strict=True)):
            if not ctx.needs_input_grad[3 + index]:
                out.append(None)
                continue
            level = torch.zeros((batch, height, width, channels))
            out.append(level)
            block = -(-channels // torch.get_num_threads())
            for first in range(0, channels, block) if len(ctx.rows[index]) else ():
                span = (first, min(first + block, channels))
                arguments = (values, regions, ctx.rows[index].numpy(), level.numpy(), *span)
                jobs.append((kernels.pool_backward, (*arguments, options.ratio, np.float32(1 / stride), options.aligned)))
        run_jobs(jobs)
        return (None, None, None, *(level if level is None else level.to(ctx.dtype).permute(0, 3, 1, 2) for level in out))


def _as_numpy(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The tensor's memory as a numpy array; bfloat16, which numpy lacks, as uint16 bits."""
    array: np.ndarray[Any, Any] = (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def _chunks(rows: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Chunks of ``rows`` for the threads: small enough to keep all of them busy, large enough to be worth a call."""
    return np.array_split(rows, min(4 * torch.get_num_threads(), -(-len(rows) // 16))) if len(rows) else []
