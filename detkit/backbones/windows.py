"""Window attention in most blocks of a plain vision transformer (ViTDet, arXiv:2203.16527, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

GLOBAL_BLOCKS = 4
"""Number of blocks with global attention: the last of each quarter."""


def run_windowed_blocks(blocks: Sequence[nn.Module], tokens: Tensor, window: int) -> Tensor:
    """Return the ``(B, H, W, C)`` patch tokens after timm's blocks, most of which attend within windows only.

    Where the map size is no multiple of the window, padding tokens are masked out of the attention; ViTDet lets zeros take part.

    Args:
        blocks: Each takes ``(N, L, C)`` tokens and an ``attn_mask``; everything but its attention processes each token separately.
        tokens: Input of the first block, without a class token, which ViTDet does not use.
        window: Side, in patches.
    """
    shape, global_blocks = tokens.shape, global_block_indices(len(blocks))
    for index, block in enumerate(blocks):
        if index in global_blocks:
            tokens = block(tokens.flatten(1, 2)).view(shape)
        else:
            parts, mask = window_partition(tokens, window)
            tokens = window_unpartition(block(parts) if mask is None else block(parts, attn_mask=mask), shape, window)
    return tokens


def global_block_indices(count: int) -> set[int]:
    """Return the indices of the blocks with global attention: of 12 blocks the 3rd, 6th, 9th and 12th. Indices count from 0."""
    return {count * quarter // GLOBAL_BLOCKS - 1 for quarter in range(1, GLOBAL_BLOCKS + 1)}


def window_partition(tokens: Tensor, window: int) -> tuple[Tensor, Tensor | None]:
    """Split a map into windows.

    Returns:
        Tokens ``(B * windows, window ** 2, C)``, and a bool mask ``(B * windows, 1, 1, window ** 2)`` that is False for padding; None
        where nothing is padded.
    """
    high, wide = tokens.shape[1:3]
    padding = (0, -wide % window, 0, -high % window)
    if not any(padding):
        return _partition(tokens, window), None
    real = functional.pad(torch.ones(high, wide, dtype=torch.bool, device=tokens.device), padding)
    mask = _partition(real[None, ..., None], window)[:, None, None, :, 0]
    return _partition(functional.pad(tokens, (0, 0, *padding)), window), mask.repeat(len(tokens), 1, 1, 1)


def window_unpartition(parts: Tensor, shape: torch.Size, window: int) -> Tensor:
    """Reverse :func:`window_partition`: return the map of ``shape``, without padding."""
    images, high, wide, channels = shape
    rows, columns = -(-high // window), -(-wide // window)
    whole = parts.view(images, rows, columns, window, window, channels).transpose(2, 3)
    return whole.reshape(images, rows * window, columns * window, channels)[:, :high, :wide]


def _partition(tokens: Tensor, window: int) -> Tensor:
    images, high, wide, channels = tokens.shape
    parts = tokens.view(images, high // window, window, wide // window, window, channels).transpose(2, 3)
    return parts.reshape(-1, window * window, channels)
