from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss

from detkit.backbones import BackboneConfig
from detkit.heads.fcos import FCOSHeadConfig
from detkit.heads.yolox import YOLOXHeadConfig
from detkit.models.detector import Detector
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.yolox import YOLOXConfig
from detkit.necks import FPNConfig, LightPANConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets
from detkit.training.distillation.config import DistillationConfig
from detkit.training.distillation.detector import DistilledDetector
from detkit.training.distillation.losses import feature_loss, quality_focal
from detkit.training.distillation.teacher import Teacher
from detkit.training.optim.optimizer import AdamWConfig, build_optimizer

NAMES = ("cat", "dog", "cup")
SIZE = PreprocessConfig(rule="letterbox", input_size=(64, 64))


def yolox(channels: int = 8) -> YOLOXConfig:
    head = YOLOXHeadConfig(channels=channels, depth=1, kernel=5, depthwise=True, activation="relu", prior=0.3)
    neck, backbone = LightPANConfig(out_channels=channels), BackboneConfig(name="efficientnet_lite0", weights=None)
    return YOLOXConfig(preprocess=SIZE, backbone=backbone, neck=neck, head=head)


def fcos(**head: Any) -> FCOSConfig:
    backbone = BackboneConfig(name="resnet18", weights=None, levels=("c3", "c4", "c5"))
    return FCOSConfig(
        preprocess=SIZE, backbone=backbone, neck=FPNConfig(out_channels=32), head=FCOSHeadConfig(depth=1, norm=None, prior=0.3, **head)
    )


def built(config: Any, classes: int = 3, seed: int = 0) -> Detector:
    torch.manual_seed(seed)
    detector: Detector = config.build(classes)
    for layer in detector.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups == 1:
            nn.init.kaiming_normal_(layer.weight)  # otherwise an untrained head predicts the same everywhere
    return detector


def teacher_of(detector: Detector, names: Sequence[str | None] = NAMES, preprocess: PreprocessConfig = SIZE) -> Teacher:
    return Teacher(detector.eval().requires_grad_(False), preprocess, tuple(names), "teacher")


def distilled(
    student: Detector, teacher: Teacher, names: Sequence[str] = NAMES, unlabeled: bool = True, **numbers: Any
) -> DistilledDetector:
    return DistilledDetector(student, teacher, DistillationConfig(teacher="x", **numbers), names, SIZE, takes_unlabeled=unlabeled)


def samples(count: int = 2) -> tuple[list[Tensor], list[Targets]]:
    generator = torch.Generator().manual_seed(4)
    images = list(torch.rand(count, 3, 64, 64, generator=generator))
    return images, [Targets.of(torch.tensor([[8.0, 8.0, 40.0, 48.0]]), torch.tensor([index % 3])) for index in range(count)]


def losses_of(model: DistilledDetector, labeled: Sequence[bool] = (True, True), images: list[Tensor] | None = None) -> dict[str, Tensor]:
    default_images, targets = samples(len(labeled))
    losses: dict[str, Tensor] = model(images or default_images, targets, None, list(range(len(labeled))), labeled)
    return losses


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_the_quality_focal_loss_matches_its_formula(beta: float) -> None:
    probabilities, targets = (
        torch.rand(6, 7, generator=torch.Generator().manual_seed(1)),
        torch.rand(6, 7, generator=torch.Generator().manual_seed(2)),
    )
    probabilities[0, 0], targets[1, 1], targets[1, 2] = 1e-7, 0.0, 1.0
    own, plain = probabilities.clone().requires_grad_(), probabilities.clone().requires_grad_()
    loss = quality_focal(own, targets, beta)
    expected = ((plain - targets).abs() ** beta * functional.binary_cross_entropy(plain, targets, reduction="none")).sum()
    torch.testing.assert_close(loss, expected)
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(own.grad, plain.grad)
    assert quality_focal(probabilities, probabilities, beta) == 0


