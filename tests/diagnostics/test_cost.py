from __future__ import annotations

import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.data.records import DetectionData, ImageRecord
from detkit.diagnostics.anchor_recall import anchor_grids, anchor_recall, best_ious
from detkit.diagnostics.cost import profile
from detkit.models.detector import Detector
from detkit.models.detr import DETRConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.ops.boxes import box_iou
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets

CONFIG = FasterRCNNConfig(
    backbone=BackboneConfig(name="resnet18", weights=None, frozen_stages=2),
    neck=FPNConfig(out_channels=16),
    preprocess=PreprocessConfig(short_side=100, long_side=300),
)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return CONFIG.build(3)


def random_boxes(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) * 0.8
    sides = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) * 0.5 + 1
    return torch.cat((corners, corners + sides), 1)


def test_profile_counts_parameters_and_shapes(detector: Detector) -> None:
    result = profile(detector, CONFIG.preprocess, (50, 60))
    assert result.input_size == (100, 120)
    assert result.padded_size == (128, 128)
    assert result.backbone == ((64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4))
    assert [shape[1] for shape in result.levels] == [32, 16, 8, 4, 2]
    assert result.parameters == sum(p.numel() for p in detector.parameters())
    assert result.trainable == sum(p.numel() for p in detector.parameters() if p.requires_grad) < result.parameters


def test_profile_counts_two_operations_per_multiply_add(detector: Detector) -> None:
    result = profile(detector, CONFIG.preprocess, (50, 60))
    parts = {part.name: part for part in result.parts}
    assert sum(part.flops for part in result.parts) == result.flops
    # The RPN: a 3x3 convolution and two 1x1 convolutions with 3 and 12 outputs, over 1364 cells.
    cells = 32 * 32 + 16 * 16 + 8 * 8 + 4 * 4 + 2 * 2
    assert parts["rpn"].flops == 2 * cells * (16 * 16 * 9 + 16 * 15)
    # ResNet-18 without the classifier: 1.814 GMACs at 224 pixels, scaled to 128.
    assert parts["backbone"].flops / 2e9 == pytest.approx((1.814 - 0.0005) * (128 / 224) ** 2, rel=0.01)


def test_profile_counts_queries_that_are_parameters() -> None:
    """The counter hooks the inputs of every module, and those of DETR's decoder are parameters."""
    detector = DETRConfig().replace(backbone=BackboneConfig(name="resnet18", weights=None)).build(3)
    before = {name: parameter.requires_grad for name, parameter in detector.named_parameters()}
    result = profile(detector, CONFIG.preprocess, (50, 60))
    assert {part.name for part in result.parts if part.flops} >= {"backbone", "head"}
    assert {name: parameter.requires_grad for name, parameter in detector.named_parameters()} == before


def test_profile_does_not_modify_the_model(detector: Detector) -> None:
    detector.train()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    profile(detector, CONFIG.preprocess, (50, 60))
    assert detector.training
    assert not detector.neck._forward_hooks
    for name, tensor in detector.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("size", [(100, 120), (97, 250)])
def test_best_ious_match_all_pairs(detector: Detector, size: tuple[int, int]) -> None:
    boxes = random_boxes(200, *size)
    levels = anchor_grids(detector, size)
    anchors = torch.cat([level.reshape(-1, 4) for level in levels])
    torch.testing.assert_close(best_ious(boxes, levels), box_iou(boxes, anchors).amax(1))


def test_anchor_recall_by_size(detector: Detector) -> None:
    boxes = torch.tensor([[10.0, 10.0, 20.0, 20.0], [0.0, 0.0, 100.0, 100.0], [5.0, 5.0, 40.0, 80.0]])
    crowd = torch.tensor([False, False, True])
    records = [ImageRecord("a.jpg", 1, (100, 120), Targets.of(boxes, torch.zeros(3).long(), crowd))]  # type: ignore[arg-type]
    records.append(ImageRecord("b.jpg", 2, (100, 120), Targets.empty()))  # type: ignore[arg-type]
    rows = anchor_recall(detector, CONFIG.preprocess, DetectionData.of("made", ("a",), records))
    assert rows is not None
    assert {row.size: row.boxes for row in rows} == {"all": 2, "small": 1, "medium": 0, "large": 1}
    small = next(row for row in rows if row.size == "small")
    assert small.mean_best_iou == pytest.approx(100 / 32**2, rel=0.02)  # anchors are rounded to whole pixels
    assert small.recall_50 == 0
    assert next(row for row in rows if row.size == "large").recall_50 == 1


def test_anchor_recall_without_boxes_and_without_anchors(detector: Detector) -> None:
    rows = anchor_recall(detector, CONFIG.preprocess, DetectionData.of("empty", ("a",), []))
    assert rows is not None
    assert rows[0].boxes == 0
    assert anchor_recall(torch.nn.Linear(1, 1), CONFIG.preprocess, DetectionData.of("empty", ("a",), [])) is None  # type: ignore[arg-type]
