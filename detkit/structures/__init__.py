"""Data types shared by every layer: rows about one image, and a padded batch of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.arrays import Size
    from detkit.structures.batch import Batch
    from detkit.structures.columns import Column, column
    from detkit.structures.detection import Detection, DetectionArrays, DetectionMethods
    from detkit.structures.detections import Detections
    from detkit.structures.masks import Masks
    from detkit.structures.proposals import Proposals
    from detkit.structures.rows import Rows
    from detkit.structures.segmentations import Segmentations
    from detkit.structures.stage_explanation import StageExplanation
    from detkit.structures.targets import Targets

__all__ = [
    "Batch",
    "Column",
    "Detection",
    "DetectionArrays",
    "DetectionMethods",
    "Detections",
    "Masks",
    "Proposals",
    "Rows",
    "Segmentations",
    "Size",
    "StageExplanation",
    "Targets",
    "column",
]

# Sizes and detections as numpy arrays need no torch; everything else does.
__getattr__ = lazy_getattr(
    __name__,
    {
        "detkit.arrays": ("Size",),
        ".batch": ("Batch",),
        ".columns": ("Column", "column"),
        ".detection": ("Detection", "DetectionArrays", "DetectionMethods"),
        ".detections": ("Detections",),
        ".masks": ("Masks",),
        ".proposals": ("Proposals",),
        ".rows": ("Rows",),
        ".segmentations": ("Segmentations",),
        ".stage_explanation": ("StageExplanation",),
        ".targets": ("Targets",),
    },
)
