"""Settings of an exported file, and the facts that it records besides the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from detkit.arrays import Size
from detkit.checkpoint.operating_points import OperatingPoints
from detkit.inference.exported.metadata import OutputKind
from detkit.inference.image_like import ImageLike
from detkit.inference.runtime import FileRuntime

OPSET = 17
"""Version of the ONNX operator set, from 2022, which current and several-year-old runtimes support."""
MIN_OPSET = 16
"""First version in which RoI align has the shift by half a pixel, and grid sampling exists."""


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Settings of an exported file.

    Attributes:
        outputs: What the file returns, see :data:`detkit.inference.exported.outputs.OUTPUTS`; None: the detections, or the scores of a
            classifier.
        batch_size: Images per call; None: any number.
        opset: Version of the ONNX operator set.
        precision: Data type of convolutions and matrix products; inputs and outputs stay float32.
        min_score: Suggested minimum score for showing detections; see :func:`detkit.inference.suggested_min_score`.
        operating_points: The scores at which the detector worked best on its validation data.
        license: Terms of the weights, as far as they are known.
        training: Facts about the training, such as its data, as JSON.
        accept: Whether the file is written even if its detections differ more than they should, or int8 is slower than float32.
        calibration: For int8, images on which the ranges of values are measured: a hundred or more of the kind that the detector will see.
        for_opencv: Whether the file is for OpenCV's dnn: scores and boxes at all locations of one image of one size.
        size: For OpenCV, ``(height, width)`` of the images of a detector of any size.
        verify: Called with the runtime of the new file before it takes its place; raises an error to refuse it.
    """

    outputs: OutputKind | None = None
    batch_size: int | None = None
    opset: int = OPSET
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    min_score: float | None = None
    operating_points: OperatingPoints | None = None
    license: str | None = None
    training: str | None = None
    accept: bool = False
    calibration: Sequence[ImageLike] = ()
    for_opencv: bool = False
    size: Size | None = None
    verify: Callable[[FileRuntime], None] | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, got {self.batch_size}")
        if (self.precision == "int8") != bool(self.calibration):
            raise ValueError("precision int8 needs images for its calibration, of the kind that the detector will see; others take none")
        if self.size is not None and not self.for_opencv:
            raise ValueError(
                "size: only files for OpenCV have a size of their own; other files take images of any size, or of the detector's"
            )
        if self.for_opencv and (self.outputs not in (None, "locations") or self.precision != "fp32" or self.batch_size not in (None, 1)):
            raise ValueError("for_opencv: expected outputs=locations, precision fp32 and one image per call, which are the defaults")
        if self.opset < MIN_OPSET:
            raise ValueError(f"opset: expected {MIN_OPSET} or more, got {self.opset}; older operator sets cannot hold every detector")
