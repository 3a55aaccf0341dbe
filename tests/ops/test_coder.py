from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection._utils import BoxCoder, BoxLinearCoder

from detkit.ops.coder import decode, encode, from_distances, to_distances

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 100
    return torch.cat((corner, corner + 1 + torch.rand(count, 2, generator=generator) * 60), 1)


@pytest.mark.oracle("torchvision", "encoding and decoding of boxes by deltas", tolerance="1e-5")
def test_equals_torchvision() -> None:
    truth, anchors, coder = boxes(30, 0), boxes(30, 1), BoxCoder(WEIGHTS)
    assert_close(encode(truth, anchors, WEIGHTS), coder.encode_single(truth, anchors))
    deltas = torch.randn(30, 4) * 3
    assert_close(decode(deltas, anchors, WEIGHTS), coder.decode_single(deltas, anchors))


def test_decode_inverts_encode() -> None:
    truth, anchors = boxes(30, 2), boxes(30, 3)
    assert_close(decode(encode(truth, anchors), anchors), truth, atol=1e-4, rtol=1e-5)


def test_anchors_broadcast_to_deltas() -> None:
    deltas, anchors = torch.randn(5, 3, 4), boxes(5, 4)
    assert_close(decode(deltas, anchors[:, None])[:, 1], decode(deltas[:, 1], anchors))


def test_extreme_deltas_stay_finite() -> None:
    decoded = decode(torch.full((1, 4), 1e4), torch.tensor([[0.0, 0.0, 16.0, 16.0]]))
    assert torch.isfinite(decoded).all()
    assert_close(decoded[0, 2] - decoded[0, 0], torch.tensor(1000.0))
    assert math.isclose(float(decode(torch.zeros(1, 4), torch.tensor([[0.0, 0.0, 8.0, 4.0]]))[0, 3]), 4.0)


def test_result_is_float32() -> None:
    assert decode(torch.zeros(2, 4, dtype=torch.bfloat16), boxes(2, 0)).dtype == torch.float32


@pytest.mark.oracle("torchvision", "encoding of boxes by distances", tolerance="1e-5")
def test_distances_equal_torchvision_and_invert() -> None:
    truth, points = boxes(30, 0), torch.rand(30, 2) * 100
    distances = to_distances(truth, points)
    assert_close(distances, BoxLinearCoder(normalize_by_size=False).encode(points.repeat(1, 2), truth))
    assert_close(from_distances(distances, points), truth)
    assert to_distances(torch.tensor([10.0, 20, 30, 50]), torch.tensor([12.0, 25])).tolist() == [2, 5, 18, 25]
