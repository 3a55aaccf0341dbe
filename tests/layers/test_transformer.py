from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from detkit.layers.attention import Attention
from detkit.layers.transformer import Decoder, DecoderLayer, Encoder, EncoderLayer, FeedForwardActivation, LayerSizes

CHANNELS, HEADS = 16, 4
SIZES = LayerSizes(CHANNELS, HEADS, hidden=32, dropout=0.1)


def attend(layer: Attention, queries: Tensor, keys: Tensor, values: Tensor, padded: Tensor | None) -> Tensor:
    """Attention by its formula, head by head."""
    weights, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
    q, k, v = (x @ w.T + b for x, w, b in zip((queries, keys, values), weights, biases, strict=True))
    out, width = [], CHANNELS // HEADS
    for head in range(HEADS):
        part = slice(head * width, (head + 1) * width)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / width**0.5
        if padded is not None:
            scores = scores.masked_fill(padded[:, None], -torch.inf)
        out.append(scores.softmax(-1) @ v[..., part])
    return torch.cat(out, -1) @ layer.out_proj.weight.T + layer.out_proj.bias


def feed_forward(layer: EncoderLayer | DecoderLayer, x: Tensor) -> Tensor:
    return layer.linear2(layer.linear1(x).relu())


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    padded = torch.zeros(2, 7, dtype=torch.bool)
    padded[1, 5:] = True
    return torch.randn(2, 7, CHANNELS), torch.randn(2, 7, CHANNELS), padded


@torch.no_grad()
def test_an_encoder_layer_equals_its_formula() -> None:
    x, positions, padded = inputs()
    layer = EncoderLayer(SIZES).eval()
    first = layer.norm1(x + attend(layer.self_attn, x + positions, x + positions, x, padded))
    assert_close(layer(x, positions, padded), layer.norm2(first + feed_forward(layer, first)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "function"), [("relu", torch.relu), ("gelu", functional.gelu), ("silu", functional.silu)])
@torch.no_grad()
def test_the_activation_of_the_feed_forward_network(name: FeedForwardActivation, function: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    layer, x = EncoderLayer(LayerSizes(CHANNELS, HEADS, 32, 0.0, name)).eval(), torch.randn(2, 7, CHANNELS)
    assert_close(layer.feed_forward(x), layer.linear2(function(layer.linear1(x))), atol=0, rtol=0)


@torch.no_grad()
def test_a_decoder_layer_equals_its_formula() -> None:
    cells, positions, padded = inputs()
    layer = DecoderLayer(SIZES).eval()
    x, queries = torch.randn(2, 3, CHANNELS), torch.randn(2, 3, CHANNELS)
    first = layer.norm1(x + attend(layer.self_attn, x + queries, x + queries, x, None))
    second = layer.norm2(first + attend(layer.multihead_attn, first + queries, cells + positions, cells, padded))
    expected = layer.norm3(second + feed_forward(layer, second))
    assert_close(layer(x, queries, cells + positions, cells, padded), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_padding_has_no_influence() -> None:
    cells, positions, padded = inputs()
    encoder, decoder = Encoder(2, SIZES).eval(), Decoder(2, SIZES).eval()
    queries = torch.randn(3, CHANNELS)
    other = torch.where(padded[..., None], torch.randn_like(cells), cells)
    first, second = encoder(cells, positions, padded), encoder(other, positions, padded)
    assert_close(first[~padded], second[~padded])
    assert_close(decoder(queries, first, positions, padded), decoder(queries, second, positions, padded))
    assert decoder(queries, first, positions, padded).shape == (2, 3, 2, CHANNELS)


def test_matrices_are_initialized_by_xaviers_rule() -> None:
    torch.manual_seed(0)
    layer = Encoder(1, LayerSizes(64, HEADS, 256, 0.1)).layers[0]
    bound = (6 / (64 + 256)) ** 0.5
    assert 0.95 * bound < float(layer.linear1.weight.detach().abs().max()) <= bound
