"""Differences between training a detector, on whole images or on tiles, and training a classifier: data and validation."""

from __future__ import annotations

import logging

from detkit.arrays import Flags
from detkit.data import DetectionData, load_data
from detkit.data.crops import classification_data, require_two_classes
from detkit.data.tiles import TileSampler
from detkit.experiment.config import Experiment
from detkit.training.run import Run
from detkit.training.validation import ClassValidation, PixelValidation, Validation

_log = logging.getLogger(__name__)


def read_data(config: Experiment) -> tuple[DetectionData, DetectionData]:
    """Read training and validation data as the model needs it: images with boxes, or images with one class each.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: If the data has no boxes and the model needs them, the data is invalid, or the model cannot be trained on tiles.
    """
    _check_tiles(config)
    train, val = load_data(config.data)
    if not config.model.whole_images:
        check_boxes(train, val)
        if config.model.segments:
            check_masks(train, val)
        elif config.model.learns_masks:  # without masks in the validation data, its AP is that of boxes, which is reported there
            check_masks(train, needed_by=f"model.kind={config.model.kind}", of_others="they teach boxes only")
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


def check_masks(
    *datasets: DetectionData, needed_by: str = "semantic segmentation", of_others: str = "the pixels of their boxes are ignored"
) -> None:
    """Check that objects have masks, and warn of those that have none.

    Args:
        datasets: The data.
        needed_by: The model or task that needs masks, for the error.
        of_others: The consequence for objects without a mask, for the warning.

    Raises:
        ValueError: If none of the objects of a data set has a mask.
    """
    for data in datasets:
        objects, segmentations = len(data.records.labels), data.records.segmentations
        missing = objects if segmentations is None else int((~segmentations.present).sum())
        if objects and missing == objects:
            raise ValueError(
                f"{data.name}: expected masks, which {needed_by} needs, got {objects} boxes without; use data with "
                "polygons, run lengths or mask images, or train a detector on the boxes"
            )
        if missing:
            _log.warning("warning: %s: %d of %d objects have no mask; %s", data.name, missing, objects, of_others)


def _check_tiles(config: Experiment) -> None:
    if config.data.tiles is None:
        return
    if config.model.whole_images:
        raise ValueError("data.tiles: a classifier is trained on whole images, or on crops of objects (data.crops); set data.tiles=none")
    if config.model.segments:
        raise ValueError("data.tiles: semantic segmentation is trained on whole images; set data.tiles=none, or cut them: detkit data tile")
    fitted = [stage.name for stage in config.stages if stage.kind != "gradient"]
    if fitted:
        raise ValueError(
            f"data.tiles: the stage {fitted[0]!r} is fitted to features of whole images, so this model is not trained on tiles; set "
            "data.tiles=none, or use a model without such stages; detkit data tile writes tiles that any model can be trained on"
        )


def build_tiles(config: Experiment, data: DetectionData, is_labeled: Flags | None = None) -> TileSampler | None:
    """Return what draws tiles of the training images, after logging their number; None for training on whole images."""
    if config.data.tiles is None:
        return None
    tiles = TileSampler(data.records, config.data.tiles, is_labeled)
    _log.info("%s", tiles.describe())
    if (tiles.counts == 1).all():
        _log.warning("warning: data.tiles.size: no training image is larger than %d pixels, so all are used whole", tiles.config.size)
    return tiles


def build_validation(data: DetectionData, config: Experiment, run: Run) -> Validation:
    """Build the validation of the run's model: by boxes, by classes of whole images, or by those of pixels."""
    tiles = None if config.data.tiles is None else config.data.tiles.trained
    kind = ClassValidation if config.model.whole_images else PixelValidation if config.model.segments else Validation
    return kind.build(data, config.evaluation, run, tiles, predicts_masks=config.model.learns_masks)
