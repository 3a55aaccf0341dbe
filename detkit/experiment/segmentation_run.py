"""Evaluation of a model for semantic segmentation on labeled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from detkit.arrays import ImageArray
from detkit.data import ClassMapping, DetectionData
from detkit.data.record_image import read_record
from detkit.evaluation.segmentation import SegmentationEvaluator, SegmentationNumbers
from detkit.experiment.evaluation_run import Progress, with_classes
from detkit.experiment.tasks import check_masks
from detkit.inference import ImagePyramid, Predictor, detect_records
from detkit.models.semantic.segmenter import Segmenter


def evaluate_segmenter(
    predictor: Predictor | ImagePyramid[Any],
    data: DetectionData,
    *,
    renames: Mapping[str, str] | None = None,
    classes: Sequence[str] = (),
    progress: Progress = iter,
) -> SegmentationNumbers:
    """Return the mIoU and the pixel accuracy of a model for semantic segmentation.

    Args:
        predictor: The model, or tiles and other views of it.
        data: Images whose objects have masks, with classes that the model has; pixels of no object are background if the model has that.
        renames: Class names in the data and the corresponding names of the model.
        classes: Count only objects of these classes; empty: all.
        progress: Wraps the iterable of images, to show the progress.

    Raises:
        ValueError: If the data has no masks, or classes that the model does not have.
    """
    return segment_labeled(predictor, segmented_data(predictor, data, renames, classes), progress)


def segmented_data(
    predictor: Predictor | ImagePyramid[Any], data: DetectionData, renames: Mapping[str, str] | None = None, classes: Sequence[str] = ()
) -> DetectionData:
    """Return the data that a model is evaluated on, with its labels; arguments and errors as in :func:`evaluate_segmenter`."""
    check_masks(data)
    data = with_classes(data, classes, renames)
    return ClassMapping.subset(data.class_names, predictor.class_names).apply(data)


def segment_labeled(predictor: Predictor | ImagePyramid[Any], data: DetectionData, progress: Progress = iter) -> SegmentationNumbers:
    """Return the metrics of a model on the images of :func:`segmented_data`."""
    evaluator = SegmentationEvaluator(predictor.class_names, has_background(predictor))
    for record, detections in progress(detect_records(predictor.without_operating_points(), data)):
        evaluator.add(record, detections)
    return evaluator.numbers()


def label_maps(predictor: Predictor | ImagePyramid[Any], data: DetectionData, index: int) -> tuple[ImageArray, ImageArray, ImageArray]:
    """Return an image of :func:`segmented_data`, its labels and what the model predicts: ``(H, W, 3)`` RGB and two label maps ``(H, W)``.

    Pixels of no object have the label K, or 255 if the model has no background; so have ignored pixels.
    """
    record = data.records[index]
    image, evaluator = read_record(record), SegmentationEvaluator(predictor.class_names, has_background(predictor))
    return image, *evaluator.maps(record, predictor.without_operating_points()(image))


def has_background(predictor: Predictor | ImagePyramid[Any]) -> bool:
    """Return whether pixels of no object are a class of the model."""
    if isinstance(predictor, ImagePyramid):
        return has_background(predictor.predictor)  # type: ignore[arg-type]
    metadata = predictor.runtime.info.metadata
    return bool(metadata.get("background", True)) if metadata else cast("Segmenter", predictor.detector).config.background
