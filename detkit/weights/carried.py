"""The detector that the package itself carries, so that images can be looked at where nothing can be fetched."""

from __future__ import annotations

from pathlib import Path

from detkit.weights.table import find

EMBEDDED = "embedded"
"""What the detector inside the package is called where weights are named."""

EMBEDDED_FACTS = {
    "classes": "COCO's 80 classes",
    "measured on": "COCO photographs kept out of its training",
    "trained on": "photographs of COCO train2017, ImageNet-1K and VOC2012, and what YOLOX-Nano says of them",
    "license": "Apache-2.0; the photographs' own terms are told in docs/embedded_detector.md",
}
"""What to tell about it that its file does not say."""

_FILE = Path(__file__).with_name("embedded.safetensors")
_BETTER = "fasterrcnn_resnet50_fpn_v2"


def embedded() -> Path | None:
    """The checkpoint inside the package; ``None`` where it was built without one."""
    return _FILE if _FILE.is_file() else None


def needed_embedded() -> Path:
    """The checkpoint inside the package.

    Raises:
        FileNotFoundError: the package was built without one.
    """
    if not _FILE.is_file():
        raise FileNotFoundError(f"weights {EMBEDDED}: this installation of detkit carries no detector ({_FILE}); install detkit again")
    return _FILE


def better_models_hint() -> str:
    """In one line, which published detector finds more, and the command that fetches it."""
    entry = find(_BETTER)
    return f"{entry.name} finds more ({entry.size_spoken()} MiB): detkit weights download {entry.name}, then --weights {entry.name}"
