"""Validation: a model's metrics on data that it is not trained on, by boxes, by the classes of whole images, or by those of pixels."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
from pydantic import Field

from detkit.checkpoint.trained_tiles import TrainedTiles
from detkit.config import Config
from detkit.data import DetectionData
from detkit.data.splits import crowded_line
from detkit.evaluation import COCO_NAMES
from detkit.evaluation.accuracy import NAMES, accuracy
from detkit.evaluation.evaluator import Evaluator
from detkit.evaluation.numbers import SEGM_PREFIX
from detkit.evaluation.segmentation import NAMES as SEGMENTATION_NAMES
from detkit.evaluation.segmentation import SegmentationEvaluator
from detkit.inference.loop import PredictorLike, detect_records
from detkit.inference.predictor import Predictor
from detkit.inference.pyramid import ImagePyramid
from detkit.models.detector import Detector
from detkit.models.semantic.segmenter import Segmenter
from detkit.structures import Detections
from detkit.training.drawings import draw_validation
from detkit.training.kept_detections import KeptDetections
from detkit.training.progress_bar import format_duration
from detkit.training.run import EvaluationStopped, Run

_log = logging.getLogger(__name__)

_SHARE_OF_TRAINING = 0.4
"""Time of a validation image as a fraction of that of a training image: a forward pass without the backward pass."""

DetectedImages = Sequence[tuple[Any, Detections]]
"""Pairs of an image id and the detections of this image."""


class EvaluationConfig(Config):
    """Evaluations during a run."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"
    """Number format of the model during an evaluation."""
    evaluator: Literal["hotcoco", "pycocotools"] = "hotcoco"
    """Library that computes the COCO metrics; both give the same results."""
    max_images: int | None = Field(default=None, ge=1)
    """Maximum number of validation images, evenly spaced over the data; the metrics are then those of these images."""
    drawn_images: int = Field(default=8, ge=0)
    """Validation images drawn at each evaluation, with the ground truth next to the predictions."""
    min_score: float = Field(default=0.3, ge=0, le=1)
    """Score below which detections are not drawn; all detections count in the metrics."""
    threads: int = Field(default=2, ge=1)
    """Threads that read images in advance."""


