"""Distillation between detectors with queries, which correspond by what they predict."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from detkit.backbones import BackboneConfig
from detkit.heads.queries.dfine import DFINEHeadConfig
from detkit.heads.queries.rtdetr import RTDETRHeadConfig
from detkit.models.detector import Detector
from detkit.models.dfine import DFINEConfig
from detkit.models.rtdetr import RTDETRConfig
from detkit.models.yolox import YOLOXConfig
from detkit.necks import HybridEncoderConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets
from detkit.training.distillation.alignment import align_queries
from detkit.training.distillation.config import DistillationConfig
from detkit.training.distillation.detector import DistilledDetector
from detkit.training.distillation.losses import HeadOutputs
from detkit.training.distillation.teacher import Teacher

NAMES = ("cat", "dog", "cup")
SIZE = PreprocessConfig(rule="fixed", input_size=(64, 64))
SIZES: dict[str, Any] = {"channels": 16, "attention_heads": 2, "hidden": 16, "layers": 2}
NECK = HybridEncoderConfig(channels=16, attention_heads=2, hidden=16, depth=0.34)
BACKBONE = BackboneConfig(name="resnet18", weights=None, levels=("c3", "c4", "c5"))


def rtdetr(num_queries: int = 12) -> RTDETRConfig:
    return RTDETRConfig(preprocess=SIZE, backbone=BACKBONE, neck=NECK, head=RTDETRHeadConfig(**SIZES, num_queries=num_queries))


def dfine() -> DFINEConfig:
    return DFINEConfig(preprocess=SIZE, backbone=BACKBONE, neck=NECK, head=DFINEHeadConfig(**SIZES, num_queries=20, bins=8))


def built(config: Any, seed: int = 0) -> Detector:
    torch.manual_seed(seed)
    detector: Detector = config.build(len(NAMES)).eval()
    for name, parameter in detector.named_parameters():
        if "score_head" in name or "bbox_head" in name:
            nn.init.normal_(parameter, std=0.2)
    return detector


def losses_of(student: Detector, teacher: Detector, **numbers: Any) -> dict[str, Tensor]:
    reference = Teacher(teacher.requires_grad_(False), SIZE, NAMES, "teacher")
    model = DistilledDetector(student, reference, DistillationConfig(teacher="x", supervised_weight=0.0, **numbers), NAMES, SIZE)
    images = list(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(4)))
    targets = [Targets.of(torch.tensor([[8.0, 8.0, 40.0, 48.0]]), torch.tensor([index])) for index in range(2)]
    losses: dict[str, Tensor] = model(images, targets, None, [0, 1], (True, True))
    return losses


def test_a_student_equal_to_its_teacher_has_no_loss() -> None:
    losses = losses_of(built(rtdetr()), built(rtdetr()))
    torch.testing.assert_close(losses, {name: torch.zeros(()) for name in ("distill_class", "distill_box")}, atol=1e-5, rtol=0)


@pytest.mark.parametrize("teacher", [dfine(), rtdetr(6), rtdetr(20)])
def test_another_head_or_number_of_queries_can_teach(teacher: Any) -> None:
    student = built(rtdetr()).train()
    losses = losses_of(student, built(teacher, seed=1), min_score=0.0)
    assert min(float(value.detach()) for value in losses.values()) > 0.001
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    heads = [p for name, p in student.named_parameters() if "dec_bbox_head.1" in name or "dec_score_head.1" in name]
    assert all(p.grad is not None and bool(p.grad.any()) for p in heads)


def outputs_of(detector: Detector, permutation: Tensor | None = None) -> HeadOutputs:
    batch = detector.prepare(list(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(4))))
    outputs, locations = detector.split_outputs(detector.raw(batch), batch)  # type: ignore[operator]
    if permutation is not None:
        outputs = tuple(output[:, permutation] for output in outputs)
    return HeadOutputs(detector.head, outputs, locations, torch.arange(3))  # type: ignore[arg-type]


@torch.no_grad()
def test_queries_in_another_order_are_found_again() -> None:
    detector = built(rtdetr())
    permutation = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    student, teacher = outputs_of(detector), outputs_of(detector, permutation)
    aligned = align_queries(student, teacher)
    torch.testing.assert_close(aligned.scores(), student.scores())
    torch.testing.assert_close(aligned.best_boxes(0), student.best_boxes(0))


@torch.no_grad()
def test_queries_that_the_teacher_lacks_learn_that_there_is_nothing() -> None:
    detector = built(rtdetr())
    student, teacher = outputs_of(detector), outputs_of(detector, torch.tensor([3, 8]))
    aligned = align_queries(student, teacher)
    assert aligned.order is not None
    assert aligned.order[0, [3, 8]].tolist() == [0, 1]
    others = [query for query in range(12) if query not in (3, 8)]
    assert not aligned.scores()[0, others].any()


def test_a_detector_with_points_cannot_teach_queries() -> None:
    with pytest.raises(ValueError, match="scores and boxes can be imitated only at equal locations"):
        losses_of(built(rtdetr()), built(YOLOXConfig(preprocess=SIZE.replace(rule="letterbox"), backbone=BACKBONE)))
