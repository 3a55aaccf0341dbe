"""Export in int8: calibration on images, sensitive layers in float32, and the speed that it gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detkit.export.agreement import Agreement, compare
from detkit.export.quantization.quantize import quantize, sensitive_layers
from detkit.export.quantization.rounding import Feeds
from detkit.export.settings import ExportSettings
from detkit.inference.choice.measure import milliseconds
from detkit.inference.exported.onnx import OnnxRuntime
from detkit.inference.exported.runtime import ExportedRuntime
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor

ROUNDS = 5
"""Most attempts; each leaves more layers in float32."""
_STEP = 0.1
"""Fraction of the quantized layers that an attempt leaves in float32."""
_COMPARED = 2
"""Images on which layers are compared."""


def write_int8(path: Path, predictor: Predictor, images: Sequence[ImageLike], settings: ExportSettings) -> Agreement:
    """Replace a float32 file by one in int8, whose most sensitive layers stay in float32 until it is as good as the detector.

    If the settings verify files on labels, they decide; otherwise the detections must agree. In a crowd, detections with low scores change
    places long before the average precision falls.

    Args:
        path: The file; its metadata already states int8.
        predictor: The detector.
        images: Images on which the detections are compared.
        settings: Their images for calibration and their verification.

    Returns:
        The agreement of the last attempt, with the layers in float32 and the speed.

    Raises:
        ValueError: If the verification refuses all attempts.
    """
    source = path.with_name(f"{path.name}.float")
    path.rename(source)
    try:
        batches = _CalibrationBatches(source, predictor, settings.calibration)
        sensitive: tuple[str, ...] = ()
        for attempt in range(ROUNDS):
            layers = quantize(source, path, batches, sensitive)
            runtime = OnnxRuntime.open(path)
            agreement = replace(compare(predictor, runtime, images), kept=layers.kept)
            if _is_good(agreement, runtime, settings, is_last=attempt == ROUNDS - 1):
                break
            count = max(1, round(_STEP * len(layers.layers)))
            sensitive += sensitive_layers(source, path, batches[:_COMPARED], layers, count)
        runtimes = [OnnxRuntime.open(file) for file in (source, path)]
        return replace(agreement, speedup=speedup(runtimes, batches[0]))
    finally:
        source.unlink(missing_ok=True)


def _is_good(agreement: Agreement, runtime: OnnxRuntime, settings: ExportSettings, is_last: bool) -> bool:
    """Return whether a file needs no more layers in float32, or raise the error of the last one's verification."""
    if settings.verify is None:
        return agreement.holds
    try:
        settings.verify(runtime)
    except ValueError:
        if is_last:
            raise
        return False
    return True


def speedup(runtimes: Sequence[ExportedRuntime], feeds: Feeds) -> float:
    """Return the time of the first of two files divided by that of the second, run in turn on one batch."""
    before, after = milliseconds({str(index): runtime.run for index, runtime in enumerate(runtimes)}, [feeds]).values()
    return before / after


class _CalibrationBatches(Sequence[Feeds]):
    """The inputs of a file for each image, computed when they are needed."""

    def __init__(self, path: Path, predictor: Predictor, images: Sequence[ImageLike]) -> None:
        self._runtime, self._predictor, self._images = OnnxRuntime.open(path), predictor, images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        return self._runtime.feeds([self._predictor.prepare(self._images[index])])
