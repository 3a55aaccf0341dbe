"""Error messages about models and their inputs."""

from __future__ import annotations

import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.config import Config, ConfigError, apply_overrides
from detkit.heads.anchors import AnchorConfig
from detkit.models import MODELS
from detkit.models.detector import AnyDetectorConfig
from detkit.models.faster_rcnn import FasterRCNN, FasterRCNNConfig
from detkit.necks import SingleLevelConfig
from detkit.structures import Batch, Targets

SMALL = BackboneConfig(name="resnet18", weights=None)


@pytest.fixture(scope="module")
def detector() -> FasterRCNN:
    return FasterRCNNConfig(backbone=SMALL).build(2).eval()


IMAGE = torch.zeros(3, 64, 64)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (IMAGE, ValueError, r"expected a list of \(3, H, W\) images, got a tensor of shape \(3, 64, 64\)"),
        ([], ValueError, r"expected a list of \(3, H, W\) images, got none"),
        ([IMAGE, torch.zeros(64, 64, 3)], ValueError, r"image 1: expected shape \(3, H, W\), got \(64, 64, 3\)"),
        ([torch.zeros(3, 0, 5)], ValueError, r"image 0: expected shape \(3, H, W\), got \(3, 0, 5\)"),
        ([IMAGE.byte()], TypeError, "image 0: expected floats in .0, 1., got torch.uint8; divide 8-bit values by 255"),
    ],
)
def test_images(detector: FasterRCNN, images: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        detector(images)


@pytest.mark.parametrize(
    ("boxes", "label", "message"),
    [
        ([0.0, 0.0, float("nan"), 9.0], 0, r"targets of image 0: box 0: expected finite x1 y1 x2 y2"),
        ([9.0, 0.0, 5.0, 9.0], 0, r"targets of image 0: box 0: expected .* got \[9.0, 0.0, 5.0, 9.0\]"),
        ([0.0, 0.0, 5.0, 9.0], 2, "targets of image 0: label 2: expected 0 to 1 for 2 classes; map the data's classes by name"),
        ([0.0, 0.0, 5.0, 9.0], -1, "targets of image 0: label -1: expected 0 to 1"),
    ],
)
def test_targets(detector: FasterRCNN, boxes: list[float], label: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detector([IMAGE], [Targets.of(torch.tensor([boxes]), torch.tensor([label]))])


def test_targets_for_another_number_of_images(detector: FasterRCNN) -> None:
    with pytest.raises(ValueError, match=r"expected targets for 1 images, got 2; an image without objects has Targets.empty\(\)"):
        detector([IMAGE], [Targets.empty(), Targets.empty()])


def test_seeds_for_another_number_of_images(detector: FasterRCNN) -> None:
    with pytest.raises(ValueError, match="Batch.seeds: expected 1, one per image, got 2"):
        detector([IMAGE], [Targets.empty()], seeds=[1, 2])
    with pytest.raises(ValueError, match="one per image"):
        Batch(torch.zeros(1, 3, 8, 8), ((8, 8),), (1, 2))


def test_class_names_for_another_number_of_classes(detector: FasterRCNN) -> None:
    with pytest.raises(ValueError, match=r"expected a name \(or None\) for each of 2 classes, got 3"):
        detector.hide_unnamed_classes(["a", "b", "c"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            FasterRCNNConfig(backbone=SMALL, neck=SingleLevelConfig()),
            r"anchors.sizes: expected sizes for the 1 levels of the neck, got 5 levels, .*; give one tuple of sizes per level",
        ),
        (
            FasterRCNNConfig(backbone=SMALL, rpn=FasterRCNNConfig().rpn.replace(anchors=AnchorConfig(sizes=((8.0, 16.0), *[(32.0,)] * 4)))),
            "anchors: expected the same number of sizes on every level, at least one, and at least one ratio",
        ),
    ],
)
def test_parts_that_do_not_fit(config: FasterRCNNConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config.build(2)


def test_no_classes() -> None:
    with pytest.raises(ValueError, match="num_classes: expected at least one class, got 0"):
        FasterRCNNConfig(backbone=SMALL).build(0)


def test_levels_of_different_channels() -> None:
    with pytest.raises(ValueError, match=r"rpn: expected the same channels on every level, got \(64, .* 9\); use model.neck.kind=fpn"):
        FasterRCNNConfig().rpn.build((64, 128, 256, 512, 9))


class Holder(Config):
    model: AnyDetectorConfig = FasterRCNNConfig()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=faster_rcn", "model: unknown model 'faster_rcn': did you mean 'faster_rcnn'"),
        ("model.rpn.proposal=5", "unknown key 'model.rpn.proposal': did you mean 'max_proposals'"),
        ("model.rpn.samples_per_image=many", "model.rpn.samples_per_image: expected a whole number, got 'many'"),
        ("model.region.min_score=1.5", "min_score"),
        ("model.region.head=three_fc", "model.region.head: unknown kind 'three_fc'"),
        ("model.neck=bifpn", "model.neck: unknown kind 'bifpn'"),
        ("model.backbone.name=resnet19", "unknown backbone 'resnet19': did you mean"),
    ],
)
def test_overrides(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_overrides(Holder(), [override])


def test_an_unknown_kind_in_json() -> None:
    with pytest.raises(ConfigError, match="unknown model kind 'fastest_rcnn': did you mean 'faster_rcnn'"):
        Holder.from_json('{"model": {"kind": "fastest_rcnn"}}')
    with pytest.raises(ValueError, match="unknown model 'fastest_rcnn'"):
        MODELS.get("fastest_rcnn")
