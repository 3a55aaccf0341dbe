"""What every student with its teacher beside it has in common, as the trainer calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from detkit.models.checks import check_images, check_targets
from detkit.models.detector import Detector, Losses, Raw
from detkit.ops.losses import nothing
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Proposals, Targets
from detkit.training.distillation import DistillationConfig, Teacher


class WithTeacher(nn.Module):
    """A student with its teacher beside it, called in the student's place while it trains; gives the losses of both kinds.

    The teacher, who is no module but holds one, is no part of its parameters, buffers and state. A subclass gives :meth:`_listen`,
    :meth:`_own_losses` and :meth:`_imitated`.

    Attributes:
        adapters: What stands between the maps of the two; it learns with the student, and no checkpoint has it.

    Args:
        student: Learns.
        teacher: Is imitated.
        config: In what, and how much.
        preprocess: What the student's images look like.
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
        """The student's own losses on labeled images, and those of imitation on all; see :meth:`Detector.forward`."""
        check_images(images)
        check_targets(targets, len(images), self.student.num_classes)
        told = self._listen(images, seeds)
        batch = self.student.prepare(images, seeds)
        raw = self.student.raw(batch, proposals)
        losses: Losses = {}
        if self.config.supervised_weight:
            own = self._own_losses(raw, batch, targets, is_labeled)
            losses = {name: self.config.supervised_weight * value for name, value in own.items()}
        losses |= self._imitated(raw, batch, told)
        if not self.config.supervised_weight:
            first = next(iter(losses))
            losses[first] = losses[first] + nothing(*raw)  # several processes need a gradient for every parameter
        return losses

    def _listen(self, images: Sequence[Tensor], seeds: Sequence[int]) -> Any:
        """What the teacher says about the images."""
        raise NotImplementedError

    def _own_losses(self, raw: Raw, batch: Batch, targets: Sequence[Targets], is_labeled: Sequence[bool]) -> Losses:
        """The student's losses on the labeled images."""
        raise NotImplementedError

    def _imitated(self, raw: Raw, batch: Batch, told: Any) -> Losses:
        """The weighted losses of imitation."""
        raise NotImplementedError
