"""A fast proposal backend that counts its calls and can be sent to other processes."""

from __future__ import annotations

import numpy as np
import torch

from detkit.proposals.backends import SearchSettings
from detkit.structures import Proposals


class Counting:
    """Returns five boxes whose first x is the value of the first pixel of the image."""

    def __init__(self, version: str = "counting 1") -> None:
        self.version = version
        self.calls = 0

    def __call__(self, image: np.ndarray, settings: SearchSettings, threads: int | None = None) -> Proposals:
        self.calls += 1
        x = float(image[0, 0, 0])
        boxes = torch.tensor([[x, 0, x + 40, 10], [x, 0, x + 10, 10], [x, 0, x + 2, 2], [x, 0, x + 30, 20], [x, 0, x, 9]])
        return Proposals(boxes.float(), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]))


def plain_image(shade: int) -> np.ndarray:
    """Return an image of one shade; negative shades raise a ValueError, like an unreadable image."""
    if shade < 0:
        raise ValueError(f"shade {shade}: not an image")
    return np.full((6, 8, 3), shade, dtype=np.uint8)
