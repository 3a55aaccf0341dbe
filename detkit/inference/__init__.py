"""Inference: loading a trained detector and running it on images."""

from detkit.inference.explain import Explanation, explain
from detkit.inference.loading import choose_model, load, newest_checkpoint, suggested_min_score
from detkit.inference.loop import FileResult, PredictorLike, detect_files, detect_records
from detkit.inference.predictor import Predictor
from detkit.inference.pyramid import ImagePyramid
from detkit.inference.video import detect_video

__all__ = [
    "Explanation",
    "FileResult",
    "ImagePyramid",
    "Predictor",
    "PredictorLike",
    "choose_model",
    "detect_files",
    "detect_records",
    "detect_video",
    "explain",
    "load",
    "newest_checkpoint",
    "suggested_min_score",
]
