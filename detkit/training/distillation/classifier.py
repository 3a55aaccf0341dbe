"""A classifier with its teacher, as the trainer calls them."""

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
from detkit.training.distillation.config import DistillationConfig
from detkit.training.distillation.student import DistilledModel
from detkit.training.distillation.teacher import Teacher

_log = logging.getLogger(__name__)


class DistilledClassifier(DistilledModel):
    """A classifier with another classifier as its teacher; see :class:`DistilledModel`.

    The teacher sees the same images as the student, including blended ones. Its predictions are learned by the student's last head: its
    only one, or that of DeiT's distillation token, while the other head learns the labels. Unlabeled images are used as well.

    Args:
        student: The classifier that is trained.
        teacher: The classifier that is imitated.
        config: The distillation settings.
        class_names: The student's classes.
        preprocess: Preprocessing of the student's images.

    Raises:
        ValueError: If the teacher is not a classifier, or does not know all classes.
    """

    student: Classifier

    def __init__(
        self,
        student: Classifier,
        teacher: Teacher,
        config: DistillationConfig,
        class_names: Sequence[str | None],
        preprocess: PreprocessConfig,
    ) -> None:
        super().__init__(student, teacher, config, preprocess)
        _classifier(teacher)
        if not config.logit_weight:
            raise ValueError("distillation.logit_weight is 0, so nothing is learned from the teacher; set it above 0 or remove the teacher")
        self._teacher_columns = _teacher_labels(class_names, teacher)
        _log.info("teacher: %s; learning its %s", teacher.name, "most probable class" if config.hard_labels else "class probabilities")

    def _own_losses(self, raw: Raw, batch: Batch, targets: Sequence[Targets], is_labeled: Sequence[bool]) -> Losses:
        """Return the supervised losses; the head of a distillation token has none."""
        heads = self.student.network.num_heads
        return self.student.loss((raw[0],) * heads + raw[heads:], batch, targets)

    def _distillation_losses(self, raw: Raw, batch: Batch, targets: Sequence[Targets], teacher_outputs: Tensor) -> Losses:
        """See :meth:`DistilledModel._distillation_losses`."""
        logits = raw[self.student.network.num_heads - 1].float()
        loss = imitation_loss(logits, teacher_outputs, self.config.temperature, self.config.hard_labels)
        return {"distill_logits": self.config.logit_weight * loss}

    @torch.no_grad()
    def _teacher_outputs(self, images: Sequence[Tensor], seeds: Sequence[int]) -> Tensor:
        """Return the teacher's logits ``(B, K)`` for the student's classes."""
        detector = _classifier(self.teacher)
        resized = [_resize(image, detector.input_size) for image in images]
        with torch.autocast(images[0].device.type, enabled=False):  # folded weights are float32
            teacher_batch = self.teacher.prepare(resized, self._preprocess)
            blended = self.student.blend(teacher_batch.images, seeds)
            raw = detector.raw(Batch(blended, teacher_batch.sizes))
        return torch.stack([logits.float() for logits in raw[: detector.network.num_heads]]).mean(0)[:, self._teacher_columns]


def _classifier(teacher: Teacher) -> Classifier:
    """Return the model of a teacher.

    Raises:
        ValueError: If it is not a classifier.
    """
    if not isinstance(teacher.detector, Classifier):
        kind = type(teacher.detector).__name__
        raise ValueError(f"distillation.teacher {teacher.name}: expected a classifier as teacher of a classifier, got a {kind}")
    return teacher.detector


def imitation_loss(logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0, hard: bool = False) -> Tensor:
    """Return the distillation loss between the logits ``(B, K)`` of a student and of its teacher.

    Soft: the Kullback-Leibler divergence at a temperature, times its square so that gradients keep their size (Hinton et al.,
    arXiv:1503.02531, section 2). Hard: the cross entropy with the teacher's most probable class (Touvron et al., arXiv:2012.12877,
    section 4).
    """
    if hard:
        return functional.cross_entropy(logits, teacher_logits.argmax(1))
    own, target = (value.div(temperature).log_softmax(1) for value in (logits, teacher_logits))
    return temperature**2 * functional.kl_div(own, target, reduction="batchmean", log_target=True)


def _resize(image: Tensor, size: Size | None) -> Tensor:
    """Resize an image to the teacher's fixed input size, if it has one."""
    if size is None or image.shape[-2:] == size:
        return image
    return functional.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]


def _teacher_labels(class_names: Sequence[str | None], teacher: Teacher) -> list[int]:
    """Return the teacher's label of each of the student's classes.

    Raises:
        ValueError: If the teacher does not know one of them.
    """
    labels = {name: label for label, name in enumerate(teacher.class_names) if name}
    unknown = [str(name) for name in class_names if name not in labels]
    if unknown:
        raise ValueError(
            f"distillation.teacher {teacher.name}: it does not know {', '.join(unknown[:5])}; it knows {', '.join(list(labels)[:8])}; "
            "rename the data's classes with data.rename=NAME=OTHER, or train a teacher on them"
        )
    return [labels[name] for name in class_names if name is not None]
