from __future__ import annotations

import math

import torch
from torch.testing import assert_close
from torchvision.models.detection._utils import BoxCoder, BoxLinearCoder

from detkit.ops.coder import decode, encode, from_distances, to_distances

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 100
    return torch.cat((corner, corner + 1 + torch.rand(count, 2, generator=generator) * 60), 1)


def test_equal_to_torchvision() -> None:
    truth, anchors, coder = boxes(30, 0), boxes(30, 1), BoxCoder(WEIGHTS)
    assert_close(encode(truth, anchors, WEIGHTS), coder.encode_single(truth, anchors))
    deltas = torch.randn(30, 4) * 3
    assert_close(decode(deltas, anchors, WEIGHTS), coder.decode_single(deltas, anchors))


def test_decode_undoes_encode() -> None:
    truth, anchors = boxes(30, 2), boxes(30, 3)
    assert_close(decode(encode(truth, anchors), anchors), truth, atol=1e-4, rtol=1e-5)


def test_one_anchor_for_many_deltas() -> None:
    deltas, anchors = torch.randn(5, 3, 4), boxes(5, 4)
    assert_close(decode(deltas, anchors[:, None])[:, 1], decode(deltas[:, 1], anchors))


def test_wild_deltas_stay_finite() -> None:
    found = decode(torch.full((1, 4), 1e4), torch.tensor([[0.0, 0.0, 16.0, 16.0]]))
    assert torch.isfinite(found).all()
    assert_close(found[0, 2] - found[0, 0], torch.tensor(1000.0))
    assert math.isclose(float(decode(torch.zeros(1, 4), torch.tensor([[0.0, 0.0, 8.0, 4.0]]))[0, 3]), 4.0)


def test_float32_whatever_comes_in() -> None:
    assert decode(torch.zeros(2, 4, dtype=torch.bfloat16), boxes(2, 0)).dtype == torch.float32


def test_distances_are_torchvisions_and_undone() -> None:
    truth, points = boxes(30, 0), torch.rand(30, 2) * 100
    found = to_distances(truth, points)
    assert_close(found, BoxLinearCoder(normalize_by_size=False).encode(points.repeat(1, 2), truth))
    assert_close(from_distances(found, points), truth)
    assert to_distances(torch.tensor([10.0, 20, 30, 50]), torch.tensor([12.0, 25])).tolist() == [2, 5, 18, 25]
