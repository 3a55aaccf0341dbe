"""Evaluation of a detector or classifier on labeled images."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from detkit.checkpoint import read_header
from detkit.data import (
    ClassMapping,
    DataConfig,
    DetectionData,
    SourceConfig,
    load_data,
    parse_renames,
    read_source,
    split_by_image,
    with_split,
)
from detkit.data.sources import Difficult
from detkit.data.splits import crowded_line
from detkit.data.storage.addresses import is_address, shown
from detkit.evaluation import CocoNumbers
from detkit.evaluation.coco_curves import EvaluatorName, check_evaluator
from detkit.evaluation.evaluator import Evaluator
from detkit.experiment.config import Experiment
from detkit.experiment.tasks import check_boxes
from detkit.inference import ImagePyramid, Predictor, PredictorLike, choose_model, detect_records, load
from detkit.inference.runtime import file_runtime, is_exported
from detkit.inference.sources import checkpoint_path, trained_tiles
from detkit.models import MODELS
from detkit.models.detector import DetectorConfig
from detkit.registry import did_you_mean

_log = logging.getLogger(__name__)

Progress = Callable[[Iterable[Any]], Iterable[Any]]

Predicted = Literal["objects", "classes", "pixels"]
"""Kind of prediction: objects with boxes, the class of whole images, or that of every pixel."""


def evaluate(
    model: str | Path | Predictor | ImagePyramid[Any] | None = None,
    data: str | Path | DetectionData | None = None,
    *,
    images: str | Path | None = None,
    split: str | None = None,
    classes: Sequence[str] = (),
    renames: Mapping[str, str] | None = None,
    evaluator: EvaluatorName = "hotcoco",
    device: str = "auto",
    precision: str = "fp32",
) -> CocoNumbers:
    """Return the COCO metrics of a detector on labeled images.

    Args:
        model: A checkpoint, a run folder, a name that ``detkit models`` lists, a predictor, or an image pyramid of one;
            None: the detector inside the package. A detector that was trained on tiles is evaluated on them, unless it is a predictor.
        data: A COCO JSON file, a VOC folder, a YOLO ``data.yaml``, or loaded data; None: the validation data of the run.
        images: The folder of the images, if ``data`` does not determine it.
        split: Split of the data; None: ``val`` or else ``test`` if the data has such splits.
        classes: Evaluate only these classes, by the model's names; boxes of other classes are ignored. Empty: all classes.
        renames: Class names of the data and the corresponding names of the model: ``{"tvmonitor": "tv"}``.
        evaluator: ``"hotcoco"``, or ``"pycocotools"`` as the reference.
        device: Device of the detector: ``"auto"``, ``"cpu"``, ``"cuda"``.
        precision: Number format; the default fp32 gives the metrics of the model itself.

    Raises:
        FileNotFoundError: If the weights or the data are not found.
        ValueError: If the data has classes that the model does not have, or an argument is invalid.
    """
    check_evaluator(evaluator)
    detected = detect_labeled(model, data, images=images, split=split, classes=classes, renames=renames, device=device, precision=precision)
    return detected.numbers(evaluator)


def detect_labeled(
    model: str | Path | Predictor | ImagePyramid[Any] | None,
    data: str | Path | DetectionData | None,
    *,
    images: str | Path | None = None,
    split: str | None = None,
    classes: Sequence[str] = (),
    renames: Mapping[str, str] | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> Evaluator:
    """Load a detector and labeled images, and return an evaluator with the detections; arguments and errors as in :func:`evaluate`."""
    predictor: PredictorLike
    if isinstance(model, (Predictor, ImagePyramid)):
        predictor, source = model, None
    else:
        source, _ = choose_model(model)
        predictor = on_trained_tiles(load(source, device, precision), source)
    if not isinstance(data, DetectionData):
        data = labeled_data(source, data, images=images, split=split)
    return run_evaluator(predictor, with_classes(data, classes, renames))


def on_trained_tiles(predictor: Predictor, source: str | Path) -> PredictorLike:
    """Return a predictor that detects on tiles if its detector was trained on tiles, else the predictor itself."""
    tiles = trained_tiles(source)
    if tiles is None:
        return predictor
    pyramid = ImagePyramid(predictor, **tiles.views)
    _log.info("trained on tiles: %s", pyramid)
    return pyramid


def run_evaluator(predictor: PredictorLike, data: DetectionData, progress: Progress = iter) -> Evaluator:
    """Run a detector on labeled images and return an evaluator with its detections.

    Args:
        predictor: The detector, or an image pyramid of it; it runs without its operating points.
        data: The images; their classes must be among the detector's.
        progress: Wraps the iterable of images, to show the progress.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If the data has a class that the model does not have, or an image cannot be read.
    """
    check_boxes(data)
    if isinstance(predictor, Predictor) and predictor.runtime.info.classifies:
        raise ValueError(
            f"{data.name}: expected a detector, got a classifier, which predicts no boxes; evaluate it with `detkit evaluate`, or with "
            "detkit.experiment.classification_run.evaluate_classifier in Python"
        )
    if isinstance(predictor, Predictor) and predictor.runtime.info.segments:
        raise ValueError(
            f"{data.name}: expected a detector, got a model that predicts the class of each pixel; evaluate it with `detkit evaluate`, or "
            "with detkit.experiment.segmentation_run.evaluate_segmenter in Python"
        )
    crowded = crowded_line(data, predictor.max_detections, "raise max_detections (--max-detections); COCO's AP counts 100")
    if crowded is not None:
        _log.warning("%s", crowded)
    if isinstance(predictor, (Predictor, ImagePyramid)):
        predictor = predictor.without_operating_points()
    evaluator = Evaluator(data, predictor.class_names)
    for record, detections in progress(detect_records(predictor, data)):
        evaluator.add(record, detections)
    return evaluator


def predicted_by(weights: str | Path | None) -> Predicted:
    """Return the kind of prediction of a checkpoint, a run folder or an exported file; None: the detector inside the package.

    Raises:
        FileNotFoundError: If no weights are given and there is no run, or a folder has no checkpoint.
        ValueError: If the file is neither a detkit checkpoint nor an exported file.
    """
    source = choose_model(weights)[0]
    if is_exported(source):
        metadata = file_runtime(source).metadata(Path(source))
        return "classes" if metadata.get("classifies") else "pixels" if metadata.get("segments") else "objects"
    path = checkpoint_path(source)
    kind = "" if path is None else json.loads(read_header(path)["model"]).get("kind", "")
    config: Any = MODELS.get(kind) if kind in MODELS else DetectorConfig
    return "classes" if config.whole_images else "pixels" if config.segments else "objects"


def labeled_data(
    weights: str | Path | None,
    path: str | Path | None,
    *,
    images: str | Path | None = None,
    split: str | None = None,
    val_fraction: float | None = None,
    trained_on: bool = False,
    difficult: Difficult | None = None,
) -> DetectionData:
    """Read the data to evaluate a detector on: that at ``path``, or the validation data of the run that produced ``weights``.

    With ``val_fraction``, return the part of the data at ``path`` that a training with ``data.val_fraction`` keeps for validation, so
    that any detector can be compared with the one that was trained on the rest. With ``trained_on``, return that rest, which shows what
    was memorized. The choice of the images depends on ``data.seed`` of the run that produced ``weights``, or on seed 0 without a run.
    ``difficult`` replaces the setting of the run, or the default, for objects marked difficult.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If no data is given and the weights record no validation data, or the data is invalid.
    """
    folder = None if images is None else str(images)
    if path is not None:
        source = SourceConfig(path=str(path), images=folder, split=split, difficult=difficult or "ignore")
        if val_fraction is not None:
            rest, held_out = split_by_image(read_source(with_split(source, "train")), val_fraction, _seed_of_run(weights))
            return rest if trained_on else held_out
        return read_source(with_split(source, "val", "test"))
    config = _with_difficult(_data_of_run(weights), difficult)
    if split is None and images is None:
        return load_data(config)[1]
    source = config.train if split is not None or config.val is None else config.val
    source = source.replace(split=split or source.split, images=folder or source.images)
    data = read_source(with_split(source, "val", "test"))
    renames = {name: target for name, target in parse_renames(config.rename).items() if name in data.class_names}
    return with_classes(
        data, tuple(name for name in config.classes if name in {renames.get(own, own) for own in data.class_names}), renames
    )


def with_classes(data: DetectionData, classes: Sequence[str] = (), renames: Mapping[str, str] | None = None) -> DetectionData:
    """Return the data with renamed classes, restricted to ``classes`` if any are given.

    Raises:
        ValueError: If the data has no class of such a name.
    """
    if not classes and not renames:
        return data
    renames = renames or {}
    names = tuple(classes) or tuple(dict.fromkeys(renames.get(name, name) for name in data.class_names))
    mapping = ClassMapping.by_name(data.class_names, names, renames)
    if mapping.missing:
        raise ValueError(f"{data.name}: the data has no class {mapping.missing[0]!r}: {did_you_mean(mapping.missing[0], data.class_names)}")
    return mapping.apply(data)


def _data_of_run(weights: str | Path | None) -> DataConfig:
    config = _recorded_data(weights)
    if config is None:
        raise ValueError(f"no data given, and {weights or 'the detector'} records no validation data; pass labeled images as data (--data)")
    for source in (config.train, config.val):
        if source is not None and (is_address(source.path) or is_address(source.images or "")):
            raise ValueError(
                f"no data given, and {weights} records data at {shown(source.path)}; an address in a checkpoint is not opened: pass it as "
                "data (--data) if you trust it"
            )
    return config


def _with_difficult(config: DataConfig, difficult: Difficult | None) -> DataConfig:
    if difficult is None:
        return config
    val = config.val and config.val.replace(difficult=difficult)
    return config.replace(train=config.train.replace(difficult=difficult), val=val)


def _seed_of_run(weights: str | Path | None) -> int:
    config = _recorded_data(weights)
    return 0 if config is None else config.seed


def _recorded_data(weights: str | Path | None) -> DataConfig | None:
    """Return the data settings of the run that produced a checkpoint, if the file records them."""
    path = None if weights is None else checkpoint_path(weights)
    text = read_header(path)["experiment"] if path is not None else ""
    return Experiment.from_json(text).data if text else None
