"""A detector with known outputs: it detects the bright region of each color channel; the channel is the label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from detkit.inference import Predictor
from detkit.preprocess import PreprocessConfig
from detkit.structures import Detections

NAMES = ("red", "green", None)


class BrightDetector(nn.Module):
    pad_multiple = 32
    input_size: tuple[int, int] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.calls: list[int] = []

    def forward(self, images: list[Tensor], targets: None = None) -> list[Detections]:
        assert not self.training
        self.calls.append(len(images))
        return [self._one(image) for image in images]

    def prepare(self, images: list[Tensor]) -> None:
        raise ValueError("BrightDetector cannot be explained")

    def _one(self, image: Tensor) -> Detections:
        rows = []
        for label in range(3):
            ys, xs = torch.nonzero(image[label] > 0.5, as_tuple=True)
            if len(ys):
                box = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]
                rows.append((box, 0.9 - 0.3 * label, label))
        boxes = torch.tensor([row[0] for row in rows], dtype=torch.float32).reshape(-1, 4) * self.scale
        return Detections(boxes, torch.tensor([row[1] for row in rows]).float(), torch.tensor([row[2] for row in rows]).long())


class MaskedDetector(BrightDetector):
    """Detects the bright region of each color channel, with its pixels as the mask, on a grid over the box."""

    def _one(self, image: Tensor) -> Detections:
        detections = super()._one(image)
        grids = torch.zeros(len(detections), 112, 112)
        for row, (label, box) in enumerate(zip(detections.labels.tolist(), detections.boxes.int().tolist(), strict=True)):
            pixels = (image[label, box[1] : box[3], box[0] : box[2]] > 0.5).float()
            grids[row] = interpolate(pixels[None, None], (112, 112), mode="bilinear")[0, 0]
        return detections.replace(mask_probabilities=grids)


def predictor(short_side: int = 100, **options: object) -> Predictor:
    config = PreprocessConfig(short_side=short_side, long_side=1000)
    return Predictor(BrightDetector(), config, NAMES, "cpu", "fp32", reference=True, **options)  # type: ignore[arg-type]


def image(height: int = 60, width: int = 80, red: tuple[int, int, int, int] = (10, 20, 30, 40)) -> np.ndarray:
    """Return a black image with a red, a green and a blue rectangle; the red one at ``x1 y1 x2 y2``."""
    pixels = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = red
    pixels[y1:y2, x1:x2, 0] = 255
    pixels[5:15, 40:60, 1] = 255
    pixels[45:55, 50:70, 2] = 255
    return pixels


def saved(folder: Path, name: str, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(folder / name, **options)  # type: ignore[arg-type]
    return folder / name


def load_bright(source: Any, device: str, precision: str, **options: Any) -> Predictor:
    """Stand in for :func:`detkit.inference.load`, where ``--model bright`` is a detector of bright rectangles."""
    assert str(source) == "bright"
    return predictor(60, **options)
