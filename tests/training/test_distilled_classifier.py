"""What a classifier learns from a teacher."""

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
from detkit.training.distillation import DistillationConfig, Teacher
from detkit.training.distilled_classifier import DistilledClassifier, imitation_loss

NAMES = ("a", "b", "c")


def small(side: int = 32, mixup: float = 0.0) -> Classifier:
    preprocess = PreprocessConfig(rule="fixed", input_size=(side, side))
    return ClassifierConfig(backbone=BackboneConfig(name="lenet5", weights=None), preprocess=preprocess, mixup=mixup).build(3)


class TwoHeads(nn.Module):
    """Says the same as another network, and by a second head the opposite."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        (logits,) = self.network(images)
        return logits, -logits


def distilled(student: Classifier, teacher: Classifier, names: tuple[str, ...] = NAMES, **config: object) -> DistilledClassifier:
    preprocess = student.config.preprocess
    told = Teacher(teacher.eval(), teacher.config.preprocess, names, "teacher")
    return DistilledClassifier(student, told, DistillationConfig(teacher="teacher", **config), NAMES, preprocess)  # type: ignore[arg-type]


def batch_of(*labels: int | None) -> tuple[list[Tensor], list[Targets], list[int]]:
    images = list(torch.rand(len(labels), 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    whole = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
    targets = [Targets.empty() if n is None else Targets.of(whole, torch.tensor([n])) for n in labels]
    return images, targets, list(range(10, 10 + len(labels)))


def test_the_soft_loss_is_hintons() -> None:
    mine, theirs = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    p, q = (theirs / 3).softmax(1), (mine / 3).softmax(1)
    assert_close(imitation_loss(mine, theirs, 3.0), 9 * (p * (p / q).log()).sum(1).mean())
    assert_close(imitation_loss(mine, mine, 2.0), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_the_hard_loss_is_the_cross_entropy_with_the_teachers_class() -> None:
    mine, theirs = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    assert_close(imitation_loss(mine, theirs, 3.0, True), functional.cross_entropy(mine, theirs.argmax(1)))


def test_the_teachers_classes_are_found_by_name() -> None:
    torch.manual_seed(0)
    student = small()
    teacher = ClassifierConfig(backbone=student.config.backbone, preprocess=student.config.preprocess).build(4)
    images, targets, seeds = batch_of(0, 1)
    made = distilled(student, teacher, ("c", "other", "a", "b"), temperature=2.0, supervised_weight=0.5)
    losses = made(images, targets, None, seeds, (True, True))
    raw, told = student.raw(student.prepare(images)), teacher.raw(teacher.prepare(images))
    assert_close(losses["distill_logits"], imitation_loss(raw[0], told[0][:, [2, 3, 0]], 2.0))
    assert_close(losses["class"], 0.5 * functional.cross_entropy(raw[0], torch.tensor([0, 1])))


def test_unlabeled_images_teach_too() -> None:
    torch.manual_seed(0)
    made = distilled(small(), small())
    images, targets, seeds = batch_of(None, None)
    losses = made(images, targets, None, seeds, (False, False))
    assert losses["class"] == 0
    assert losses["distill_logits"] > 0


def test_the_teacher_sees_the_images_that_the_student_sees() -> None:
    """Blended ones too, and in its own size."""
    torch.manual_seed(0)
    student, teacher = small(mixup=0.5), small(side=48)
    heard: list[Tensor] = []
    raw = teacher.raw

    def listening(batch: Batch, proposals: object = None) -> tuple[Tensor, ...]:
        heard.append(batch.images)
        return raw(batch)

    teacher.raw = listening  # type: ignore[method-assign, assignment]
    images, targets, seeds = batch_of(0, 1)
    distilled(student, teacher)(images, targets, None, seeds, (True, True))
    larger = functional.interpolate(torch.stack(images), size=(48, 48), mode="bilinear", antialias=True)
    plain = teacher.prepare(list(larger)).images
    assert_close(heard[0], student.blended(plain, seeds))
    assert not torch.equal(heard[0], plain)


def test_the_distillation_token_hears_the_teacher_and_the_class_token_the_labels() -> None:
    torch.manual_seed(0)
    student, teacher = small(), small()
    student.neck = TwoHeads(student.neck)  # type: ignore[assignment]
    student.neck.backbone = student.neck.network.backbone  # type: ignore[union-attr, assignment]
    student.network.heads = 2
    images, targets, seeds = batch_of(2, 0)
    losses = distilled(student, teacher, hard_labels=True)(images, targets, None, seeds, (True, True))
    logits, other = student.raw(student.prepare(images))
    (told,) = teacher.raw(teacher.prepare(images))
    assert_close(losses["class"], functional.cross_entropy(logits, torch.tensor([2, 0])))
    assert_close(losses["distill_logits"], functional.cross_entropy(other, told.argmax(1)))


def test_a_teacher_that_does_not_know_a_class() -> None:
    with pytest.raises(ValueError, match="distillation.teacher teacher: it does not know c; it knows a, b, d; rename the data's classes"):
        distilled(small(), small(), ("a", "b", "d"))


def test_a_detector_teaches_no_classifier() -> None:
    teacher = FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None))
    told = Teacher(teacher.build(3), teacher.preprocess, NAMES, "runs/detector-1")
    with pytest.raises(ValueError, match="runs/detector-1: a FasterRCNN; a classifier learns from classifiers alone"):
        DistilledClassifier(small(), told, DistillationConfig(teacher="x"), NAMES, PreprocessConfig())


def test_nothing_to_learn_from_the_teacher() -> None:
    with pytest.raises(ValueError, match="distillation.logit_weight is 0, so nothing is learned from the teacher; set it"):
        distilled(small(), small(), logit_weight=0.0)
