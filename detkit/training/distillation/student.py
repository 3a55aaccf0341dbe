"""Base class of a student with its teacher, as the trainer calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from detkit.models.checks import check_images, check_targets
from detkit.models.detector import Detector, Losses, Raw
from detkit.ops.losses import zero_loss
from detkit.ops.match import extend_regions
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Proposals, Targets
from detkit.training.distillation.config import DistillationConfig
from detkit.training.distillation.teacher import Teacher


class DistilledModel(nn.Module):
    """A student with its teacher, called instead of the student during training; returns supervised and distillation losses.

    The teacher is not a submodule, so its weights are not among the parameters, buffers and state of this module. A subclass implements
    :meth:`_teacher_outputs`, :meth:`_own_losses` and :meth:`_distillation_losses`.

    Attributes:
        adapters: Layers between the feature maps of student and teacher. They are trained with the student and not saved in checkpoints.

    Args:
        student: The model that is trained.
        teacher: The model that is imitated.
        config: The distillation settings.
        preprocess: Preprocessing of the student's images.
    """

    def __init__(self, student: Detector, teacher: Teacher, config: DistillationConfig, preprocess: PreprocessConfig) -> None:
        super().__init__()
        self.student, self.teacher, self.config, self._preprocess = student, teacher, config, preprocess
        self.adapters = nn.ModuleList()

    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets],
        proposals: Sequence[Proposals] | None,
        seeds: Sequence[int],
        is_labeled: Sequence[bool],
    ) -> Losses:
        """Return the supervised losses of labeled images and the distillation losses of all images; see :meth:`Detector.forward`."""
        check_images(images)
        check_targets(targets, len(images), self.student.num_classes)
        teacher_outputs = self._teacher_outputs(images, seeds)
        batch = self.student.prepare(images, seeds)
        targets = extend_regions(targets, batch.sizes)
        raw = self.student.raw(batch, proposals, targets)
        losses: Losses = {}
        if self.config.supervised_weight:
            own = self._own_losses(raw, batch, targets, is_labeled)
            losses = {name: self.config.supervised_weight * value for name, value in own.items()}
        losses |= self._distillation_losses(raw, batch, targets, teacher_outputs)
        if not self.config.supervised_weight:
            first = next(iter(losses))
            losses[first] = losses[first] + zero_loss(*raw)  # several processes need a gradient for every parameter
        return losses

    def _teacher_outputs(self, images: Sequence[Tensor], seeds: Sequence[int]) -> Any:
        """Return the teacher's outputs for the images."""
        raise NotImplementedError

    def _own_losses(self, raw: Raw, batch: Batch, targets: Sequence[Targets], is_labeled: Sequence[bool]) -> Losses:
        """Return the student's supervised losses on the labeled images."""
        raise NotImplementedError

    def _distillation_losses(self, raw: Raw, batch: Batch, targets: Sequence[Targets], teacher_outputs: Any) -> Losses:
        """Return the weighted distillation losses; the targets only say where nothing is learned."""
        raise NotImplementedError
