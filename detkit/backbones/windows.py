"""Attention inside windows in most blocks of a plain vision transformer (ViTDet, arXiv:2203.16527, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

GLOBAL_BLOCKS = 4
"""Blocks that see the whole map, the last of each quarter."""


def through_blocks(blocks: Sequence[nn.Module], tokens: Tensor, window: int) -> Tensor:
    """``(B, H, W, C)`` tokens of patches behind blocks of timm's, most of which see windows alone.

    Where the map is no multiple of the window, tokens that are filled in are seen by nothing; ViTDet lets zeros take part.

    Args:
        blocks: Each takes ``(N, L, C)`` tokens and an ``attn_mask``; what is not attention concerns each token alone.
        tokens: As they enter the first block, without a class token, of which ViTDet makes no use.
        window: Side, in patches.
    """
    shape, everywhere = tokens.shape, whole_blocks(len(blocks))
    for place, block in enumerate(blocks):
        if place in everywhere:
            tokens = block(tokens.flatten(1, 2)).view(shape)
        else:
            parts, mask = split(tokens, window)
            tokens = joined(block(parts) if mask is None else block(parts, attn_mask=mask), shape, window)
    return tokens


def whole_blocks(count: int) -> set[int]:
    """The places of the blocks that see the whole map: of 12 the 3rd, 6th, 9th and 12th, counted from 0."""
    return {count * quarter // GLOBAL_BLOCKS - 1 for quarter in range(1, GLOBAL_BLOCKS + 1)}


def split(tokens: Tensor, window: int) -> tuple[Tensor, Tensor | None]:
    """``(B * windows, window ** 2, C)``, and ``(B * windows, 1, 1, window ** 2)`` bool which tokens are real, if not all are."""
    high, wide = tokens.shape[1:3]
    padding = (0, -wide % window, 0, -high % window)
    if not any(padding):
        return _cut(tokens, window), None
    real = functional.pad(torch.ones(high, wide, dtype=torch.bool, device=tokens.device), padding)
    mask = _cut(real[None, ..., None], window)[:, None, None, :, 0]
    return _cut(functional.pad(tokens, (0, 0, *padding)), window), mask.repeat(len(tokens), 1, 1, 1)


def joined(parts: Tensor, shape: torch.Size, window: int) -> Tensor:
    """The map of ``shape`` that :func:`split` cut, without what was filled in."""
    images, high, wide, channels = shape
    rows, columns = -(-high // window), -(-wide // window)
    whole = parts.view(images, rows, columns, window, window, channels).transpose(2, 3)
    return whole.reshape(images, rows * window, columns * window, channels)[:, :high, :wide]


def _cut(tokens: Tensor, window: int) -> Tensor:
    images, high, wide, channels = tokens.shape
    parts = tokens.view(images, high // window, window, wide // window, window, channels).transpose(2, 3)
    return parts.reshape(-1, window * window, channels)