def test_the_quality_focal_loss_is_finite_at_0_and_1() -> None:
    probabilities = torch.tensor([0.0, 0.0, 1.0, 1.0], requires_grad=True)
    loss = quality_focal(probabilities, torch.tensor([0.0, 0.9, 0.9, 1.0]))
    loss.backward()
    assert probabilities.grad is not None
    assert bool(torch.isfinite(loss))
    assert bool(torch.isfinite(probabilities.grad).all())


@pytest.mark.parametrize("config", [yolox(), fcos(min_class_score=0.2)])
def test_a_student_equal_to_its_teacher_has_no_loss(config: Any) -> None:
    student, teacher = built(config).eval(), built(config)
    losses = losses_of(distilled(student, teacher_of(teacher), supervised_weight=0.0, feature_weight=0.0))
    assert set(losses) == {"distill_class", "distill_box"}
    for value in losses.values():
        torch.testing.assert_close(value, torch.tensor(0.0), atol=1e-5, rtol=0)
    other = losses_of(distilled(student, teacher_of(built(config, seed=1)), supervised_weight=0.0))
    assert min(other.values()) > 0.001


def test_the_losses_match_their_formulas() -> None:
    student, teacher = built(yolox()).eval(), built(yolox(), seed=1).eval()
    images, _ = samples()
    losses = losses_of(distilled(student, teacher_of(teacher), supervised_weight=0.0, score_weight=2.0, box_weight=3.0, min_score=0.15))
    outputs_of = []
    for model in (student, teacher):
        batch = model.prepare(images)
        outputs, locations = model.split_outputs(model.raw(batch), batch)
        scores = outputs[0].sigmoid() * outputs[1].sigmoid()
        points = torch.cat(locations)
        strides = torch.cat([p.new_full((len(p), 1), s) for p, s in zip(locations, (8.0, 16.0, 32.0), strict=True)])
        centers = (outputs[2][..., :2] - 0.5) * strides + points
        sides = outputs[2][..., 2:].exp() * strides
        outputs_of.append((scores, torch.cat((centers - sides / 2, centers + sides / 2), -1)))
    (own, boxes), (targets, target_boxes) = outputs_of
    weight = targets.amax(-1)
    entropy = functional.binary_cross_entropy(own, targets, reduction="none")
    counted = weight > 0.15
    assert 0 < int(counted.sum()) < counted.numel()
    total = weight[counted].sum()
    torch.testing.assert_close(losses["distill_class"], 2 * ((own - targets) ** 2 * entropy).sum() / total, rtol=1e-4, atol=1e-6)
    expected = (generalized_box_iou_loss(boxes[counted], target_boxes[counted]) * weight[counted]).sum() / total
    torch.testing.assert_close(losses["distill_box"], 3 * expected, rtol=1e-4, atol=1e-6)


