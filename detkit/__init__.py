"""detkit: an object-detection toolkit on PyTorch.

>>> import detkit
>>> predictor = detkit.load("runs/first/best.safetensors")
>>> detections = predictor("picture.jpg")

The names below are imported when they are first used, so that ``import detkit`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from detkit.config import apply_overrides, load_config
    from detkit.drawing import draw_detections

    # mypy takes functions that are named after their modules for the modules.
    from detkit.experiment import Experiment, evaluate, train  # type: ignore[no-redef]
    from detkit.inference import ImagePyramid, Predictor, load  # type: ignore[no-redef]
    from detkit.structures import Detections, Proposals, Targets

_HOMES = {
    "Detections": "detkit.structures",
    "Experiment": "detkit.experiment",
    "ImagePyramid": "detkit.inference",
    "Predictor": "detkit.inference",
    "Proposals": "detkit.structures",
    "Targets": "detkit.structures",
    "apply_overrides": "detkit.config",
    "draw_detections": "detkit.drawing",
    "evaluate": "detkit.experiment",
    "load": "detkit.inference",
    "load_config": "detkit.config",
    "train": "detkit.experiment",
}

__all__ = [
    "Detections",
    "Experiment",
    "ImagePyramid",
    "Predictor",
    "Proposals",
    "Targets",
    "__version__",
    "apply_overrides",
    "draw_detections",
    "evaluate",
    "load",
    "load_config",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'detkit' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
