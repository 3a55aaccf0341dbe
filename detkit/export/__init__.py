"""Export of detectors to files for other runtimes: a new format is one file and one line in :data:`EXPORTERS`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr
from detkit.registry import Registry

if TYPE_CHECKING:
    from detkit.checkpoint.operating_points import OperatingPoints
    from detkit.export.agreement import Agreement, compare
    from detkit.export.onnx import export_onnx
    from detkit.inference.image_like import ImageLike
    from detkit.inference.predictor import Predictor

__all__ = ["EXPORTERS", "Agreement", "compare", "export", "export_onnx"]

EXPORTERS = Registry("export format", "detkit.exporters", {"onnx": "detkit.export.onnx:export_onnx"})
"""Format, which is also the ending of its files, to the function that writes one; other packages can add theirs.

A function takes the arguments of :func:`detkit.export.onnx.export_onnx` and returns an :class:`Agreement`."""

__getattr__ = lazy_getattr(__name__, {".agreement": ("Agreement", "compare"), ".onnx": ("export_onnx",)})


def export(
    predictor: Predictor,
    path: str | Path,
    images: Sequence[ImageLike],
    *,
    batch_size: int = 1,
    min_score: float | None = None,
    operating_points: OperatingPoints | None = None,
) -> Agreement:
    """Export a detector in the format of the file's ending, and compare the outputs of both.

    Args:
        predictor: The detector, in reference mode on the CPU.
        path: The file to write.
        images: Images on which both are compared.
        batch_size: Batch size of the file.
        min_score: Suggested minimum score for showing detections, stored in the file.
        operating_points: The scores at which the detector worked best on its validation data, stored in the file.

    Raises:
        ValueError: If no format has the ending, or the detector cannot be exported.
        ImportError: If a required library is not installed.
    """
    name = Path(path).suffix.removeprefix(".")
    if name not in EXPORTERS:
        endings = " or ".join(f".{known}" for known in EXPORTERS.names())
        raise ValueError(f"{path}: expected a file name ending in {endings}")
    known = {} if operating_points is None else {"operating_points": operating_points}
    agreement: Agreement = EXPORTERS.get(name)(predictor, path, images, batch_size, min_score=min_score, **known)
    return agreement
