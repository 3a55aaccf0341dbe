"""3x3 convolutions of wide maps with fewer multiplications, on the CPU in float32 (Winograd's F(4x4, 3x3), arXiv:1509.09308).

Tiles of 4x4 outputs are computed from 6x6 inputs with 36 products of matrices instead of 144. The gradients of the input and the weight are
the transposed linear maps, so that all three passes need a quarter of the multiplications, and about half of the time. Results differ from
torch's by rounding, about four times as much as torch's own from the exact ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from detkit.accelerate.optional import or_none
from detkit.accelerate.threads import run_jobs
from detkit.arrays import Floats

_MIN_CHANNELS = 128
"""Below this number of channels, on either side, the transforms take as long as the products that they save."""
_MIN_TILES = 128
"""Below this number of tiles, the matrices of the weights, four times as large as the weights, take longer than what they save."""
_MAX_PRODUCTS = 0.5
"""Products by tiles, relative to those of a plain convolution, above which too much of the tiles is outside of the map."""
STEP = 4
"""Outputs per side of a tile; its inputs are two more."""
INPUT = np.array(
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
    np.float32,
)
WEIGHT = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], np.float32) / np.float32(24)
OUTPUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32)
"""Matrices of input, weight and output for four outputs (section 4.3 of the paper, and the construction of its section 4.1)."""
_TILES = 256
"""Tiles that are transformed together, so that they stay in the caches of a processor; a large map is computed in strips."""


def trains_by_tiles(x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    """Whether this convolution is one that trains faster by tiles, and numba is usable."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or weight.dtype != torch.float32 or x.dim() != 4 or groups != 1:
        return False
    if weight.shape[2:] != (3, 3) or min(weight.shape[:2]) < _MIN_CHANNELS or isinstance(padding, str):
        return False
    if any(tuple(value) != (1, 1) for value in (stride, padding, dilation)):
        return False
    cells = x.shape[2] * x.shape[3]
    tiles = -(-x.shape[2] // STEP) * -(-x.shape[3] // STEP)
    if len(x) * tiles < _MIN_TILES or tiles * len(INPUT) ** 2 > _MAX_PRODUCTS * 9 * cells:
        return False
    return torch.is_grad_enabled() and weight.requires_grad and not torch.is_autocast_enabled("cpu") and _kernels() is not None


def convolve_by_tiles(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute torch's ``conv2d`` of ``(N, C, H, W)`` with ``(K, C, 3, 3)``, stride 1 and padding 1; the result is channels-last."""
    apply: Any = _TiledConvolution.apply
    out: Tensor = apply(x, weight, bias)
    return out


class _TiledConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        kernels, padded = _weight_tiles(weight), _padded(x, 1)
        sides = (side - 2 for side in padded.shape[1:3])
        out = x.new_zeros((len(x), *sides, len(weight))) if bias is None else bias.detach().expand(len(x), *sides, -1).contiguous()
        for rows, tiles in _parts(padded):
            _run(_kernels().read_tiles, padded, INPUT, rows, tiles)
            _run(_kernels().add_tiles, torch.bmm(tiles, kernels), OUTPUT, rows, out)
        return _cropped(out, x, 0)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, _, needs_bias = ctx.needs_input_grad
        kernels, padded, gradients = _weight_tiles(weight), _padded(x, 1), _padded(gradient, 0)
        x_gradient, sums = torch.zeros_like(padded), torch.zeros_like(kernels)
        for rows, tiles in _parts(padded):
            products = tiles.new_empty((*tiles.shape[:2], len(weight)))
            _run(_kernels().read_tiles, gradients, OUTPUT.T, rows, products)
            _run(_kernels().read_tiles, padded, INPUT, rows, tiles)
            sums.baddbmm_(tiles.transpose(1, 2), products)
            if needs_x:
                torch.bmm(products, kernels.transpose(1, 2), out=tiles)
                _run(_kernels().add_tiles, tiles, INPUT.T, rows, x_gradient)
        return _cropped(x_gradient, x, 1) if needs_x else None, _weight_gradient(sums), gradient.sum((0, 2, 3)) if needs_bias else None


def _padded(x: Tensor, border: int) -> Tensor:
    """Return ``(N, H', W', C)`` with a border of zeros, and further rows and columns of zeros up to a multiple of a tile."""
    bottom, right = (border + -side % STEP for side in x.shape[2:])
    return functional.pad(x.permute(0, 2, 3, 1), (0, 0, border, right, border, bottom)).contiguous()


def _cropped(maps: Tensor, like: Tensor, border: int) -> Tensor:
    """Return ``(N, C, H, W)``, channels-last, without the border and the further rows and columns."""
    height, width = like.shape[2:]
    inner = maps[:, border : border + height, border : border + width].permute(0, 3, 1, 2)
    # A copy in any case: autograd forbids that what follows, such as ReLU, changes a view in place.
    return inner.clone(memory_format=torch.channels_last)


def _parts(padded: Tensor) -> Iterator[tuple[range, Tensor]]:
    """Yield rows of tiles, counted over all images, that are computed together, and memory for the tiles of the input."""
    columns, channels = padded.shape[2] // STEP, padded.shape[3]
    rows, step = len(padded) * (padded.shape[1] // STEP), max(1, _TILES // columns)
    buffer = padded.new_empty(len(INPUT) ** 2 * step * columns * channels)
    for first in range(0, rows, step):
        part = range(first, min(rows, first + step))
        yield part, buffer[: len(INPUT) ** 2 * len(part) * columns * channels].view(len(INPUT) ** 2, -1, channels)


def _run(kernel: Any, inputs: Tensor, matrix: Floats, rows: range, out: Tensor) -> None:
    """Call a kernel for some rows of tiles, on several threads.

    Neighboring rows of tiles can overlap in the output, so every other group of rows waits for the one before it.
    """
    size = max(2, -(-len(rows) // (2 * torch.get_num_threads())))
    groups = [(first, min(first + size, rows.stop)) for first in range(rows.start, rows.stop, size)]
    arguments = (inputs.numpy(), np.ascontiguousarray(matrix), STEP, rows.start)
    jobs = [(kernel, (*arguments, *group, out.numpy())) for group in groups]
    run_jobs(jobs[::2])
    run_jobs(jobs[1::2])


def _weight_tiles(weight: Tensor) -> Tensor:
    """Return ``(36, C, K)``."""
    values = weight.detach().permute(2, 3, 1, 0).reshape(9, -1)
    return (torch.from_numpy(np.kron(WEIGHT, WEIGHT)) @ values).view(-1, weight.shape[1], weight.shape[0])


def _weight_gradient(sums: Tensor) -> Tensor:
    """Return ``(K, C, 3, 3)``, channels-last, from the gradients of the matrices."""
    values = (torch.from_numpy(np.kron(WEIGHT, WEIGHT).T) @ sums.flatten(1)).view(3, 3, *sums.shape[1:])
    return values.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)


@or_none
def _kernels() -> Any:
    from detkit.accelerate import winograd_kernels

    return winograd_kernels
