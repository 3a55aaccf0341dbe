"""Evaluation of a classifier on labeled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from detkit.arrays import to_numpy
from detkit.data import ClassMapping, DetectionData
from detkit.data.crops import CropConfig, classification_data
from detkit.evaluation.accuracy import Accuracy
from detkit.evaluation.classified import ClassifiedImages
from detkit.experiment.evaluation_run import Progress, with_classes
from detkit.inference import Predictor, detect_records


def evaluate_classifier(
    predictor: Predictor,
    data: DetectionData,
    *,
    crops: CropConfig | None = None,
    renames: Mapping[str, str] | None = None,
    classes: Sequence[str] = (),
    progress: Progress = iter,
) -> Accuracy:
    """Return the accuracy of a classifier on images in a folder per class, or on the cropped objects of data with boxes.

    Args:
        predictor: The classifier.
        data: The images; their classes must be among the classifier's.
        crops: How objects are cropped; None: the default settings of training.
        renames: Class names of the data and the corresponding names of the classifier.
        classes: Evaluate only images of these classes; empty: all.
        progress: Wraps the iterable of images, to show the progress.

    Raises:
        ValueError: If there are no images, or images of a class that the classifier does not have.
    """
    return classify_labeled(predictor, classified_data(predictor, data, crops, renames, classes), progress).accuracy


def classified_data(
    predictor: Predictor,
    data: DetectionData,
    crops: CropConfig | None = None,
    renames: Mapping[str, str] | None = None,
    classes: Sequence[str] = (),
) -> DetectionData:
    """Return the images that a classifier is evaluated on, with its labels; arguments and errors as in :func:`evaluate_classifier`."""
    data = classification_data(with_classes(data, classes, renames), crops or CropConfig())
    return ClassMapping.subset(data.class_names, predictor.class_names).apply(data)


def classify_labeled(predictor: Predictor, data: DetectionData, progress: Progress = iter) -> ClassifiedImages:
    """Return the predictions of a classifier on the images of :func:`classified_data`."""
    found = [detections for _, detections in progress(detect_records(predictor, data))]
    return ClassifiedImages(
        tuple(name or "?" for name in predictor.class_names),
        np.asarray(data.records.labels, np.int64),
        [to_numpy(one.labels) for one in found],
        [to_numpy(one.scores).astype(np.float64) for one in found],
    )