def test_every_parameter_of_the_student_gets_a_gradient_and_the_teacher_none() -> None:
    student, teacher = built(yolox()), teacher_of(built(yolox(16), seed=1))
    model = distilled(student.train(), teacher, feature_weight=1.0, supervised_weight=0.0, box_weight=0.0)
    torch.stack(list(losses_of(model).values())).sum().backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert not missing
    moved = {
        name.split(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None and bool(parameter.grad.any())
    }
    assert moved == {"student", "adapters"}
    assert all(parameter.grad is None for parameter in teacher.detector.parameters())
    kept = {name.split(".")[0] for name in model.state_dict()}
    assert kept == {"student", "adapters"}
    model.train()
    assert not teacher.detector.training


def test_supervised_losses_use_labeled_images_only() -> None:
    student, teacher = built(yolox()).eval(), teacher_of(built(yolox(), seed=1))
    model = distilled(student, teacher, supervised_weight=2.0)
    images, targets = samples(3)
    own = student(images[:1], targets[:1], None, [0])
    losses = losses_of(model, (True, False, False))
    for name, value in own.items():
        torch.testing.assert_close(losses[name], 2 * value, msg=name)
    all_unlabeled = losses_of(model, (False, False, False))
    assert all(float(all_unlabeled[name].detach()) == 0 and all_unlabeled[name].requires_grad for name in own)
    for name in ("distill_class", "distill_box"):  # these use all images
        torch.testing.assert_close(all_unlabeled[name], losses[name])
    assert set(all_unlabeled) == set(losses)


def test_classes_are_matched_by_name() -> None:
    teacher_model = built(yolox(), classes=4, seed=1)
    student = built(yolox(), classes=2).eval()
    model = distilled(student, teacher_of(teacher_model, ("sky", "dog", None, "cat")), names=("cat", "bird"), supervised_weight=0.0)
    losses = losses_of(model)
    images, _ = samples()
    batch = student.prepare(images)
    own = student.head.raw_scores(student.raw(batch))[..., 0]  # type: ignore[union-attr,operator]
    targets = teacher_model.head.raw_scores(teacher_model.raw(batch))[..., 3]  # type: ignore[union-attr,operator]
    entropy = functional.binary_cross_entropy(own, targets, reduction="none")
    torch.testing.assert_close(
        losses["distill_class"], ((own - targets) ** 2 * entropy).sum() / targets.sum().clamp(min=1), rtol=1e-4, atol=1e-6
    )


def test_images_are_converted_to_the_teachers_format() -> None:
    teacher = teacher_of(built(yolox()), preprocess=SIZE.replace(channel_order="bgr", max_value=255))
    images, _ = samples(1)
    seen = teacher.prepare(images, SIZE).images
    torch.testing.assert_close(seen, teacher.detector.prepare([images[0].flip(0) * 255]).images)
    same = teacher.prepare(images, teacher.preprocess).images
    torch.testing.assert_close(same, teacher.detector.prepare(images).images)


def test_the_feature_loss_does_not_depend_on_the_scale() -> None:
    maps = [torch.rand(2, 4, 5, 5), torch.rand(2, 4, 3, 3)]
    torch.testing.assert_close(feature_loss(maps, [3 * level + 7 for level in maps]), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(feature_loss(maps, [-level for level in maps]), torch.tensor(4.0), atol=1e-3, rtol=0)
    assert torch.isfinite(feature_loss(maps, [torch.zeros_like(level) for level in maps]))


def test_ignored_cells_count_neither_in_the_difference_nor_in_the_statistics() -> None:
    torch.manual_seed(0)
    own, teacher = torch.rand(2, 4, 6, 8), torch.rand(2, 4, 6, 8)
    cells = torch.zeros(2, 6, 8, dtype=torch.bool)
    cells[:, :, 5:] = True
    expected = feature_loss([own[..., :5]], [teacher[..., :5]])
    disturbed = [level + 50 * torch.rand(2, 4, 6, 8) * cells[:, None] for level in (own, teacher)]
    torch.testing.assert_close(feature_loss(disturbed[:1], disturbed[1:], [cells.flatten(1)]), expected)
    torch.testing.assert_close(feature_loss([own], [teacher], [torch.zeros(2, 48, dtype=torch.bool)]), feature_loss([own], [teacher]))
    student = own.clone().requires_grad_()
    cells[1] = True
    feature_loss([student], [teacher], [cells.flatten(1)]).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    torch.testing.assert_close(student.grad.abs().sum(1) > 0, ~cells)


def test_a_score_of_exactly_0_gives_finite_gradients() -> None:
    detector = built(fcos(score_rule="root"))
    logits = torch.tensor([[[-200.0, 0.5], [-200.0, -1.0]]]).requires_grad_()
    centerness = torch.tensor([[0.3, -200.0]]).requires_grad_()
    scores = detector.head.raw_scores((logits, torch.zeros(1, 2, 4), centerness))  # type: ignore[union-attr,operator]
    torch.testing.assert_close(scores, (logits.sigmoid() * centerness.sigmoid()[..., None]).sqrt())
    assert int((scores == 0).sum()) == 3
    quality_focal(scores, torch.tensor([[[0.0, 0.9], [0.4, 0.0]]])).backward()
    for values in (logits, centerness):
        assert values.grad is not None
        assert bool(torch.isfinite(values.grad).all())
    assert logits.grad is not None
    assert float(logits.grad[0, 0, 1]) != 0


def test_adapters_are_trained_with_the_student_and_do_not_decay() -> None:
    student = built(yolox())
    model = distilled(student, teacher_of(built(yolox(16))), feature_weight=1.0)
    assert [tuple(adapter.weight.shape[:2]) for adapter in model.adapters] == [(16, 8)] * 3  # type: ignore[union-attr]
    optimizer = build_optimizer(student, AdamWConfig(backbone_lr_factor=0.1), 16, tuple(model.adapters.parameters()))
    group_of = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    for parameter in model.adapters.parameters():
        assert group_of[id(parameter)]["factor"] == 1
        assert group_of[id(parameter)]["weight_decay"] == 0
    assert len(group_of) == len([p for p in model.parameters() if p.requires_grad])


def test_half_precision_gives_nearly_the_same_losses() -> None:
    model = distilled(built(yolox()).eval(), teacher_of(built(yolox(16), seed=1)), feature_weight=1.0, supervised_weight=0.0)
    whole = losses_of(model)
    with torch.autocast("cpu", torch.bfloat16):
        half = losses_of(model)
    assert half.keys() == whole.keys() >= {"distill_class", "distill_box", "distill_features"}
    for name, value in half.items():
        assert value.dtype == torch.float32, name
        torch.testing.assert_close(value, whole[name], rtol=0.05, atol=0.01, msg=lambda text, name=name: f"{name}: {text}")
    sum(half.values()).backward()  # type: ignore[union-attr]


def test_the_feature_maps_of_a_two_stage_teacher_are_imitated() -> None:
    config = FasterRCNNConfig(preprocess=SIZE, backbone=BackboneConfig(name="resnet18", weights=None), neck=FPNConfig(out_channels=8))
    weights = {"score_weight": 0.0, "box_weight": 0.0, "feature_weight": 1.0}
    losses = losses_of(distilled(built(yolox()), teacher_of(built(config)), names=("else", "other", "more"), **weights))
    assert losses["distill_features"] > 0
    losses = losses_of(distilled(built(config), teacher_of(built(yolox())), unlabeled=False, **weights))
    assert {"rpn_box", "distill_features"} <= set(losses)


@pytest.mark.parametrize("config", [yolox(), fcos(score_rule="product")])
@pytest.mark.parametrize("weights", [{}, {"feature_weight": 1.0}, {"feature_weight": 1.0, "score_weight": 0.0, "box_weight": 0.0}])
def test_nothing_is_imitated_in_regions_to_ignore(config: Any, weights: dict[str, float]) -> None:
    student, teacher = built(config).eval(), built(config, seed=1)
    model = distilled(student, teacher_of(teacher), supervised_weight=0.0, min_score=0.0, **weights)
    images, targets = samples()

    def gradients(regions: list[Targets]) -> tuple[float, Tensor]:
        student.zero_grad()
        total = torch.stack(list(model(images, regions, None, [0, 1], (True, True)).values())).sum()
        total.backward()
        return float(total.detach()), torch.cat([part.grad.flatten() for part in student.parameters() if part.grad is not None])

    everywhere = Targets.of(torch.tensor([[0.0, 0.0, *images[0].shape[:0:-1]]]), torch.tensor([0]), is_crowd=torch.tensor([True]))
    corner = everywhere.replace(boxes=everywhere.boxes / 2)
    total, gradient = gradients([everywhere, everywhere])
    assert total == 0
    assert not gradient.any()
    totals = [gradients(regions)[0] for regions in ([Targets.empty()] * 2, [corner, Targets.empty()], targets)]
    assert totals[0] == totals[2] != totals[1] > 0
