"""Using a trained detector: loading it, and running it over images."""

from detkit.inference.explain import Explanation, explain
from detkit.inference.loading import choose_weights, load, newest_checkpoint, suggested_min_score
from detkit.inference.loop import Finder, Outcome, detect_files, detect_records
from detkit.inference.predictor import Predictor
from detkit.inference.pyramid import ImagePyramid
from detkit.inference.video import detect_video

__all__ = [
    "Explanation",
    "Finder",
    "ImagePyramid",
    "Outcome",
    "Predictor",
    "choose_weights",
    "detect_files",
    "detect_records",
    "detect_video",
    "explain",
    "load",
    "newest_checkpoint",
    "suggested_min_score",
]
