"""What is another matter where a classifier of whole images is trained, and not a detector."""

from __future__ import annotations

from detkit.data import DetectionData, load_data
from detkit.data.crops import check_classes, images_of
from detkit.experiment.config import Experiment
from detkit.training.class_validation import ClassValidation
from detkit.training.run import Run
from detkit.training.validation import Validation


def read_data(config: Experiment) -> tuple[DetectionData, DetectionData]:
    """The data to train on and to validate on, as the model learns it: with boxes, or images with one class each.

    Raises:
        FileNotFoundError: a path is not there.
        ValueError: the data has no boxes and the model needs them, or it is beyond use.
    """
    train, val = load_data(config.data)
    if not config.model.whole_images:
        check_boxes(train, val)
        return train, val
    if config.augmentation.mosaic is not None or config.augmentation.mixup is not None:
        raise ValueError(
            "augmentation: mosaic and mixup join images of several objects, and a classifier's have one class each; set "
            "augmentation.mosaic=none augmentation.mixup=none, and model.mixup=0.2 to blend images with their classes"
        )
    train, val = images_of(train, config.data.crops), images_of(val, config.data.crops)
    check_classes(train)
    return train, val


def check_boxes(*datasets: DetectionData) -> None:
    """Complain where labels are of whole images and a detector needs boxes.

    Raises:
        ValueError: there are no boxes.
    """
    for data in datasets:
        if data.whole:
            raise ValueError(
                f"{data.name}: a folder for each class says what images show and not where, and a detector learns from boxes; train a "
                "classifier on it (detkit train configs/classify_folder.py data=FOLDER), or label boxes"
            )


def validation_of(data: DetectionData, config: Experiment, run: Run) -> Validation:
    """What scores the run's model: by boxes, or by classes of whole images."""
    return (ClassValidation if config.model.whole_images else Validation).of(data, config.evaluation, run)
