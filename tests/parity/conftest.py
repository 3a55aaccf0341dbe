"""Photographs for parity tests, and the import path of the helper modules in this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from skimage import data
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "astronaut", "chelsea", "coffee", "rocket")
SHAPES = ((160, 160), (160, 224), (192, 160), (160, 256)) * 2


@pytest.fixture(scope="session")
def photographs() -> list[Tensor]:
    """Eight crops of photographs in four shapes, ``(3, H, W)`` in [0, 1]."""
    return [_crop(name, size, index) for index, (name, size) in enumerate(zip(NAMES, SHAPES, strict=True))]


def _crop(name: str, size: tuple[int, int], index: int) -> Tensor:
    image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1).float() / 255
    top, left = 40 * (index // 4) + 20, 30 * (index // 4) + 40
    # Every second pixel, so that a crop contains whole objects.
    return image[:, top : top + 2 * size[0] : 2, left : left + 2 * size[1] : 2][:, : size[0], : size[1]].contiguous()