def validation_images(data: DetectionData, config: EvaluationConfig) -> DetectionData:
    """Return the images that an evaluation during a run uses: at most ``config.max_images``, evenly spaced."""
    count = len(data)
    if config.max_images is None or config.max_images >= count:
        return data
    return data.take([index * count // config.max_images for index in range(config.max_images)])


@dataclass(eq=False)
class Validation:
    """Evaluate a run's model on validation data; the images are divided among the processes.

    Attributes:
        data: The validation data, with the model's classes.
        config: The evaluation settings.
        run: The run, which supplies device, processes and folder.
        tiles: The tiles on which whole images are detected; None: images are detected as a whole only.
        predicts_masks: Whether the model predicts masks, whose metrics are computed too if the data has masks.
    """

    data: DetectionData
    config: EvaluationConfig
    run: Run
    tiles: TrainedTiles | None = None
    predicts_masks: bool = False
    _image_seconds: float | None = field(default=None, init=False)

    @cached_property
    def evaluator(self) -> Evaluator:
        """The evaluator, which keeps the ground truth from one evaluation to the next."""
        return Evaluator(self.data, self.run.header["class_names"])

    @classmethod
    def build(
        cls, data: DetectionData, config: EvaluationConfig, run: Run, tiles: TrainedTiles | None = None, *, predicts_masks: bool = False
    ) -> Validation:
        """Build the validation on at most ``config.max_images`` images."""
        return cls(validation_images(data, config), config, run, tiles, predicts_masks)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics: of boxes, and of masks such as ``segm_AP``."""
        return (*COCO_NAMES, *((SEGM_PREFIX + name for name in COCO_NAMES) if self.has_masks else ()))

    @cached_property
    def has_masks(self) -> bool:
        """Whether masks are evaluated: the model predicts them, and objects of the data have them."""
        segmentations = self.data.records.segmentations
        return self.predicts_masks and segmentations is not None and bool(segmentations.present.any())

    def __call__(self, model: Detector, step: int) -> dict[str, float]:
        """Return the metrics after ``step`` steps (the 12 COCO metrics of boxes, and those of masks), equal in every process."""
        run, names = self.run, self.run.header["class_names"]
        whole = Predictor(model, run.preprocess, names, run.device, self.config.precision, proposer=run.proposer)
        predictor: PredictorLike = whole if self.tiles is None else ImagePyramid(whole, **self.tiles.views)
        own = self.data.take(range(run.processes.rank, len(self.data), run.processes.world))
        by_process = run.processes.gather(self._detect(predictor, own, step))
        if any(len(detected) < images for images, detected in by_process):
            raise EvaluationStopped
        metrics: dict[str, float] = run.processes.broadcast(
            self._metrics([detected for _, detected in by_process], step) if run.processes.first else None
        )
        return metrics

    def _detect(self, predictor: PredictorLike, data: DetectionData, step: int) -> tuple[int, DetectedImages]:
        """Return the number of images and the detections of each; of fewer images if the run is asked to stop meanwhile."""
        if self._image_seconds is None and (crowded := crowded_line(self.data, predictor.max_detections)):  # said once
            _log.warning("%s", crowded)
        if self._image_seconds is None and self.predicts_masks and not self.has_masks:
            _log.warning("warning: %s: no labeled object has a mask, so only boxes are evaluated", self.data.name)
        started, detected = time.perf_counter(), list[tuple[Any, Detections]]()
        _log.info("step %d: validation on %d images%s", step, len(self.data), self._price(predictor, data))
        self.run.hooks.evaluating(0, len(data))
        for record, detections in detect_records(predictor, data, threads=self.config.threads):
            masks = detections.masks if self.has_masks else None
            detected.append((record.image_id, detections.replace(mask_probabilities=None, masks=masks)))
            self.run.hooks.evaluating(len(detected), len(data))
            if self.run.signals.is_stopping():
                break
        self._image_seconds = (time.perf_counter() - started) / max(len(detected), 1)
        return len(data), detected

    def _price(self, predictor: PredictorLike, data: DetectionData) -> str:
        """Return the time that the validation will take, from the previous one, or from the training before the first one."""
        if self._image_seconds is not None:
            return f", about {format_duration(self._image_seconds * len(data))}"
        if self.run.image_seconds is None:
            return ""
        return f", about {format_duration(self.run.image_seconds * _SHARE_OF_TRAINING * _view_count(predictor, data))}"

    def _metrics(self, by_process: Sequence[DetectedImages], step: int) -> dict[str, float]:
        detections = {image_id: rows for pairs in by_process for image_id, rows in pairs}
        evaluator = self.evaluator
        for record in self.data.records:
            evaluator.add(record, detections[record.image_id])
        self._draw(detections, step)
        self.run.operating_points = evaluator.operating_points()
        ids = self.data.records.image_ids
        self.run.detections = KeptDetections.of(step, ids, [detections[image_id] for image_id in ids])
        values = evaluator.numbers(evaluator=self.config.evaluator).all_values
        return {name: values.get(name, math.nan) for name in self.names}

    def _draw(self, detections: Mapping[Any, Detections], step: int) -> None:
        count = min(self.config.drawn_images, len(self.data))
        records = [self.data.records[index * len(self.data) // count] for index in range(count)]
        names, folder = self.run.header["class_names"], self.run.folder.images
        for index, record in enumerate(records):
            path = folder / f"validation_{index + 1}_step_{step:06}.jpg"
            draw_validation(path, record, detections[record.image_id], names, min_score=self.config.min_score)


def _view_count(predictor: PredictorLike, data: DetectionData) -> int:
    """Return the number of images that the detector sees: tiles, or whole images."""
    if not isinstance(predictor, ImagePyramid):
        return len(data)
    sizes, counts = np.unique(data.records.sizes, axis=0, return_counts=True)
    return sum(
        len(predictor.views((height, width))) * count for (height, width), count in zip(sizes.tolist(), counts.tolist(), strict=True)
    )


class ClassValidation(Validation):
    """Evaluate the classifier of a run on validation data: the accuracy of its classes of whole images."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return NAMES

    def _metrics(self, by_process: Sequence[DetectedImages], step: int) -> dict[str, float]:
        detections = {image_id: rows for pairs in by_process for image_id, rows in pairs}
        ids = self.data.records.image_ids
        predictions = [detections[image_id].labels.tolist() for image_id in ids]
        self._draw(detections, step)
        return accuracy(self.data.records.labels.tolist(), predictions, len(self.data.class_names)).values


class PixelValidation(Validation):
    """Evaluate a run's model for semantic segmentation on validation data: the classes of its pixels."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return SEGMENTATION_NAMES

    def _metrics(self, by_process: Sequence[DetectedImages], step: int) -> dict[str, float]:
        detections = {image_id: rows for pairs in by_process for image_id, rows in pairs}
        evaluator = SegmentationEvaluator(self.run.header["class_names"], cast("Segmenter", self.run.detector).config.background)
        for record in self.data.records:
            evaluator.add(record, detections[record.image_id])
        self._draw(detections, step)
        return evaluator.numbers().values
