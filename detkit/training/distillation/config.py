"""Settings of knowledge distillation."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from detkit.config import Config


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
