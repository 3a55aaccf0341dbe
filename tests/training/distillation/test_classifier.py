"""Distillation of a classifier from a teacher."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from detkit.backbones import BackboneConfig
from detkit.models.classifier import Classifier, ClassifierConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Targets
from detkit.training.distillation.classifier import DistilledClassifier, imitation_loss
from detkit.training.distillation.config import DistillationConfig
from detkit.training.distillation.teacher import Teacher

NAMES = ("a", "b", "c")


def small(side: int = 32, mixup: float = 0.0) -> Classifier:
    preprocess = PreprocessConfig(rule="fixed", input_size=(side, side))
    return ClassifierConfig(backbone=BackboneConfig(name="lenet5", weights=None), preprocess=preprocess, mixup=mixup).build(3)


class TwoHeads(nn.Module):
    """Returns the logits of another network, and their negatives as a second head."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        (logits,) = self.network(images)
        return logits, -logits


def distilled(student: Classifier, teacher: Classifier, names: tuple[str, ...] = NAMES, **config: object) -> DistilledClassifier:
    preprocess = student.config.preprocess
    wrapped = Teacher(teacher.eval(), teacher.config.preprocess, names, "teacher")
    return DistilledClassifier(student, wrapped, DistillationConfig(teacher="teacher", **config), NAMES, preprocess)  # type: ignore[arg-type]


def batch_of(*labels: int | None) -> tuple[list[Tensor], list[Targets], list[int]]:
    images = list(torch.rand(len(labels), 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    whole = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
    targets = [Targets.empty() if n is None else Targets.of(whole, torch.tensor([n])) for n in labels]
    return images, targets, list(range(10, 10 + len(labels)))


def test_the_soft_loss_matches_hinton_et_al() -> None:
    own, target = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    p, q = (target / 3).softmax(1), (own / 3).softmax(1)
    assert_close(imitation_loss(own, target, 3.0), 9 * (p * (p / q).log()).sum(1).mean())
    assert_close(imitation_loss(own, own, 2.0), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_the_hard_loss_is_the_cross_entropy_with_the_teachers_class() -> None:
    own, target = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    assert_close(imitation_loss(own, target, 3.0, True), functional.cross_entropy(own, target.argmax(1)))


def test_the_teachers_classes_are_matched_by_name() -> None:
    torch.manual_seed(0)
    student = small()
    teacher = ClassifierConfig(backbone=student.config.backbone, preprocess=student.config.preprocess).build(4)
    images, targets, seeds = batch_of(0, 1)
    model = distilled(student, teacher, ("c", "other", "a", "b"), temperature=2.0, supervised_weight=0.5)
    losses = model(images, targets, None, seeds, (True, True))
    raw, teacher_raw = student.raw(student.prepare(images)), teacher.raw(teacher.prepare(images))
    assert_close(losses["distill_logits"], imitation_loss(raw[0], teacher_raw[0][:, [2, 3, 0]], 2.0))
    assert_close(losses["class"], 0.5 * functional.cross_entropy(raw[0], torch.tensor([0, 1])))


def test_unlabeled_images_are_used_too() -> None:
    torch.manual_seed(0)
    model = distilled(small(), small())
    images, targets, seeds = batch_of(None, None)
    losses = model(images, targets, None, seeds, (False, False))
    assert losses["class"] == 0
    assert losses["distill_logits"] > 0


def test_the_teacher_sees_the_images_of_the_student() -> None:
    """Check that they are blended, and resized to the teacher's input size."""
    torch.manual_seed(0)
    student, teacher = small(mixup=0.5), small(side=48)
    seen: list[Tensor] = []
    raw = teacher.raw

    def recording(batch: Batch, proposals: object = None) -> tuple[Tensor, ...]:
        seen.append(batch.images)
        return raw(batch)

    teacher.raw = recording  # type: ignore[method-assign, assignment]
    images, targets, seeds = batch_of(0, 1)
    distilled(student, teacher)(images, targets, None, seeds, (True, True))
    larger = functional.interpolate(torch.stack(images), size=(48, 48), mode="bilinear", antialias=True)
    plain = teacher.prepare(list(larger)).images
    assert_close(seen[0], student.blend(plain, seeds))
    assert not torch.equal(seen[0], plain)


def test_the_distillation_token_learns_from_the_teacher_and_the_class_token_from_labels() -> None:
    torch.manual_seed(0)
    student, teacher = small(), small()
    student.neck = TwoHeads(student.neck)  # type: ignore[assignment]
    student.neck.backbone = student.neck.network.backbone  # type: ignore[union-attr, assignment]
    student.network.num_heads = 2
    images, targets, seeds = batch_of(2, 0)
    losses = distilled(student, teacher, hard_labels=True)(images, targets, None, seeds, (True, True))
    logits, other = student.raw(student.prepare(images))
    (teacher_logits,) = teacher.raw(teacher.prepare(images))
    assert_close(losses["class"], functional.cross_entropy(logits, torch.tensor([2, 0])))
    assert_close(losses["distill_logits"], functional.cross_entropy(other, teacher_logits.argmax(1)))


def test_a_teacher_that_does_not_know_a_class() -> None:
    with pytest.raises(ValueError, match="distillation.teacher teacher: it does not know c; it knows a, b, d; rename the data's classes"):
        distilled(small(), small(), ("a", "b", "d"))


def test_a_detector_cannot_teach_a_classifier() -> None:
    teacher = FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None))
    wrapped = Teacher(teacher.build(3), teacher.preprocess, NAMES, "runs/detector-1")
    with pytest.raises(ValueError, match="runs/detector-1: expected a classifier as teacher of a classifier, got a FasterRCNN"):
        DistilledClassifier(small(), wrapped, DistillationConfig(teacher="x"), NAMES, PreprocessConfig())


def test_nothing_to_learn_from_the_teacher() -> None:
    with pytest.raises(ValueError, match="distillation.logit_weight is 0, so nothing is learned from the teacher; set it above 0"):
        distilled(small(), small(), logit_weight=0.0)
