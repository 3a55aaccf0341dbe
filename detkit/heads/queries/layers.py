"""Small parts of query decoders: perceptrons, logits of boxes, and the decoder layer with deformable attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from detkit.heads.float32 import Float32Linear
from detkit.layers import ACTIVATIONS, ActivationName
from detkit.layers.attention import Attention
from detkit.layers.deformable_attention import DeformableAttention
from detkit.layers.transformer import LayerSizes

Grids = Sequence[tuple[int, int]]
"""Height and width of each level, in cells."""

_EPSILON = 1e-5
"""Keeps the logits of fractions finite (the constant of Deformable DETR's code)."""
_FLOAT16_MAX = 65504.0


def inverse_sigmoid(fractions: Tensor) -> Tensor:
    """Return the logits of fractions in [0, 1], in float32 and finite."""
    fractions = fractions.float().clamp(0, 1)
    return (fractions.clamp(min=_EPSILON) / (1 - fractions).clamp(min=_EPSILON)).log()


class Perceptron(nn.Module):
    """Linear layers with an activation between them.

    Args:
        widths: Width of the input, of each hidden layer and of the output.
        activation: Activation between the layers.
        float32: Whether the last layer is computed in float32, also under autocast.
        zero: Whether the last layer starts at zero.
    """

    def __init__(self, widths: Sequence[int], activation: type[nn.Module] = nn.ReLU, *, float32: bool = False, zero: bool = False) -> None:
        super().__init__()
        classes = [nn.Linear] * (len(widths) - 2) + [Float32Linear if float32 else nn.Linear]
        self.layers = nn.ModuleList(layer(*sizes) for layer, sizes in zip(classes, pairwise(widths), strict=True))
        self.activation = activation()
        if zero:
            nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., first width)`` to ``(..., last width)``."""
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


def projection(in_channels: int, channels: int) -> nn.Module:
    """Return a 1x1 convolution with a batch norm, named as in the released code."""
    layers = nn.Sequential()
    layers.add_module("conv", nn.Conv2d(in_channels, channels, 1, bias=False))
    layers.add_module("norm", nn.BatchNorm2d(channels))
    nn.init.xavier_uniform_(layers[0].weight)  # type: ignore[arg-type]
    return layers


class Gate(nn.Module):
    """Weighs the state of a query against what it read from the maps, channel by channel (D-FINE, ``Gate`` of its code)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * channels, 2 * channels)
        self.norm = nn.LayerNorm(channels)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, state: Tensor, attended: Tensor) -> Tensor:
        """``(B, N, channels)`` in and out."""
        first, second = self.gate(torch.cat((state, attended), -1)).sigmoid().chunk(2, -1)
        normed: Tensor = self.norm(first * state + second * attended)
        return normed


@dataclass(frozen=True)
class QueryLayerSizes:
    """Sizes of a decoder layer.

    Attributes:
        layer: Channels, heads, hidden width and dropout.
        points: Sampled locations on each level, finest first.
        activation: Activation of the feed-forward network.
        gated: Whether a gate replaces the residual sum after the cross-attention, and its linear layers are left out (D-FINE).
    """

    layer: LayerSizes
    points: tuple[int, ...]
    activation: ActivationName = "relu"
    gated: bool = False


class QueryDecoderLayer(nn.Module):
    """Self-attention of queries, then deformable attention to the maps around their boxes; names as in the released code."""

    def __init__(self, sizes: QueryLayerSizes) -> None:
        super().__init__()
        layer = sizes.layer
        self.self_attn = Attention(layer.channels, layer.heads, layer.dropout)
        self.cross_attn = DeformableAttention(layer.channels, layer.heads, sizes.points, projections=not sizes.gated)
        self.linear1 = nn.Linear(layer.channels, layer.hidden)
        self.linear2 = nn.Linear(layer.hidden, layer.channels)
        self.norm1 = nn.LayerNorm(layer.channels)
        if sizes.gated:
            self.gateway = Gate(layer.channels)
        else:
            self.norm2 = nn.LayerNorm(layer.channels)
        self.norm3 = nn.LayerNorm(layer.channels)
        self.activation = ACTIVATIONS[sizes.activation]()
        self.dropout = nn.Dropout(layer.dropout)
        self.gated = sizes.gated
        nn.init.xavier_uniform_(self.linear1.weight)
        nn.init.xavier_uniform_(self.linear2.weight)

    def forward(self, x: Tensor, positions: Tensor, references: Tensor, maps: tuple[Tensor, Grids], mask: Tensor | None = None) -> Tensor:
        """``(B, N, channels)`` in and out.

        Args:
            x: State of the queries.
            positions: ``(B, N, channels)`` position embeddings of their boxes.
            references: ``(B, N, 4)`` boxes as center and size, fractions of the image.
            maps: ``(B, S, channels)`` cells of all levels, and the sizes of the levels.
            mask: ``(N, N)`` bool, True where the query of a row must not see the query of a column.
        """
        with_positions = x + positions
        x = self.norm1(x + self.dropout(self.self_attn(with_positions, with_positions, x, mask=mask)))
        attended = self.dropout(self.cross_attn(x + positions, references, *maps))
        x = self.gateway(x, attended) if self.gated else self.norm2(x + attended)
        x = x + self.dropout(self.linear2(self.dropout(self.activation(self.linear1(x)))))
        normed: Tensor = self.norm3(x.clamp(-_FLOAT16_MAX, _FLOAT16_MAX) if self.gated else x)
        return normed
