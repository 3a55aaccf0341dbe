"""Bilinear sampling of the cells of several maps at learned locations, the core of deformable attention (arXiv:2010.04159)."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from functools import cache, reduce

import torch
from torch import Tensor
from torch.nn import functional

_log = logging.getLogger(__name__)

Size = tuple[int, int]
_MAX_CELLS = 2**24
"""Largest number of cells of an image that the compiled kernels support: they compute indices in float32."""


def sample_deformable(
    values: Tensor,
    sizes: Sequence[Size],
    locations: Tensor,
    weights: Tensor,
    points: Sequence[int],
    *,
    discrete: bool = False,
    compiled: bool = True,
) -> Tensor:
    """Sum the values at the locations of every query and head, multiplied by the attention weights.

    Cell ``i`` of ``n`` in a row or column has its center at ``(i + 0.5) / n``. Values are interpolated bilinearly, and are 0 outside of the
    map, as in ``grid_sample`` with ``align_corners=False`` (Deformable DETR, section 4.1, equation 3). Sums are computed in float32, or in
    float64 if the values are float64.

    Args:
        values: ``(B, S, heads, C)`` cells of all levels, finest first, row by row.
        sizes: ``(height, width)`` of each level; S is the sum of their areas.
        locations: ``(B, Q, heads, P, 2)`` x and y as fractions of the image, level by level.
        weights: ``(B, Q, heads, P)``.
        points: Number of locations on each level; P is their sum.
        discrete: Read a single cell instead of interpolating, as RT-DETRv2's "discrete" sampling (arXiv:2407.17140, section 2.2) does: the
            one at ``floor(location * size + 0.5)``, or the nearest one inside the map. Locations get no gradient.
        compiled: Use compiled kernels on a CPU where they support the values; they provide no gradients of gradients. Loading them takes
            half a second, and several seconds on a machine that has not compiled them yet.

    Returns:
        ``(B, Q, heads * C)`` in the dtype of the values.

    Raises:
        ValueError: If the shapes do not match one another, the sizes or the points.
    """
    _check(values, sizes, locations, weights, points)
    if compiled and not discrete and _supports_kernels(values, locations, weights):
        return _kernels()(values, sizes, locations, weights, points)
    return _sample_by_torch(values, sizes, locations, weights, points, discrete=discrete)


def _supports_kernels(values: Tensor, locations: Tensor, weights: Tensor) -> bool:
    """Whether the compiled kernels can sample these values here."""
    if torch.compiler.is_compiling() or _is_tracing():
        return False
    if any(type(tensor) is not Tensor or tensor.device.type != "cpu" for tensor in (values, locations, weights)):
        return False
    return values.dtype in (torch.float32, torch.bfloat16) and values.shape[1] <= _MAX_CELLS


def _is_tracing() -> bool:
    """Whether the tracer of an export records operations; sizes are then tensors, and comparisons of them become constants."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


@cache
def _kernels() -> Callable[[Tensor, Sequence[Size], Tensor, Tensor, Sequence[int]], Tensor]:
    try:
        from detkit.accelerate.deformable import sample_on_cpu
    except Exception as error:  # numba raises various exceptions when it cannot cache compiled code on disk
        _log.warning("numba is not usable (%s): falling back to torch's grid_sample, which is slow on the CPU", error)
        return _sample_by_torch
    return sample_on_cpu


def _check(values: Tensor, sizes: Sequence[Size], locations: Tensor, weights: Tensor, points: Sequence[int]) -> None:
    if _is_tracing():
        return
    batch, cells, heads, _ = values.shape
    if len(sizes) != len(points) or sum(height * width for height, width in sizes) != cells:
        raise ValueError(
            f"sample_deformable: expected the cells of {len(points)} levels, got sizes {list(sizes)} and {cells} cells; "
            "pass one size and one number of points for each level"
        )
    expected = (batch, weights.shape[1], heads, sum(points))
    if weights.shape != expected or locations.shape != (*expected, 2):
        raise ValueError(
            f"sample_deformable: expected weights of shape {expected} and locations of shape {(*expected, 2)}, "
            f"got {tuple(weights.shape)} and {tuple(locations.shape)}"
        )


def _sample_by_torch(
    values: Tensor, sizes: Sequence[Size], locations: Tensor, weights: Tensor, points: Sequence[int], *, discrete: bool = False
) -> Tensor:
    """Sample level by level with torch's operators."""
    batch, _, heads, channels = values.shape
    queries = locations.shape[1]
    dtype = torch.float64 if values.dtype == torch.float64 else torch.float32
    maps = values.permute(0, 2, 3, 1).flatten(0, 1).to(dtype)
    grid = locations.transpose(1, 2).flatten(0, 1).to(dtype)
    scales = weights.transpose(1, 2).flatten(0, 1).unsqueeze(1).to(dtype)
    sample = _read_cells if discrete else _interpolate
    parts, cell = [], 0
    for (height, width), first, count in zip(sizes, itertools.accumulate(points, initial=0), points, strict=False):
        level = maps[:, :, cell : cell + height * width].reshape(batch * heads, channels, height, width)
        sampled = sample(level, grid[:, :, first : first + count])
        parts.append((sampled * scales[..., first : first + count]).sum(-1))
        cell = cell + height * width
    total = reduce(torch.add, parts)
    return total.reshape(batch, heads * channels, queries).transpose(1, 2).to(values.dtype)


def _interpolate(level: Tensor, grid: Tensor) -> Tensor:
    """Bilinear samples ``(N, C, Q, P)`` of ``(N, C, H, W)`` at ``(N, Q, P, 2)`` fractions of the map."""
    return functional.grid_sample(level, 2 * grid - 1, mode="bilinear", padding_mode="zeros", align_corners=False)


def _read_cells(level: Tensor, grid: Tensor) -> Tensor:
    """Samples ``(N, C, Q, P)`` of ``(N, C, H, W)``, one cell each, at ``(N, Q, P, 2)`` fractions of the map."""
    count, channels, height, width = level.shape
    column = (grid[..., 0] * width + 0.5).long().clamp(min=0).clamp(max=width - 1)
    row = (grid[..., 1] * height + 0.5).long().clamp(min=0).clamp(max=height - 1)
    index = (row * width + column).flatten(1)[:, None].expand(-1, channels, -1)
    return level.flatten(2).gather(2, index).reshape(count, channels, grid.shape[1], grid.shape[2])
