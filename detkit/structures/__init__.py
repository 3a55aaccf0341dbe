"""Data types shared by every layer: rows about one image, and a padded batch of images."""

from detkit.structures.batch import Batch, Size
from detkit.structures.detections import Detection, Detections
from detkit.structures.proposals import Proposals
from detkit.structures.rows import Rows
from detkit.structures.stage_explanation import StageExplanation
from detkit.structures.targets import Targets

__all__ = ["Batch", "Detection", "Detections", "Proposals", "Rows", "Size", "StageExplanation", "Targets"]
