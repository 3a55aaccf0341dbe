"""Judging a detector on labeled images."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from detkit.data.crops import CropConfig, images_of
from detkit.evaluation import CocoNumbers
from detkit.evaluation.accuracy import Accuracy, accuracy
from detkit.evaluation.engines import EvaluatorName, check_evaluator
from detkit.evaluation.evaluator import Evaluator
from detkit.experiment.classified import check_boxes
from detkit.experiment.config import Experiment
from detkit.inference import Finder, ImagePyramid, Predictor, choose_weights, detect_records, load
from detkit.inference.loading import checkpoint_path
from detkit.models.classifier import Classifier
from detkit.registry import did_you_mean

Progress = Callable[[Iterable[Any]], Iterable[Any]]


def evaluate(
    weights: str | Path | Predictor | ImagePyramid | None = None,
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
    """The COCO numbers of a detector on labeled images.

    Args:
        weights: A checkpoint, a run's folder, a name that ``detkit weights`` lists, a predictor, or an image pyramid of one;
            None: the newest run's best.
        data: A COCO JSON file, a VOC folder, a YOLO ``data.yaml``, or data that was read; None: what the run was validated on.
        images: The folder of the images, where it cannot be seen from ``data``.
        split: Which part of the data; None: ``val`` or else ``test`` if it has such parts.
        classes: Judge only these of the data's classes, by the model's names; the rest of the data's boxes is left out. Empty: all.
        renames: What the data calls a class, and what the model calls it: ``{"tvmonitor": "tv"}``.
        evaluator: ``"hotcoco"``, or ``"pycocotools"`` as the reference.
        device: Where the detector runs: ``"auto"``, ``"cpu"``, ``"cuda"``.
        precision: In which numbers; fp32 unless told otherwise, so that the numbers are the model's own.

    Raises:
        FileNotFoundError: the weights or the data are not there.
        ValueError: the data has classes that the model does not have, or something is not of its form.
    """
    check_evaluator(evaluator)
    predictor: Finder
    if isinstance(weights, (Predictor, ImagePyramid)):
        predictor, source = weights, None
    else:
        source, _ = choose_weights(weights)
        predictor = load(source, device, precision)
    if not isinstance(data, DetectionData):
        data = labeled_data(source, data, images=images, split=split)
    return judge(predictor, with_classes(data, classes, renames)).numbers(evaluator)


def judge(predictor: Finder, data: DetectionData, progress: Progress = iter) -> Evaluator:
    """Run a detector over labeled images and collect what it finds.

    Args:
        predictor: The detector, or an image pyramid of it.
        data: The images; their classes must be among the detector's.
        progress: Wraps the images, one by one, to show how far it is.

    Raises:
        FileNotFoundError: a image is missing.
        ValueError: the data has a class that the model does not have, or a image cannot be read.
    """
    check_boxes(data)
    if isinstance(predictor, Predictor) and isinstance(predictor.detector, Classifier):
        raise ValueError(f"{data.name}: a classifier finds no boxes; judge it by `detkit evaluate`, or by evaluate_classifier in Python")
    evaluator = Evaluator(data, predictor.class_names)
    for record, detections in progress(detect_records(predictor, data)):
        evaluator.add(record, detections)
    return evaluator


def is_classifier(weights: str | Path | None) -> bool:
    """Whether a checkpoint, a run's folder or (None) the newest run holds a classifier of whole images.

    Raises:
        FileNotFoundError: nothing is named and there is no run, or a folder has no checkpoint.
        ValueError: the file is no checkpoint of ours.
    """
    path = checkpoint_path(choose_weights(weights)[0])
    return path is not None and json.loads(read_header(path)["model"]).get("kind") == "classifier"


def evaluate_classifier(
    predictor: Predictor,
    data: DetectionData,
    *,
    crops: CropConfig | None = None,
    renames: Mapping[str, str] | None = None,
    classes: Sequence[str] = (),
    progress: Progress = iter,
) -> Accuracy:
    """How often a classifier is right about images in a folder for each class, or about the objects of data with boxes, cut out.

    Args:
        predictor: The classifier.
        data: The images; their classes must be among the classifier's.
        crops: How objects are cut out; as a training does unless its config says otherwise.
        renames: What the data calls a class, and what the classifier calls it.
        classes: Judge only images of these classes; empty: all.
        progress: Wraps the images, one by one, to show how far it is.

    Raises:
        ValueError: there are no images, or of a class that the classifier does not have.
    """
    data = images_of(with_classes(data, classes, renames), crops or CropConfig())
    known = ClassMapping.subset(data.class_names, predictor.class_names).apply(data)
    guesses = [found.labels.tolist() for _, found in progress(detect_records(predictor, known))]
    return accuracy(known.records.labels.tolist(), guesses, len(predictor.class_names))


def labeled_data(
    weights: str | Path | None,
    path: str | Path | None,
    *,
    images: str | Path | None = None,
    split: str | None = None,
    val_fraction: float | None = None,
    trained_on: bool = False,
) -> DetectionData:
    """Read what a detector is to be judged on: the data at ``path``, or what the run that made ``weights`` was validated on.

    With ``val_fraction`` it is that part of the data at ``path`` that a training with ``data.val_fraction`` keeps for validation, so that
    any detector can be compared with the one that was trained on the rest; ``trained_on``: that rest, which tells what was learned by heart.
    Which images these are depends on ``data.seed``; it is that of the run which made ``weights``, and 0 where there was none.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: no data is named, and the weights do not say on which they were validated; or the data is not of its form.
    """
    folder = None if images is None else str(images)
    if path is not None:
        source = SourceConfig(path=str(path), images=folder, split=split)
        if val_fraction is not None:
            rest, kept = split_by_image(read_source(with_split(source, "train")), val_fraction, _seed_of_run(weights))
            return rest if trained_on else kept
        return read_source(with_split(source, "val", "test"))
    config = _data_of_run(weights)
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
    """The data with its classes renamed, and then only those of ``classes``, if any are named.

    Raises:
        ValueError: the data has no class of such a name.
    """
    if not classes and not renames:
        return data
    renames = renames or {}
    names = tuple(classes) or tuple(dict.fromkeys(renames.get(name, name) for name in data.class_names))
    mapping = ClassMapping.by_name(data.class_names, names, renames)
    if mapping.without_data:
        raise ValueError(
            f"{data.name}: the data has no class {mapping.without_data[0]!r}: {did_you_mean(mapping.without_data[0], data.class_names)}"
        )
    return mapping.apply(data)


def _data_of_run(weights: str | Path | None) -> DataConfig:
    config = _told_by(weights)
    if config is None:
        raise ValueError(f"which data? {weights or 'the detector'} does not tell on what it was validated; name labeled images as data")
    return config


def _seed_of_run(weights: str | Path | None) -> int:
    config = _told_by(weights)
    return 0 if config is None else config.seed


def _told_by(weights: str | Path | None) -> DataConfig | None:
    """The data of the run that made a checkpoint, where its file tells."""
    path = None if weights is None else checkpoint_path(weights)
    text = read_header(path)["experiment"] if path is not None else ""
    return Experiment.from_json(text).data if text else None
