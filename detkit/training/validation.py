"""Validation: the model's numbers on the data that it does not learn from, and images of truth beside predictions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import Field
from torch import nn

from detkit.config import Config
from detkit.data import DetectionData, ImageRecord
from detkit.data.record_image import read_record
from detkit.drawing import side_by_side
from detkit.evaluation import COCO_NAMES
from detkit.evaluation.evaluator import Evaluator
from detkit.inference.loop import detect_records
from detkit.inference.predictor import Predictor
from detkit.structures import Detections
from detkit.training.batch_drawing import write_image
from detkit.training.run import Run

log = logging.getLogger("detkit.training")


class EvaluationConfig(Config):
    """How a run evaluates."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"
    """Number format of the model during an evaluation."""
    evaluator: Literal["hotcoco", "pycocotools"] = "hotcoco"
    """What computes the COCO numbers; both give the same."""
    max_images: int | None = Field(default=None, ge=1)
    """At most so many validation images, evenly chosen; the numbers are then those of these images."""
    drawn_images: int = Field(default=8, ge=0)
    """Validation images drawn with truth beside predictions at each evaluation."""
    min_score: float = Field(default=0.3, ge=0, le=1)
    """Detections below are not drawn; all of them count in the numbers."""
    threads: int = Field(default=2, ge=1)
    """Threads that read images ahead."""


@dataclass(eq=False)
class Validation:
    """Scores a run's model on validation data, the images shared out to the processes.

    Attributes:
        data: The validation data, with the model's classes.
        config: How.
        run: The run, for its device, processes and folder.
    """

    data: DetectionData
    config: EvaluationConfig
    run: Run

    @cached_property
    def evaluator(self) -> Evaluator:
        """Judges the detections; it keeps the ground truth from one evaluation to the next."""
        return Evaluator(self.data, self.run.header["class_names"])

    @classmethod
    def of(cls, data: DetectionData, config: EvaluationConfig, run: Run) -> Validation:
        """With as many images as the config allows."""
        count = len(data)
        if config.max_images is not None and config.max_images < count:
            data = data.take([place * count // config.max_images for place in range(config.max_images)])
        return cls(data, config, run)

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers are called."""
        return tuple(COCO_NAMES)

    def __call__(self, model: nn.Module, step: int) -> dict[str, float]:
        """The 12 COCO numbers after ``step`` steps, the same in every process."""
        run, names = self.run, self.run.header["class_names"]
        predictor = Predictor(model, run.preprocess, names, run.device, self.config.precision, proposer=run.proposer)  # type: ignore[arg-type]
        mine = self.data.take(range(run.processes.rank, len(self.data), run.processes.world))
        found = [(record.image_id, detections) for record, detections in detect_records(predictor, mine, threads=self.config.threads)]
        shares = run.processes.gathered(found)
        numbers = self._numbers(shares, step) if run.processes.first else None
        agreed: dict[str, float] = run.processes.from_first(numbers)
        return agreed

    def _numbers(self, shares: Sequence[Sequence[tuple[Any, Detections]]], step: int) -> dict[str, float]:
        detections = {image_id: rows for share in shares for image_id, rows in share}
        evaluator = self.evaluator
        for record in self.data.records:
            evaluator.add(record, detections[record.image_id])
        self._draw(detections, step)
        return dict(evaluator.numbers(evaluator=self.config.evaluator).values)

    def _draw(self, detections: dict[Any, Detections], step: int) -> None:
        count = min(self.config.drawn_images, len(self.data))
        chosen: list[ImageRecord] = [self.data.records[place * len(self.data) // count] for place in range(count)]
        for place, record in enumerate(chosen):
            sheet = side_by_side(
                read_record(record),
                record.targets,
                detections[record.image_id],
                self.run.header["class_names"],
                min_score=self.config.min_score,
            )
            write_image(self.run.folder.images / f"validation_{place + 1}_step_{step:06}.jpg", sheet)
