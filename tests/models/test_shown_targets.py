"""Networks that are shown targets: they see them while losses are computed, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from detkit.backbones import BackboneConfig
from detkit.diagnostics.explanation import explain
from detkit.export.graph import OneStageLocations
from detkit.heads.fcos import FCOSHeadConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import Predictor
from detkit.models.detector import Losses, Raw
from detkit.models.faster_rcnn import FasterRCNN, FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.one_stage import OneStage
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Proposals, Targets
from detkit.training.alternating import PartLosses
from detkit.training.distillation.detector import DistilledDetector
from detkit.training.distillation.teacher import DistillationConfig, Teacher

SIZE = PreprocessConfig(rule="letterbox", input_size=(64, 64))
BACKBONE = BackboneConfig(name="resnet18", weights=None, levels=("c3", "c4", "c5"))


class ShownTargets(OneStage):
    """Adds the number of shown objects of each image to its raw outputs, after the maps, and has a loss of it."""

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        outputs = super().raw(batch, proposals, targets)
        if targets is None:
            return outputs
        counts = outputs[0].new_tensor([len(rows) for rows in targets])
        return (*outputs, counts)

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        return super().loss(raw[:-1], batch, targets) | {"shown": raw[-1].sum() + 0 * raw[0].sum()}


def shown_targets(seed: int = 0) -> ShownTargets:
    torch.manual_seed(seed)
    head = FCOSHeadConfig(depth=1, norm=None, prior=0.3)
    plain = FCOSConfig(preprocess=SIZE, backbone=BACKBONE, neck=FPNConfig(out_channels=16), head=head).build(2)
    return ShownTargets(plain.neck, plain.head).eval()


def samples() -> tuple[list[Tensor], list[Targets]]:
    boxes = torch.tensor([[5.0, 5.0, 40.0, 40.0], [20.0, 10.0, 60.0, 50.0]])
    return [torch.rand(3, 64, 64), torch.rand(3, 64, 64)], [Targets.of(boxes, torch.tensor([0, 1])), Targets.empty()]


def test_losses_show_the_targets() -> None:
    images, targets = samples()
    assert float(shown_targets()(images, targets)["shown"].detach()) == 2


@torch.no_grad()
def test_detection_explanation_and_export_show_none() -> None:
    detector, (images, targets) = shown_targets(), samples()
    assert len(detector(images)) == 2
    predictor = Predictor(detector, SIZE, ("cat", "dog"), "cpu", "fp32", reference=True)
    assert len(explain(predictor, torch.rand(3, 64, 64), targets[0]).stages) == 1
    assert OneStageLocations(detector)(torch.rand(1, 3, 64, 64))[0].shape[2] == 2


def test_a_student_is_shown_targets_and_its_teacher_is_not() -> None:
    student, teacher = shown_targets(), shown_targets(1)
    calls: list[tuple[str, bool]] = []
    for name, detector in (("student", student), ("teacher", teacher)):

        def recorded(*args: Any, name: str = name, plain: Any = detector.raw, **more: Any) -> Raw:
            calls.append((name, len(args) > 2 or more.get("targets") is not None))
            return plain(*args, **more)

        detector.raw = recorded  # type: ignore[method-assign]
    names = ("cat", "dog")
    distilled = DistilledDetector(student, Teacher(teacher, SIZE, names), DistillationConfig(teacher="x"), names, SIZE)
    calls.clear()  # the comparison of both on an empty image
    images, targets = samples()
    losses = distilled(images, targets, None, [1, 2], [True, True])
    assert float(losses["shown"].detach()) == 2
    assert calls == [("teacher", False), ("student", True)]


@pytest.mark.parametrize("part", ["rpn", "region"])
def test_alternating_training_shows_targets(part: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    region = FasterRCNNConfig().region.replace(head=TwoFCConfig(hidden=8), samples_per_image=4)
    config = FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None), neck=FPNConfig(out_channels=8), region=region)
    detector, plain, shown = config.build(2).eval(), FasterRCNN.raw, []

    def recorded(self: FasterRCNN, batch: Batch, proposals: Any = None, targets: Any = None) -> Raw:
        shown.append(targets)
        return plain(self, batch, proposals, targets)

    monkeypatch.setattr(FasterRCNN, "raw", recorded)
    images, targets = samples()
    PartLosses(detector, part, config.build(2).eval())(images, targets, None, [1, 2])
    boxes = [None if rows is None else [row.boxes.tolist() for row in rows] for rows in shown]
    expected = [row.boxes.tolist() for row in targets]
    assert boxes == ([expected, None] if part == "region" else [expected])
