from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from detkit.backbones import BackboneConfig
from detkit.config import ConfigError
from detkit.heads.default_boxes import DefaultBoxConfig
from detkit.heads.ssd import SSDHead, SSDHeadConfig
from detkit.models import presets
from detkit.models.published import publication
from detkit.models.ssd import SSDConfig
from detkit.necks import ExtraLevelConfig
from detkit.ops.match import BACKGROUND, IGNORE, match_every_target
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Targets

K, SIDE = 3, 64


@pytest.fixture
def head() -> SSDHead:
    torch.manual_seed(0)
    boxes = DefaultBoxConfig(scales=(0.2, 0.5, 0.9), ratios=((2.0,), (2.0,)), steps=None)
    return SSDHeadConfig(default_boxes=boxes).build((4, 8), (8, 16), K)


def batch(count: int) -> Batch:
    return Batch(torch.zeros(count, 3, SIDE, SIDE), ((SIDE, SIDE),) * count)


def test_default_boxes_by_hand() -> None:
    boxes = DefaultBoxConfig(scales=(0.25, 1.0), ratios=((4.0,),), steps=None).build(1)
    (default_boxes,) = boxes((100, 200), [(1, 2)])
    # Centers (50, 50) and (150, 50); sides .25, .5, then .5 x .125 horizontal and vertical, of 200 x 100.
    halves = torch.tensor([[25.0, 12.5], [50.0, 25.0], [50.0, 6.25], [12.5, 25.0]])
    centers = torch.tensor([[50.0, 50.0], [150.0, 50.0]]).repeat_interleave(4, 0)
    assert_close(default_boxes, torch.cat((centers - halves.repeat(2, 1), centers + halves.repeat(2, 1)), 1))


def test_steps_between_cells_and_clipping_of_sides() -> None:
    config = DefaultBoxConfig(scales=(1.2, 1.2), ratios=((),), steps=(40.0,))
    (clipped,) = config.build(1)((100, 100), [(2, 2)])
    assert_close(clipped[[0, 2]], torch.tensor([[-30.0, -30, 70, 70], [10.0, -30, 110, 70]]))
    (unclipped,) = config.replace(clip=False).build(1)((100, 100), [(2, 2)])
    assert_close(unclipped[0], torch.tensor([-40.0, -40, 80, 80]))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"scales": (0.1, 0.2)}, "scales: expected 7, one for each level of ratios and one more, got 2"),
        ({"steps": (8.0,)}, "steps: expected 6"),
    ],
)
def test_inconsistent_default_boxes_are_rejected(numbers: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DefaultBoxConfig(**numbers)  # type: ignore[arg-type]


def test_default_boxes_for_other_levels_are_rejected() -> None:
    config = SSDConfig(neck=SSDConfig().neck.replace(extras=(ExtraLevelConfig(),)))
    with torch.device("meta"), pytest.raises(ValueError, match="head.default_boxes: expected ratios for the 3 levels of the neck, got 6"):
        config.build(2)


def test_images_too_small_for_the_last_level_are_rejected() -> None:
    config = SSDConfig(preprocess=PreprocessConfig(rule="fixed", input_size=(200, 300)))
    with torch.device("meta"), pytest.raises(ValueError, match=r"images of 200 x 300 .* leave 2 x 3 cells before extra level 3"):
        config.build(2)


def test_every_target_is_matched_and_the_last_wins_ties() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60], [80, 80, 90, 90]])
    small = torch.tensor([[50.0, 50, 53, 53], [0, 0, 10, 10], [50, 50, 52, 52], [70, 70, 70, 75]])
    assignment = match_every_target(anchors, Targets.of(small, torch.zeros(4, dtype=torch.int64)), positive_iou=0.5)
    assert assignment.tolist() == [1, 1, 2, BACKGROUND]


def test_crowds_are_ignored_in_matching() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [40, 40, 50, 50]])
    crowd = Targets.of(torch.tensor([[0.0, 0, 20, 20]]), torch.tensor([0]), is_crowd=torch.tensor([True]))
    assert match_every_target(anchors, crowd, positive_iou=0.5).tolist() == [IGNORE, BACKGROUND]


def test_three_hard_negatives_per_positive(head: SSDHead) -> None:
    locations = head.locations([(4, 4), (2, 2)], batch(1))
    anchors = torch.cat(locations)
    targets = [Targets.of(anchors[5:6].clamp(0, SIDE), torch.tensor([2]))]
    logits = torch.randn(1, len(anchors), K + 1)
    outputs = (logits, torch.zeros(1, len(anchors), 4))
    assignment = head.assignment(outputs, locations, batch(1), targets)[0]
    positive = (assignment >= 0).nonzero().flatten().tolist()
    assert 5 in positive
    log_probabilities = functional.log_softmax(logits[0], -1)
    background = sorted((-float(log_probabilities[row, K]) for row in range(len(anchors)) if row not in positive), reverse=True)
    expected = sum(background[: 3 * len(positive)]) - sum(float(log_probabilities[row, 2]) for row in positive)
    assert_close(float(head.loss(outputs, locations, batch(1), targets)["class"]), expected / len(positive), rtol=1e-5, atol=0)


def test_parameter_counts_match_torchvision() -> None:
    """Compare with the counts in torchvision's metadata."""
    for name, count in {"ssd300_vgg16": 35641826, "ssdlite320_mobilenet_v3_large": 3440060}.items():
        source = publication(name)
        with torch.device("meta"):
            detector = source.config.build(len(source.class_names))
        assert sum(parameter.numel() for parameter in detector.parameters()) == count


def test_ssd512_grids_match_the_paper() -> None:
    with torch.device("meta"):
        detector = presets.ssd512_vgg16().build(20)
        maps = detector.neck(torch.empty(1, 3, 512, 512))
    assert [level.shape[-1] for level in maps] == [64, 32, 16, 8, 4, 2, 1]
    assert sum(level.shape[-1] ** 2 * count for level, count in zip(maps, detector.head.anchors.per_cell, strict=True)) == 24564


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "mobilenet_v3_large"])
@pytest.mark.parametrize("preset", ["ssd300_vgg16", "ssdlite320_mobilenet_v3_large"])
def test_any_backbone(preset: str, name: str) -> None:
    config = getattr(presets, preset)()
    height = config.preprocess.input_size[0]
    with torch.device("meta"):
        detector = config.replace(backbone=BackboneConfig(name=name, weights=None)).build(2)
        maps = detector.neck(torch.empty(2, 3, height, height))
    assert [tuple(level.shape[1:2]) for level in maps] == [(count,) for count in detector.neck.channels]
    assert len(maps) == len(detector.head.anchors.per_cell) == 6
