"""Small parts of query decoders: perceptrons, logits of boxes, and the decoder layer with deformable attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.heads.float32 import Float32Linear
from detkit.layers import ACTIVATIONS, ActivationName
from detkit.layers.attention import Attention
from detkit.layers.deformable_attention import DeformableAttention
from detkit.layers.transformer import LayerSizes

Grids = Sequence[tuple[int, int]]
"""Height and width of each level, in cells."""

QueryNormName = Literal["layer", "rms"]
FeedForwardName = Literal["mlp", "swiglu"]

_RMS_EPSILON = 1e-6
"""Eps of RMS norms in DEIMv2's code."""
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


def query_norm(channels: int, norm: QueryNormName) -> nn.Module:
    """Return the norm of the state of queries; an RMS norm (arXiv:1910.07467) subtracts no mean and has no bias."""
    return nn.LayerNorm(channels) if norm == "layer" else nn.RMSNorm(channels, _RMS_EPSILON)


class Gate(nn.Module):
    """Weighs the state of a query against what it read from the maps, channel by channel (D-FINE, ``Gate`` of its code)."""

    def __init__(self, channels: int, norm: QueryNormName = "layer") -> None:
        super().__init__()
        self.gate = nn.Linear(2 * channels, 2 * channels)
        self.norm = query_norm(channels, norm)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, state: Tensor, attended: Tensor) -> Tensor:
        """``(B, N, channels)`` in and out."""
        first, second = self.gate(torch.cat((state, attended), -1)).sigmoid().chunk(2, -1)
        normed: Tensor = self.norm(first * state + second * attended)
        return normed


class SwiGLU(nn.Module):
    """Feed-forward network whose hidden values are weighed by other ones, through SiLU (arXiv:2002.05202); names as in DEIMv2's code.

    Args:
        channels: Channels of input and output.
        hidden: Hidden width.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(channels, 2 * hidden)
        self.w3 = nn.Linear(hidden, channels)
        for layer in (self.w12, self.w3):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., channels)`` in and out."""
        weights, values = self.w12(x).chunk(2, -1)
        out: Tensor = self.w3(functional.silu(weights) * values)
        return out


@dataclass(frozen=True)
class QueryLayerSizes:
    """Sizes of a decoder layer.

    Attributes:
        layer: Channels, heads, hidden width and dropout.
        points: Sampled locations on each level, finest first.
        activation: Activation of the feed-forward network.
        gated: Whether a gate replaces the residual sum after the cross-attention (D-FINE).
        projections: Whether the cross-attention has linear layers before and after the sampling; D-FINE has none, and clamps the result
            of a layer to the range of float16.
        norm: Norm after each part.
        feed_forward: Feed-forward network: two linear layers, or SwiGLU with half the hidden width (DEIMv2).
    """

    layer: LayerSizes
    points: tuple[int, ...]
    activation: ActivationName = "relu"
    gated: bool = False
    projections: bool = True
    norm: QueryNormName = "layer"
    feed_forward: FeedForwardName = "mlp"


@dataclass(frozen=True, eq=False)
class Decoded:
    """Predictions of the decoder for Q queries, copies of objects included.

    Attributes:
        logits: ``(B, Q, S, K)``.
        boxes: ``(B, Q, S, 4)`` as center and size, fractions of the image.
        extra: ``(B, Q, ...)`` other outputs that the losses need.
    """

    logits: Tensor
    boxes: Tensor
    extra: tuple[Tensor, ...] = ()


class QueryDecoderLayer(nn.Module):
    """Self-attention of queries, then deformable attention to the maps around their boxes; names as in the released code."""

    def __init__(self, sizes: QueryLayerSizes) -> None:
        super().__init__()
        layer, channels = sizes.layer, sizes.layer.channels
        self.self_attn = Attention(channels, layer.heads, layer.dropout)
        self.cross_attn = DeformableAttention(channels, layer.heads, sizes.points, projections=sizes.projections)
        if sizes.feed_forward == "swiglu":
            self.swish_ffn = SwiGLU(channels, layer.hidden // 2)
        else:
            self.linear1 = nn.Linear(channels, layer.hidden)
            self.linear2 = nn.Linear(layer.hidden, channels)
        self.norm1 = query_norm(channels, sizes.norm)
        if sizes.gated:
            self.gateway = Gate(channels, sizes.norm)
        else:
            self.norm2 = query_norm(channels, sizes.norm)
        self.norm3 = query_norm(channels, sizes.norm)
        self.activation = ACTIVATIONS[sizes.activation]()
        self.dropout = nn.Dropout(layer.dropout)
        self.sizes = sizes
        if sizes.feed_forward == "mlp":
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
        x = self.gateway(x, attended) if self.sizes.gated else self.norm2(x + attended)
        x = x + self.dropout(self._feed_forward(x))
        normed: Tensor = self.norm3(x if self.sizes.projections else x.clamp(-_FLOAT16_MAX, _FLOAT16_MAX))
        return normed

    def _feed_forward(self, x: Tensor) -> Tensor:
        if self.sizes.feed_forward == "swiglu":
            weighed: Tensor = self.swish_ffn(x)
            return weighed
        out: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return out
