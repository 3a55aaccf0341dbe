"""Knowledge distillation: the student learns to reproduce the teacher's predictions on labeled and unlabeled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from detkit.config import Config
from detkit.inference.loading import load_detector
from detkit.inference.optimize import optimize
from detkit.models.detector import Detector
from detkit.models.published.load import load_published
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch


class DistillationConfig(Config):
    """Distillation from a teacher, in addition to learning from labels or instead of it."""

    shorthand: ClassVar[str | None] = "teacher"

    teacher: str = ""
    """The teacher: a checkpoint, a run folder, or a name that ``detkit models`` lists."""
    teacher_file: str | None = None
    """File of the published weights that ``teacher`` names; none: the file that ``detkit models download`` stored."""
    fetch_command: str = ""
    """Command that gets the teacher, shown when its weights are not found."""
    supervised_weight: float = Field(1.0, ge=0)
    """Weight of the student's own losses on labeled images; 0: labels are not used."""
    score_weight: float = Field(1.0, ge=0)
    """Weight of the quality focal loss at every location, with the teacher's scores as targets (``distill_class``)."""
    box_weight: float = Field(1.0, ge=0)
    """Weight of the generalized IoU loss between the boxes of student and teacher, weighted by the teacher's scores (``distill_box``)."""
    feature_weight: float = Field(0.0, ge=0)
    """Weight of the difference of the necks' feature maps (``distill_features``); the 1x1 convolutions that adapt the student's maps are
    discarded after training."""
    logit_weight: float = Field(1.0, ge=0)
    """Classifiers only: weight of the loss between the logits of student and teacher (``distill_logits``)."""
    temperature: float = Field(1.0, gt=0)
    """Classifiers only: logits are divided by the temperature, and the loss is multiplied by its square (arXiv:1503.02531)."""
    hard_labels: bool = False
    """Classifiers only: learn the teacher's most probable class as if it were the label (arXiv:2012.12877, section 4), a DeiT with its
    distillation token; otherwise learn all of the teacher's probabilities."""
    beta: float = Field(2.0, ge=1)
    """Exponent of the quality focal loss, which reduces the weight of scores that are nearly right (arXiv:2006.04388)."""
    min_score: float = Field(0.02, ge=0, lt=1)
    """Locations whose best teacher score is not above this are left out of the box loss and of the normalizer."""

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if not self.dense and not self.feature_weight:
            raise ValueError(
                "score_weight, box_weight and feature_weight are all 0, so nothing is learned from the teacher; set one of them above 0"
            )
        return self

    @property
    def dense(self) -> bool:
        """Whether the outputs of the head are imitated."""
        return bool(self.score_weight or self.box_weight)


@dataclass(frozen=True, eq=False)
class Teacher:
    """A detector that supplies predictions to learn from; it is neither trained nor saved.

    Attributes:
        detector: The detector, in evaluation mode.
        preprocess: Preprocessing of its images.
        class_names: Its classes; None for a slot without a name.
        name: Its name in messages.
    """

    detector: Detector
    preprocess: PreprocessConfig
    class_names: tuple[str | None, ...]
    name: str = "teacher"

    @classmethod
    def load(cls, config: DistillationConfig, device: torch.device) -> Teacher:
        """Load the teacher that a config names, with its batch norms folded.

        Raises:
            FileNotFoundError: If its weights are not found; the message has the command that gets them, if one is known.
            ValueError: If no teacher is named, or its file is not a valid checkpoint.
        """
        if not config.teacher:
            raise ValueError("distillation.teacher: no teacher is named; give a checkpoint, a run folder or a name from `detkit models`")
        try:
            if config.teacher_file is None:
                detector, model, names = load_detector(config.teacher)
            else:
                published = load_published(config.teacher, config.teacher_file)
                detector, model, names = published.detector, published.config, published.class_names
        except FileNotFoundError as error:
            hint = f"; get it with: {config.fetch_command}" if config.fetch_command else ""
            raise FileNotFoundError(f"distillation.teacher: {error}{hint}") from None
        return cls(optimize(detector.to(device), torch.float32), model.preprocess, names, config.teacher)

    def prepare(self, images: Sequence[Tensor], student: PreprocessConfig) -> Batch:
        """Convert images of the student to the teacher's channel order, value range and normalization."""
        flip = self.preprocess.channel_order != student.channel_order
        factor = self.preprocess.max_value / student.max_value
        return self.detector.prepare([(image.flip(-3) if flip else image) * factor if flip or factor != 1 else image for image in images])
