"""A detector with random weights and scores around .5, and images of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoints
from detkit.inference import Predictor
from detkit.models.fcos import FCOSConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import DetectionArrays

NAMES = ("cat", None, "dog")


def noise(*sizes: tuple[int, int]) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def noisy_checkpoint(path: Path, points: OperatingPoints | None = None) -> Path:
    """Write the detector as a checkpoint."""
    predictor = noisy()
    header = make_header(config_of_noisy().to_json(), list(NAMES), **({} if points is None else {HEADER_FIELD: points.to_dict()}))
    save_checkpoint(path, predictor.detector.state_dict(), header)
    return path


def config_of_noisy() -> FCOSConfig:
    base = FCOSConfig(backbone=BackboneConfig(name="hgnetv2_atto", weights=None), preprocess=PreprocessConfig(short_side=96, long_side=192))
    return base.replace(neck=base.neck.replace(out_channels=32), head=base.head.replace(depth=1))


def noisy() -> Predictor:
    torch.manual_seed(0)
    config = config_of_noisy()
    detector = config.build(len(NAMES)).eval()
    detector.hide_unnamed_classes(NAMES)
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if name.endswith("bias") and parameter.min() < -3:
                parameter.fill_(0.0)
    return Predictor(detector, config.preprocess, NAMES, "cpu", "fp32", reference=True)


def assert_equal(actual: DetectionArrays, expected: DetectionArrays, score: float = 1e-4, box: float = 1e-2) -> None:
    """Check that two results are equal up to rounding and the order of equal scores."""
    assert len(actual) == len(expected)
    np.testing.assert_allclose(actual.scores, expected.scores, atol=score)
    for label in np.unique(expected.labels):
        ours, theirs = actual[actual.labels == label], expected[expected.labels == label]
        assert len(ours) == len(theirs)
        distances = np.abs(ours.boxes[:, None] - theirs.boxes).max(-1)
        assert distances.min(0).max() <= box
        assert distances.min(1).max() <= box
