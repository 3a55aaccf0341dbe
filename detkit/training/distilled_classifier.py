"""A classifier with its teacher beside it, as the trainer calls them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from detkit.models.classifier import Classifier
from detkit.models.detector import Losses, Raw
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Size, Targets
from detkit.training.distillation import DistillationConfig, Teacher
from detkit.training.with_teacher import WithTeacher

log = logging.getLogger("detkit.training")


class DistilledClassifier(WithTeacher):
    """A classifier with its teacher, another classifier; see :class:`WithTeacher`.

    The teacher sees the very images that the student sees, blended ones too. What it says is learned by the student's last head: by its
    only one, or by that of DeiT's distillation token, while the other head learns the labels. Images without labels teach as well.

    Args:
        student: Learns.
        teacher: Is imitated.
        config: How.
        class_names: The student's classes.
        preprocess: What the student's images look like.

    Raises:
        ValueError: the teacher is no classifier, or does not know all classes.
    """

    def __init__(
        self,
        student: Classifier,
        teacher: Teacher,
        config: DistillationConfig,
        class_names: Sequence[str | None],
        preprocess: PreprocessConfig,
    ) -> None:
        super().__init__(student, teacher, config, preprocess)
        if not isinstance(teacher.detector, Classifier):
            kind = type(teacher.detector).__name__
            raise ValueError(f"distillation.teacher {teacher.name}: a {kind}; a classifier learns from classifiers alone")
        if not config.logit_weight:
            raise ValueError("distillation.logit_weight is 0, so nothing is learned from the teacher; set it, or leave the teacher out")
        self._rows = _rows_of(class_names, teacher)
        log.info(
            "teacher: %s; %s", teacher.name, "its likeliest class is learned" if config.hard_labels else "its probabilities are learned"
        )

    @property
    def _classifier(self) -> Classifier:
        """The student."""
        return self.student  # type: ignore[return-value]

    def _own_losses(self, raw: Raw, batch: Batch, targets: Sequence[Targets], is_labeled: Sequence[bool]) -> Losses:
        """The losses by labels; a distillation token has none of them."""
        heads = self._classifier.network.heads
        return self.student.loss((raw[0],) * heads + raw[heads:], batch, targets)

    def _imitated(self, raw: Raw, batch: Batch, told: Tensor) -> Losses:
        """See :meth:`WithTeacher._imitated`."""
        heard = raw[self._classifier.network.heads - 1].float()
        return {"distill_logits": self.config.logit_weight * imitation_loss(heard, told, self.config.temperature, self.config.hard_labels)}

    @torch.no_grad()
    def _listen(self, images: Sequence[Tensor], seeds: Sequence[int]) -> Tensor:
        """The teacher's logits ``(B, K)`` for the student's classes."""
        detector: Classifier = self.teacher.detector  # type: ignore[assignment]
        seen = [_of_size(image, detector.input_size) for image in images]
        with torch.autocast(images[0].device.type, enabled=False):  # folded weights are float32
            heard = self.teacher.prepared(seen, self._preprocess)
            blended = self._classifier.blended(heard.images, seeds)
            raw = detector.raw(Batch(blended, heard.sizes))
        return torch.stack([logits.float() for logits in raw[: detector.network.heads]]).mean(0)[:, self._rows]


def imitation_loss(logits: Tensor, told: Tensor, temperature: float = 1.0, hard: bool = False) -> Tensor:
    """How far a student's logits ``(B, K)`` are from a teacher's.

    Soft: the Kullback-Leibler divergence of the two at a temperature, times its square, so that gradients keep their size (Hinton et al.,
    arXiv:1503.02531, section 2). Hard: the cross entropy with the teacher's likeliest class (Touvron et al., arXiv:2012.12877, section 4).
    """
    if hard:
        return functional.cross_entropy(logits, told.argmax(1))
    mine, theirs = (value.div(temperature).log_softmax(1) for value in (logits, told))
    return temperature**2 * functional.kl_div(mine, theirs, reduction="batchmean", log_target=True)


def _of_size(image: Tensor, size: Size | None) -> Tensor:
    """The image in the one size that a teacher takes, if it takes one."""
    if size is None or image.shape[-2:] == size:
        return image
    return functional.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]


def _rows_of(class_names: Sequence[str | None], teacher: Teacher) -> list[int]:
    """The teacher's number of each of the student's classes.

    Raises:
        ValueError: the teacher does not know one.
    """
    theirs = {name: label for label, name in enumerate(teacher.class_names) if name}
    unknown = [str(name) for name in class_names if name not in theirs]
    if unknown:
        raise ValueError(
            f"distillation.teacher {teacher.name}: it does not know {', '.join(unknown[:5])}; it knows {', '.join(list(theirs)[:8])}; "
            "rename the data's classes with data.rename=NAME=OTHER, or train a teacher on them"
        )
    return [theirs[name] for name in class_names if name is not None]
