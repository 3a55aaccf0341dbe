"""Inference: loading a trained detector and running it on images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.inference.files import FileResult, detect_files
    from detkit.inference.light import ArrayPredictor, load_exported
    from detkit.inference.loading import load
    from detkit.inference.loop import PredictorLike, detect_records
    from detkit.inference.predictor import Predictor
    from detkit.inference.pyramid import ImagePyramid
    from detkit.inference.sources import choose_model, newest_checkpoint, suggested_min_score
    from detkit.inference.streams import FrameResult, detect_streams
    from detkit.inference.tracks import TrackResult, track_streams, track_video
    from detkit.inference.video import detect_video

__all__ = [
    "ArrayPredictor",
    "FileResult",
    "FrameResult",
    "ImagePyramid",
    "Predictor",
    "PredictorLike",
    "TrackResult",
    "choose_model",
    "detect_files",
    "detect_records",
    "detect_streams",
    "detect_video",
    "load",
    "load_exported",
    "newest_checkpoint",
    "suggested_min_score",
    "track_streams",
    "track_video",
]

# An exported file is loaded and run without torch, also on files and videos; everything else needs it.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".files": ("FileResult", "detect_files"),
        ".light": ("ArrayPredictor", "load_exported"),
        ".loading": ("load",),
        ".loop": ("PredictorLike", "detect_records"),
        ".predictor": ("Predictor",),
        ".pyramid": ("ImagePyramid",),
        ".sources": ("choose_model", "newest_checkpoint", "suggested_min_score"),
        ".streams": ("FrameResult", "detect_streams"),
        ".tracks": ("TrackResult", "track_streams", "track_video"),
        ".video": ("detect_video",),
    },
)
