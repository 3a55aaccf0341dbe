"""A teacher beside a student: the student learns to say of every image, labeled or not, what the teacher says of it."""

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
    """What a student learns from a teacher, beside or instead of what labels say."""

    shorthand: ClassVar[str | None] = "teacher"

    teacher: str = ""
    """Who: a checkpoint, a run's folder, or a name that ``detkit weights`` lists."""
    teacher_file: str | None = None
    """The file of published weights, which ``teacher`` then names; none: where ``detkit weights`` keeps them."""
    fetch_command: str = ""
    """How to get the teacher, told when it is not there."""
    supervised_weight: float = Field(1.0, ge=0)
    """Times the student's own losses, of labeled images; 0: the labels are not used."""
    score_weight: float = Field(1.0, ge=0)
    """Times the quality focal loss of its scores at every place, with the teacher's as what is wanted (``distill_class``)."""
    box_weight: float = Field(1.0, ge=0)
    """Times the generalized IoU loss of its boxes, weighted by the teacher's scores (``distill_box``)."""
    feature_weight: float = Field(0.0, ge=0)
    """Times the difference of the necks' maps (``distill_features``); 1x1 convolutions between them are thrown away afterwards."""
    logit_weight: float = Field(1.0, ge=0)
    """Of classifiers: times the difference of its logits from the teacher's (``distill_logits``)."""
    temperature: float = Field(1.0, gt=0)
    """Of classifiers: logits are divided by it before they are compared, and the loss is multiplied by its square (arXiv:1503.02531)."""
    hard_labels: bool = False
    """Of classifiers: only the teacher's likeliest class is learned, as if it were the label (arXiv:2012.12877, section 4); a DeiT
    learns it with its distillation token. Otherwise all of the teacher's probabilities are."""
    beta: float = Field(2.0, ge=1)
    """How much less counts a score that is nearly right: the exponent of the quality focal loss (arXiv:2006.04388)."""
    min_score: float = Field(0.02, ge=0, lt=1)
    """Places where the teacher's best score is not above: their boxes are not imitated, and they do not count in the normalizer."""

    @model_validator(mode="after")
    def _teaches_something(self) -> Self:
        if not self.dense and not self.feature_weight:
            raise ValueError("scores, boxes and features are all 0, so nothing is learned from the teacher; set one of them")
        return self

    @property
    def dense(self) -> bool:
        """Whether what heads say is imitated."""
        return bool(self.score_weight or self.box_weight)


@dataclass(frozen=True, eq=False)
class Teacher:
    """A detector that is listened to: it learns nothing and is kept nowhere.

    Attributes:
        detector: In evaluation mode.
        preprocess: What its images look like.
        class_names: Its classes; None for a slot without a name.
        name: What messages call it.
    """

    detector: Detector
    preprocess: PreprocessConfig
    class_names: tuple[str | None, ...]
    name: str = "teacher"

    @classmethod
    def load(cls, config: DistillationConfig, device: torch.device) -> Teacher:
        """The teacher that a config names, with its batch norms folded.

        Raises:
            FileNotFoundError: it is not here; the message says how to get it, if that is known.
            ValueError: no teacher is named, or its file is not what it should be.
        """
        if not config.teacher:
            raise ValueError("distillation.teacher: no teacher is named; give a checkpoint, a run's folder or a name of `detkit weights`")
        try:
            if config.teacher_file is None:
                detector, model, names = load_detector(config.teacher)
            else:
                found = load_published(config.teacher, config.teacher_file)
                detector, model, names = found.detector, found.config, found.class_names
        except FileNotFoundError as error:
            how = f"; get it with: {config.fetch_command}" if config.fetch_command else ""
            raise FileNotFoundError(f"distillation.teacher: {error}{how}") from None
        return cls(optimize(detector.to(device), torch.float32), model.preprocess, names, config.teacher)

    def prepared(self, images: Sequence[Tensor], student: PreprocessConfig) -> Batch:
        """Images as the student gets them, in the teacher's order of channels, range and normalization."""
        turned = self.preprocess.channel_order != student.channel_order
        factor = self.preprocess.max_value / student.maximum
        return self.detector.prepare(
            [(image.flip(-3) if turned else image) * factor if turned or factor != 1 else image for image in images]
        )
