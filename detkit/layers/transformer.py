"""DETR's transformer: positions are added to queries and keys in every attention, and norms follow the residual sums.

Sequences are ``(B, length, channels)``. The parts of a layer have the names of DETR's released code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers.attention import Attention

FeedForwardActivation = Literal["relu", "gelu", "silu"]

_FUNCTIONS: dict[FeedForwardActivation, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
}


@dataclass(frozen=True)
class LayerSizes:
    """Sizes of a transformer layer.

    Attributes:
        channels: Channels per cell or query.
        heads: Attention heads.
        hidden: Hidden width of the feed-forward network.
        dropout: Dropout probability in training.
        activation: Between the two layers of the feed-forward network; DETR's is ReLU, that of RT-DETR's encoder GELU.
    """

    channels: int
    heads: int
    hidden: int
    dropout: float
    activation: FeedForwardActivation = "relu"


class _Layer(nn.Module):
    """Common parts of both layers: self-attention, and a two-layer feed-forward network."""

    def __init__(self, sizes: LayerSizes) -> None:
        super().__init__()
        self.self_attn = Attention(sizes.channels, sizes.heads, sizes.dropout)
        self.linear1 = nn.Linear(sizes.channels, sizes.hidden)
        self.linear2 = nn.Linear(sizes.hidden, sizes.channels)
        self.norm1 = nn.LayerNorm(sizes.channels)
        self.norm2 = nn.LayerNorm(sizes.channels)
        self.dropout = nn.Dropout(sizes.dropout)
        self.activation = sizes.activation

    def self_attention(self, x: Tensor, positions: Tensor, padded: Tensor | None, mask: Tensor | None = None) -> Tensor:
        """Apply self-attention, the residual sum and the norm; ``padded`` elements or the pairs in ``mask`` are masked out."""
        with_positions = x + positions
        attended = self.self_attn(with_positions, with_positions, x, padded, mask)
        normed: Tensor = self.norm1(x + self.dropout(attended))
        return normed

    def feed_forward(self, x: Tensor) -> Tensor:
        """Output of the feed-forward network, before the residual sum."""
        out: Tensor = self.dropout(self.linear2(self.dropout(_FUNCTIONS[self.activation](self.linear1(x)))))
        return out


class EncoderLayer(_Layer):
    """Self-attention over the cells of a map."""

    def forward(self, x: Tensor, positions: Tensor, padded: Tensor | None = None) -> Tensor:
        """``(B, cells, channels)`` in and out; ``padded`` ``(B, cells)`` bool marks cells in the padding, None: no padding."""
        x = self.self_attention(x, positions, padded)
        normed: Tensor = self.norm2(x + self.feed_forward(x))
        return normed


class DecoderLayer(_Layer):
    """Self-attention of queries, then cross-attention to the cells of a map."""

    def __init__(self, sizes: LayerSizes) -> None:
        super().__init__(sizes)
        self.multihead_attn = Attention(sizes.channels, sizes.heads, sizes.dropout)
        self.norm3 = nn.LayerNorm(sizes.channels)

    def forward(
        self, x: Tensor, queries: Tensor, keys: Tensor, cells: Tensor, padded: Tensor | None = None, *, mask: Tensor | None = None
    ) -> Tensor:
        """``(B, queries, channels)`` in and out.

        Args:
            x: State of the queries.
            queries: Query embeddings, added as positions.
            keys: The cells with their positions added.
            cells: The cells.
            padded: As in :class:`EncoderLayer`.
            mask: ``(queries, queries)`` bool, True where the query of a row must not see the query of a column.
        """
        x = self.self_attention(x, queries, None, mask)
        attended = self.multihead_attn(x + queries, keys, cells, padded)
        x = self.norm2(x + self.dropout(attended))
        normed: Tensor = self.norm3(x + self.feed_forward(x))
        return normed


class Encoder(nn.Module):
    """Sequence of encoder layers."""

    def __init__(self, depth: int, sizes: LayerSizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(sizes) for _ in range(depth))
        xavier_init(self)

    def forward(self, x: Tensor, positions: Tensor, padded: Tensor | None = None) -> Tensor:
        """Apply all layers; arguments as for :meth:`EncoderLayer.forward`."""
        for layer in self.layers:
            x = layer(x, positions, padded)
        return x


class Decoder(nn.Module):
    """Sequence of decoder layers, with one norm for the output of each."""

    def __init__(self, depth: int, sizes: LayerSizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(sizes) for _ in range(depth))
        self.norm = nn.LayerNorm(sizes.channels)
        xavier_init(self)

    def forward(
        self,
        queries: Tensor,
        cells: Tensor,
        positions: Tensor,
        padded: Tensor | None = None,
        *,
        start: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """State of the queries after each layer, ``(B, queries, layers, channels)``.

        Args:
            queries: ``(B, queries, channels)`` query embeddings, or ``(queries, channels)`` for the same in every image.
            cells: ``(B, cells, channels)`` encoder output.
            positions: ``(B, cells, channels)`` position encodings.
            padded: As in :class:`EncoderLayer`.
            start: ``(B, queries, channels)`` state before the first layer; None: zero.
            mask: As in :class:`DecoderLayer`.
        """
        queries = queries.expand(cells.shape[0], -1, -1)
        x, keys, outputs = torch.zeros_like(queries) if start is None else start, cells + positions, []
        for layer in self.layers:
            x = layer(x, queries, keys, cells, padded, mask=mask)
            outputs.append(self.norm(x))
        return torch.stack(outputs, 2)


def xavier_init(module: nn.Module) -> None:
    """Initialize every matrix in ``module`` by Xavier's uniform rule, as DETR's transformer does."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
