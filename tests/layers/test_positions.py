from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from detkit.layers.positions import index_positions, sine_positions


def reference_encoding(valid: torch.Tensor, channels: int, image: int, y: int, x: int) -> list[float]:
    """Encoding of one cell, in plain loops."""
    encodings = []
    for index, total in (
        (int(valid[image, : y + 1, x].sum()), int(valid[image, :, x].sum())),
        (int(valid[image, y, : x + 1].sum()), int(valid[image, y].sum())),
    ):
        position = index / (total + 1e-6) * 2 * math.pi
        for k in range(channels // 2):
            angle = position / 10000 ** (2 * (k // 2) / (channels // 2))
            encodings.append(math.sin(angle) if k % 2 == 0 else math.cos(angle))
    return encodings


@pytest.mark.parametrize("channels", [4, 8, 256])
def test_a_padded_map_equals_the_reference(channels: int) -> None:
    valid = torch.ones(2, 3, 5, dtype=torch.bool)
    valid[1, 2:], valid[1, :, 4:] = False, False
    encodings = sine_positions(valid, channels)
    assert encodings.shape == (2, 15, channels)
    for image, y, x in ((0, 0, 0), (0, 2, 4), (0, 1, 3), (1, 0, 0), (1, 1, 3), (1, 2, 4)):
        assert_close(encodings[image, y * 5 + x], torch.tensor(reference_encoding(valid, channels, image, y, x)), atol=1e-5, rtol=0)


def test_padding_does_not_change_the_encoding() -> None:
    valid = torch.zeros(1, 4, 6, dtype=torch.bool)
    valid[:, :3, :4] = True
    unpadded = sine_positions(torch.ones(1, 3, 4, dtype=torch.bool), 16).view(3, 4, 16)
    assert_close(sine_positions(valid, 16).view(4, 6, 16)[:3, :4], unpadded)


def published_positions(height: int, width: int, channels: int) -> torch.Tensor:
    """Encodings as in RT-DETR's own code, in plain loops: the grid is flattened by columns, and columns come first."""
    quarter = channels // 4
    frequencies = [10000 ** -(k / quarter) for k in range(quarter)]
    cells = [
        [function(index * f) for index in (x, y) for function in (math.sin, math.cos) for f in frequencies]
        for x in range(width)
        for y in range(height)
    ]
    return torch.tensor(cells)


def test_index_positions_equal_the_published_code_on_square_maps_only() -> None:
    assert_close(index_positions((5, 5), 16), published_positions(5, 5, 16), atol=1e-5, rtol=0)
    assert float((index_positions((3, 5), 16) - published_positions(3, 5, 16)).abs().max()) > 0.1


def test_index_positions_list_the_row_first() -> None:
    encodings = index_positions((3, 5), 8).view(3, 5, 8)
    assert encodings.dtype == torch.float32
    for y, x in ((0, 0), (2, 4), (1, 3)):
        expected = [function(index * f) for index in (y, x) for function in (math.sin, math.cos) for f in (1, 0.01)]
        assert_close(encodings[y, x], torch.tensor(expected), atol=1e-6, rtol=0)
