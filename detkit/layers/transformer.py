"""The transformer of DETR: positions are added to queries and keys at every attention, and norms come after the sums.

Sequences are ``(B, length, channels)``. The parts of a layer bear the names of DETR's released code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers.attention import Attention


class _Layer(nn.Module):
    """What both kinds of layer share: attention to the sequence itself, and a network of two layers for each place alone."""

    def __init__(self, channels: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(channels, heads, dropout)
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def self_attention(self, x: Tensor, positions: Tensor, padded: Tensor | None) -> Tensor:
        """The sequence after every place of it attended to the others; ``padded`` places are seen by none."""
        placed = x + positions
        attended = self.self_attn(placed, placed, x, padded)
        normed: Tensor = self.norm1(x + self.dropout(attended))
        return normed

    def feed_forward(self, x: Tensor) -> Tensor:
        """What the two-layer network adds to each place."""
        added: Tensor = self.dropout(self.linear2(self.dropout(functional.relu(self.linear1(x)))))
        return added


class EncoderLayer(_Layer):
    """Attention of a map's cells to each other.

    Args:
        channels: Of each cell.
        heads: Of the attention.
        hidden: Width of the two-layer network.
        dropout: Share of numbers dropped while training.
    """

    def forward(self, x: Tensor, positions: Tensor, padded: Tensor | None = None) -> Tensor:
        """``(B, cells, channels)`` to the same; ``padded`` ``(B, cells)`` bool marks cells of the padding, None: there are none."""
        x = self.self_attention(x, positions, padded)
        normed: Tensor = self.norm2(x + self.feed_forward(x))
        return normed


class DecoderLayer(_Layer):
    """Attention of queries to each other, then to the cells of a map; arguments as :class:`EncoderLayer`."""

    def __init__(self, channels: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__(channels, heads, hidden, dropout)
        self.multihead_attn = Attention(channels, heads, dropout)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, queries: Tensor, placed: Tensor, cells: Tensor, padded: Tensor | None = None) -> Tensor:
        """``(B, queries, channels)`` to the same.

        Args:
            x: What the queries hold.
            queries: What each query is, added as a position.
            placed: The cells with their positions added.
            cells: The cells.
            padded: As :class:`EncoderLayer`.
        """
        x = self.self_attention(x, queries, None)
        attended = self.multihead_attn(x + queries, placed, cells, padded)
        x = self.norm2(x + self.dropout(attended))
        normed: Tensor = self.norm3(x + self.feed_forward(x))
        return normed


class Encoder(nn.Module):
    """Encoder layers, one after another."""

    def __init__(self, depth: int, channels: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(channels, heads, hidden, dropout) for _ in range(depth))
        xavier_init(self)

    def forward(self, x: Tensor, positions: Tensor, padded: Tensor | None = None) -> Tensor:
        """As :meth:`EncoderLayer.forward`."""
        for layer in self.layers:
            x = layer(x, positions, padded)
        return x


class Decoder(nn.Module):
    """Decoder layers, one after another, and one norm for what leaves each of them."""

    def __init__(self, depth: int, channels: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(channels, heads, hidden, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(channels)
        xavier_init(self)

    def forward(self, queries: Tensor, cells: Tensor, positions: Tensor, padded: Tensor | None = None) -> Tensor:
        """``(B, queries, layers, channels)``: what the queries hold behind each layer, when they start with nothing.

        Args:
            queries: ``(queries, channels)``, learned, the same for every image.
            cells: ``(B, cells, channels)``, the encoder's.
            positions: ``(B, cells, channels)``.
            padded: As :class:`EncoderLayer`.
        """
        queries = queries.expand(len(cells), -1, -1)
        x, placed, held = torch.zeros_like(queries), cells + positions, []
        for layer in self.layers:
            x = layer(x, queries, placed, cells, padded)
            held.append(self.norm(x))
        return torch.stack(held, 2)


def xavier_init(module: nn.Module) -> None:
    """Start every matrix below ``module`` by Xavier's uniform rule, as DETR's transformer does."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
