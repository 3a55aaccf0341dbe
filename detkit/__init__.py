"""detkit: train, compare and understand object detectors, from R-CNN to DETR.

>>> import detkit
>>> predictor = detkit.load("embedded")                # or a run, a checkpoint, a published name
>>> detections = predictor("photo.jpg")                # one image; a list of images gives a list
>>> for detection in detections:
...     print(detection.class_name, detection.score, detection.box)

Detect
    load(model)                 a Predictor, from what `detkit models list` lists, a run, a checkpoint or an exported file
    Predictor, ImagePyramid     detect on images of any kind and size; at several scales
    detect_video(predictor, video)
    detect_streams(predictor, sources)   videos, cameras and streams, several at once
    open_source("rtsp://...")   a source of frames: a camera ("0"), an RTSP, MJPEG or video address, or a video file
    track_video(predictor, video)   the frames with tracked objects: an object keeps its id
    track_streams(predictor, sources)    several at once, each with a tracker of its own
    Tracker("bytetrack")        gives the detections of successive frames ids: tracks = tracker.update(detections)
    Detections, Detection       the result: boxes, scores, labels, class names; .draw(), .to_dict(), .to_pandas(), .to_supervision()
    draw_detections(image, detections, class_names)

Train and evaluate
    train(config, hooks=[...])  train; returns a TrainResult
    evaluate(model, data)       COCO metrics on labeled data
    write_report(model, data)   one HTML file with metrics, curves and the worst mistakes; also of a run
    calibrate(model, data, "precision=.9")  the scores from which detections are used, kept in a new file
    Experiment(data="folder")   the config of a run; load_config(path), apply_overrides(config, ["optimizer.lr=0.01"])
    Hook                        base class of your own hooks: called at every step, evaluation and end
    zoo                         the configs that ship with detkit: zoo.names(), zoo.load("fpn_r50")

Data types
    Targets, Proposals          labels and proposals of one image

Guides: https://github.com/detkit-vision/detkit. `detkit --help` lists the commands. Names are imported when they are first used, so that
`import detkit` is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.about import __docs__ as __docs__
from detkit.about import __version__ as __version__
from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit import zoo as zoo
    from detkit.config import apply_overrides as apply_overrides
    from detkit.config import load_config as load_config
    from detkit.data.live.open import open_source as open_source
    from detkit.drawing import draw_detections as draw_detections
    from detkit.experiment import Experiment as Experiment
    from detkit.experiment import TrainResult as TrainResult
    from detkit.experiment import calibrate as calibrate
    from detkit.experiment import evaluate as evaluate
    from detkit.experiment import train as train
    from detkit.inference import ImagePyramid as ImagePyramid
    from detkit.inference import Predictor as Predictor
    from detkit.inference import detect_streams as detect_streams
    from detkit.inference import detect_video as detect_video
    from detkit.inference import load as load
    from detkit.inference import track_streams as track_streams
    from detkit.inference import track_video as track_video
    from detkit.report.api import write_report as write_report
    from detkit.structures import Detection as Detection
    from detkit.structures import Detections as Detections
    from detkit.structures import Proposals as Proposals
    from detkit.structures import Targets as Targets
    from detkit.tracking import Tracker as Tracker
    from detkit.training.hooks import Hook as Hook

_MODULES = {
    "detkit.config": ("apply_overrides", "load_config"),
    "detkit.data.live.open": ("open_source",),
    "detkit.drawing": ("draw_detections",),
    "detkit.experiment": ("Experiment", "TrainResult", "calibrate", "evaluate", "train"),
    "detkit.inference": ("ImagePyramid", "Predictor", "detect_streams", "detect_video", "load", "track_streams", "track_video"),
    "detkit.report.api": ("write_report",),
    "detkit.structures": ("Detection", "Detections", "Proposals", "Targets"),
    "detkit.tracking": ("Tracker",),
    "detkit.training.hooks": ("Hook",),
}

__getattr__ = lazy_getattr(__name__, _MODULES)


def __dir__() -> list[str]:
    """The names of the API alone."""
    return sorted(["__version__", "zoo", *(name for names in _MODULES.values() for name in names)])
