"""detkit: an object-detection toolkit on PyTorch.

>>> import detkit
>>> predictor = detkit.load("runs/first/best.safetensors")
>>> detections = predictor("image.jpg")

The names below are imported when they are first used, so that ``import detkit`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazily

__version__ = "0.1.0"

if TYPE_CHECKING:
    from detkit.config import apply_overrides, load_config
    from detkit.drawing import draw_detections

    # mypy takes functions that are named after their modules for the modules.
    from detkit.experiment import Experiment, evaluate, train  # type: ignore[no-redef]
    from detkit.inference import ImagePyramid, Predictor, detect_video, load  # type: ignore[no-redef]
    from detkit.structures import Detections, Proposals, Targets

_HOMES = {
    "detkit.config": ("apply_overrides", "load_config"),
    "detkit.drawing": ("draw_detections",),
    "detkit.experiment": ("Experiment", "evaluate", "train"),
    "detkit.inference": ("ImagePyramid", "Predictor", "detect_video", "load"),
    "detkit.structures": ("Detections", "Proposals", "Targets"),
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
    "detect_video",
    "draw_detections",
    "evaluate",
    "load",
    "load_config",
    "train",
]


__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
