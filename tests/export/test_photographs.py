"""The trained detector inside the package in both file formats: 16 photographs of 6 shapes, in batches, one pixel, and 4,000 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from exporting import photographs

import detkit
from detkit.export import ExportSettings, export
from detkit.export.agreement import TOLERANCES
from detkit.inference import Predictor
from detkit.weights import EMBEDDED

pytestmark = pytest.mark.slow
pytest.importorskip("onnx")
MIN_SCORE = 0.05


@pytest.fixture(scope="module")
def original() -> Predictor:
    return detkit.load(EMBEDDED, "cpu", reference=True, min_score=MIN_SCORE)


@pytest.fixture(scope="module")
def expected_detections(original: Predictor) -> tuple[list[Any], list[detkit.Detections]]:
    """The photographs, one pixel, and 4,000 pixels, with their detections."""
    images = photographs()
    large = cv2.resize(images[0], (4000, 3000), interpolation=cv2.INTER_CUBIC)
    images = [*images, np.full((1, 1, 3), 128, np.uint8), np.asarray(large, np.uint8)]
    return images, original(images)


@pytest.mark.oracle(
    "PyTorch",
    "exported files of the detector in the package in onnxruntime and OpenVINO, 16 photographs",
    tolerance="boxes 0.1 px, scores 1e-3, same labels",
)
@pytest.mark.parametrize("ending", ["onnx", "xml"])
def test_detections_agree(
    ending: str, original: Predictor, expected_detections: tuple[list[Any], list[detkit.Detections]], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime" if ending == "onnx" else "openvino")
    images, expected = expected_detections
    assert len({image.shape for image in images[:16]}) == 6
    path = tmp_path / f"model.{ending}"
    export(original, path, images[:2], ExportSettings())
    assert sum(map(len, expected)) > 150
    for batch_size, shown in ((1, images[14:]), (5, images[:16])):
        exported = detkit.load(path, min_score=MIN_SCORE, batch_size=batch_size)
        for ours, theirs in zip(exported(shown), expected[14:] if batch_size == 1 else expected[:16], strict=True):
            assert_same(ours, theirs)


def assert_same(ours: detkit.Detections, theirs: detkit.Detections) -> None:
    assert len(ours) == len(theirs)
    assert ours.labels.tolist() == theirs.labels.tolist()
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=TOLERANCES["fp32"].score)
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=TOLERANCES["fp32"].box)
