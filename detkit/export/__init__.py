"""Export of detectors to files for other runtimes: a new format is one file and one line in :data:`EXPORTERS`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr
from detkit.registry import Registry

if TYPE_CHECKING:
    from detkit.export.agreement import Agreement, compare
    from detkit.export.onnx import export_onnx
    from detkit.export.settings import ExportSettings
    from detkit.inference.image_like import ImageLike
    from detkit.inference.predictor import Predictor

__all__ = ["EXPORTERS", "Agreement", "ExportSettings", "compare", "export", "export_onnx"]

EXPORTERS = Registry(
    "export format", "detkit.exporters", {"onnx": "detkit.export.onnx:export_onnx", "xml": "detkit.export.files.openvino:export_openvino"}
)
"""Format, which is also the ending of its files, to the function that writes one; other packages can add theirs.

A function takes the arguments of :func:`detkit.export.onnx.export_onnx` and returns an :class:`Agreement`."""

__getattr__ = lazy_getattr(__name__, {".agreement": ("Agreement", "compare"), ".onnx": ("export_onnx",), ".settings": ("ExportSettings",)})


def export(predictor: Predictor, path: str | Path, images: Sequence[ImageLike], settings: ExportSettings | None = None) -> Agreement:
    """Export a detector in the format of the file's ending, and compare the detections of both.

    Args:
        predictor: The detector, in reference mode on the CPU.
        path: The file to write.
        images: Images on which both are compared.
        settings: Outputs, batch size, operator set, precision, and what the file records; None: the defaults.

    Raises:
        ValueError: If no format has the ending, or the detector cannot be exported.
        ImportError: If a required library is not installed.
    """
    name = Path(path).suffix.removeprefix(".")
    if name not in EXPORTERS:
        endings = " or ".join(f".{known}" for known in EXPORTERS.names())
        raise ValueError(f"{path}: expected a file name ending in {endings}")
    agreement: Agreement = EXPORTERS.get(name)(predictor, path, images, settings)
    return agreement
