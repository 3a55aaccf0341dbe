"""A source of proposals that is quick and tells how often it was asked; it can be sent to other processes."""

from __future__ import annotations

import numpy as np
import torch

from detkit.proposals import ProposalsConfig
from detkit.structures import Proposals


class Counting:
    """Five boxes in a image, whose first corner is the image's first pixel."""

    def __init__(self, version: str = "counting 1") -> None:
        self.version = version
        self.calls = 0

    def __call__(self, image: np.ndarray, config: ProposalsConfig, threads: int | None = None) -> Proposals:
        self.calls += 1
        x = float(image[0, 0, 0])
        boxes = torch.tensor([[x, 0, x + 40, 10], [x, 0, x + 10, 10], [x, 0, x + 2, 2], [x, 0, x + 30, 20], [x, 0, x, 9]])
        return Proposals(boxes.float(), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]))


def image(shade: int) -> np.ndarray:
    """A image whose pixels have one shade; a negative one cannot be read."""
    if shade < 0:
        raise ValueError(f"shade {shade}: not a image")
    return np.full((6, 8, 3), shade, dtype=np.uint8)
