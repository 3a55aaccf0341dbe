"""The detector that ships inside the package, so that detection works without a download."""

from __future__ import annotations

from pathlib import Path

from detkit.about import __docs__
from detkit.weights.table import find

EMBEDDED = "embedded"
"""Name of the detector inside the package wherever weights are given by name."""

WEIGHTS_KEY = "weights_sha256"
"""Key of the metadata of the graph for onnxruntime with the SHA-256 of the checkpoint that holds its weights."""

EMBEDDED_INFO = {
    "classes": "COCO's 80 classes",
    "measured on": "COCO photographs excluded from its training",
    "trained on": "photographs of COCO train2017, ImageNet-1K and VOC2012, and YOLOX-Nano's predictions for them",
    "license": f"Apache-2.0; {__docs__}/embedded_detector.md states the terms of the photographs",
}
"""Information on it that its file does not hold."""

_FILE = Path(__file__).with_name("embedded.safetensors")
_ONNX_FILE = _FILE.with_suffix(".onnx")
_BETTER = "fasterrcnn_resnet50_fpn_v2"


def embedded_path() -> Path | None:
    """Return the checkpoint inside the package, or None if the package was built without one."""
    return _FILE if _FILE.is_file() else None


def embedded_onnx_path() -> Path | None:
    """Return the graph of the detector for onnxruntime, or None if the package was built without it.

    It has no weights of its own: it names their positions in the checkpoint, which is in the same folder.
    """
    return _ONNX_FILE if _ONNX_FILE.is_file() and _FILE.is_file() else None


def require_embedded_path() -> Path:
    """Return the checkpoint inside the package.

    Raises:
        FileNotFoundError: If the package was built without one.
    """
    if not _FILE.is_file():
        raise FileNotFoundError(f"weights {EMBEDDED}: this installation of detkit has no embedded detector ({_FILE}); reinstall detkit")
    return _FILE


def better_models_hint() -> str:
    """Return one line that names a more accurate published detector and the command that downloads it."""
    entry = find(_BETTER)
    return f"{entry.name} is more accurate ({entry.format_size()} MiB): detkit models download {entry.name}, then --model {entry.name}"
