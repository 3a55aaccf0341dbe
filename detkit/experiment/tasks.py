"""Differences between training a detector and training a classifier of whole images: data and validation."""

from __future__ import annotations

from detkit.data import DetectionData, load_data
from detkit.data.crops import classification_data, require_two_classes
from detkit.experiment.config import Experiment
from detkit.training.run import Run
from detkit.training.validation import ClassValidation, Validation


def read_data(config: Experiment) -> tuple[DetectionData, DetectionData]:
    """Read training and validation data as the model needs it: images with boxes, or images with one class each.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: If the data has no boxes and the model needs them, or the data is invalid.
    """
    train, val = load_data(config.data)
    if not config.model.whole_images:
        check_boxes(train, val)
        return train, val
    if config.augmentation.mosaic is not None or config.augmentation.mixup is not None:
        raise ValueError(
            "augmentation: mosaic and mixup combine images of several objects, but a classifier needs images with one class each; set "
            "augmentation.mosaic=none augmentation.mixup=none, and model.mixup=0.2 to blend images together with their classes"
        )
    train, val = classification_data(train, config.data.crops), classification_data(val, config.data.crops)
    require_two_classes(train)
    return train, val


def check_boxes(*datasets: DetectionData) -> None:
    """Check that the labels are boxes, which a detector needs, and not classes of whole images.

    Raises:
        ValueError: If there are no boxes.
    """
    for data in datasets:
        if data.is_classification:
            raise ValueError(
                f"{data.name}: expected labels with boxes, which a detector needs, got a folder for each class; train a classifier on it "
                "(detkit train classify_folder data=FOLDER), or label boxes"
            )


def build_validation(data: DetectionData, config: Experiment, run: Run) -> Validation:
    """Build the validation of the run's model: by boxes, or by classes of whole images."""
    return (ClassValidation if config.model.whole_images else Validation).build(data, config.evaluation, run)
