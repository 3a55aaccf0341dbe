"""Export for OpenCV's dnn, which loads convolutional one-stage detectors: scores and boxes at all locations of images of one size."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detkit.arrays import Size
from detkit.export.agreement import TOLERANCES
from detkit.export.graph import OneStageLocations
from detkit.heads.queries.query_head import QueryHead
from detkit.inference.exported.onnx import OnnxRuntime
from detkit.inference.exported.outputs import IMAGES
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.models.detector import Detector
from detkit.models.one_stage import OneStage

_SHOWN = 0.05
"""Boxes with a lower score are not compared."""


class OpenCvLocations(OneStageLocations):
    """A one-stage detector for one image of one size, in operators that OpenCV has.

    Args:
        detector: The detector; not modified.
        size: ``(height, width)`` of the images.

    Raises:
        ValueError: If it is not a convolutional one-stage detector.
    """

    def __init__(self, detector: Detector, size: Size) -> None:
        if not isinstance(detector, OneStage) or isinstance(detector.head, QueryHead):
            raise ValueError(
                f"{type(detector).__name__} cannot be exported for OpenCV, whose dnn runs convolutional one-stage detectors, such as "
                "RetinaNet, FCOS, SSD and YOLOX; run the ordinary file with onnxruntime"
            )
        super().__init__(detector)
        self.detector.input_size = size

    @property
    def outputs(self) -> tuple[str, ...]:
        """See :attr:`Graph.outputs`."""
        return ("scores", "boxes")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return scores ``(1, N, K)`` and boxes ``(1, N, 4)``; see :meth:`OneStageLocations.forward`."""
        detector, batch = self.detector, self.batch(images)
        outputs, locations = detector.split_outputs(detector.raw(batch), batch)
        scores = detector.head.scores(outputs)
        if detector.unreported is not None:  # in numbers: OpenCV has no booleans
            hidden = detector.unreported.float()
            scores = scores * (1 - hidden) - hidden
        self.levels = tuple(int(level.shape[0]) for level in locations)
        of_rows = torch.arange(len(self.levels)).repeat_interleave(torch.tensor(self.levels))
        every: Any = SimpleNamespace(rows=slice(None), labels=None, levels=of_rows)  # no index, which OpenCV would have to gather
        return scores, detector.head.boxes(outputs, torch.cat(locations), 0, every)[None]

    def complete(self, model: Any, opset: int) -> None:
        """Replace everything that does not depend on the image by constants."""
        model.CopyFrom(with_constants(model))


def predictor_of_size(predictor: Predictor, size: Size | None) -> Predictor:
    """Return a predictor whose images all have one size: they are scaled to fit into it, and padded.

    Args:
        predictor: The detector, in reference mode.
        size: ``(height, width)``; None: the size of a detector that has one.

    Raises:
        ValueError: If no size is given for a detector of any size, or another one than the detector's own.
    """
    own, multiple = predictor.preprocess.input_size, predictor.detector.pad_multiple
    if own is not None and size not in (None, own):
        raise ValueError(f"size: the detector takes images of {own[1]} x {own[0]} pixels, got {size[1]} x {size[0]}")
    if own is None and size is None:
        raise ValueError(
            f"size: the detector takes images of any size, OpenCV of one; name it, in multiples of {multiple}, such as --size 640x640"
        )
    if own is not None or size is None:
        return predictor
    if any(side % multiple for side in size):
        raise ValueError(f"size: expected sides divisible by {multiple}, got {size[0]} x {size[1]}")
    preprocess = predictor.preprocess.replace(rule="letterbox", input_size=size)
    return Predictor(predictor.detector, preprocess, predictor.class_names, "cpu", "fp32", reference=True)


def with_constants(model: Any) -> Any:
    """Return an ONNX model in which everything that does not depend on the image is a constant."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3  # without a line for every constant
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "constants.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        folded = onnx.load(options.optimized_model_filepath)
    domains = [entry for entry in folded.opset_import if entry.domain == ""]
    del folded.opset_import[:]
    folded.opset_import.extend(domains)
    return folded


def check_in_opencv(path: Path, predictor: Predictor, images: Sequence[ImageLike]) -> None:
    """Check that OpenCV loads a file and computes the scores and boxes that onnxruntime computes.

    Raises:
        ValueError: If it does not; the message says so in one sentence.
    """
    import cv2

    name = predictor.runtime.info.name
    runtime = OnnxRuntime.open(path)
    try:
        network = cv2.dnn.readNetFromONNX(np.frombuffer(path.read_bytes(), np.uint8))
        for image in images:
            prepared = [predictor.prepare(image)]
            expected = runtime.outputs(prepared)
            network.setInput(runtime.feeds(prepared)[IMAGES])
            actual = dict(zip(("scores", "boxes"), network.forward(["scores", "boxes"]), strict=True))
            if not _agree(actual, expected):
                raise ValueError(f"{name} cannot be exported for OpenCV {cv2.__version__}: its dnn computes other values than onnxruntime")
    except cv2.error as error:
        reason = next((line.strip("> ") for line in str(error).splitlines() if "error:" in line), "unknown")
        raise ValueError(f"{name} cannot be exported for OpenCV {cv2.__version__}: its dnn does not load the file: {reason}") from None


def _agree(actual: dict[str, Any], expected: dict[str, Any]) -> bool:
    if any(actual[name].shape != expected[name].shape for name in actual):
        return False
    tolerance, shown = TOLERANCES["fp32"], expected["scores"].max(-1) > _SHOWN
    distance = np.abs(actual["boxes"] - expected["boxes"])[shown].max(initial=0.0)
    return bool(np.abs(actual["scores"] - expected["scores"]).max() <= tolerance.score and distance <= tolerance.box)
