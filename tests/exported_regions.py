"""Inputs and checks shared by the tests of exported detectors with a second stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.arrays import ImageArray
from detkit.inference import Predictor
from detkit.structures import Detections, Proposals


def padded(predictor: Predictor, images: Sequence[NDArray[np.uint8]]) -> tuple[list[Tensor], Tensor, Tensor]:
    """Return the prepared images, and the inputs of a graph for all of them."""
    prepared = [predictor.prepare(image).image for image in images]
    batch = predictor.detector.prepare(prepared)
    return prepared, batch.images * predictor.detector.std + predictor.detector.mean, torch.tensor(batch.sizes)


def check_outputs(expected: Sequence[Detections], outputs: tuple[Tensor, ...]) -> int:
    """Check the outputs of a graph for a batch; return the number of detections."""
    boxes, scores, labels, counts = outputs
    for index, rows in enumerate(expected):
        count = int(counts[index])
        assert count == len(rows)
        torch.testing.assert_close(scores[index, :count], rows.scores, atol=2e-5, rtol=0)
        torch.testing.assert_close(boxes[index, :count], rows.boxes, atol=2e-3, rtol=0)
        assert torch.equal(labels[index, :count], rows.labels)
        assert not boxes[index, count:].any()
    return int(counts.sum())


@dataclass(frozen=True)
class RandomBoxes:
    """A proposal backend that returns random boxes, of which some stick out; as many as the image's width in tens."""

    version: str = "random"

    def __call__(self, image: ImageArray, settings: object, threads: int | None = None) -> Proposals:
        generator, (height, width) = np.random.default_rng(0), image.shape[:2]
        corners = generator.uniform(-0.1, 0.9, (width // 10, 2))
        sides = generator.uniform(0.02, 1.0, (width // 10, 2)) ** 2
        boxes = np.concatenate((corners, corners + sides), 1) * [width, height, width, height]
        return Proposals(torch.from_numpy(boxes.astype(np.float32)), torch.ones(len(boxes)))
