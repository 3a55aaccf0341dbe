"""Every backbone family in every detector: it builds, trains and detects, or a one-line error explains why it cannot.

A backbone of each kind always runs in two detectors; the tests of the others are marked slow. They cover pairs, not all combinations: see
:func:`pairs`.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from backbone_families import smallest_of_each_family

from detkit.backbones import BACKBONES, Backbone, BackboneConfig, backbone_info
from detkit.heads.region.layers import TwoFCConfig
from detkit.models.detector import Detector, DetectorConfig
from detkit.models.fast_rcnn import FastRCNNConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.retinanet import RetinaNetConfig
from detkit.models.yolox import YOLOXConfig
from detkit.necks import FPNConfig, LightPANConfig
from detkit.structures import Proposals, Targets

NAMES = BACKBONES.names()
MAX_PARAMETERS = 30_000_000
"""Networks with more parameters are built without values, except the smallest of each family: they have more of the same blocks."""
REPRESENTATIVES = ("csp_darknet_nano", "deit_tiny_patch16_224", "hgnetv2_atto", "mobilenet_v3_small", "shufflenet_v2_x0_5")
"""Small members of families whose maps are made differently: parallel and inverted blocks, channel shuffles, one map of a transformer,
and no map of stride 32."""


SMALL = smallest_of_each_family()


def faster_rcnn() -> DetectorConfig:
    config = FasterRCNNConfig(neck=FPNConfig(out_channels=32))
    rpn = config.rpn.replace(train_max_proposals=50, max_proposals=50, samples_per_image=32)
    return config.replace(rpn=rpn, region=config.region.replace(head=TwoFCConfig(hidden=32), samples_per_image=32, pool_size=3))


def fast_rcnn() -> DetectorConfig:
    config = FastRCNNConfig()
    return config.replace(region=config.region.replace(head=TwoFCConfig(hidden=32), samples_per_image=16, pool_size=3))


def retinanet() -> DetectorConfig:
    config = RetinaNetConfig()
    return config.replace(neck=config.neck.replace(out_channels=64), head=config.head.replace(depth=1))


def yolox() -> DetectorConfig:
    config = YOLOXConfig()
    return config.replace(neck=LightPANConfig(out_channels=32), head=config.head.replace(channels=32))


DETECTORS = {"faster_rcnn": faster_rcnn, "fast_rcnn": fast_rcnn, "retinanet": retinanet, "yolox": yolox}
INCOMPATIBLE = {
    *(("lenet5", kind) for kind in ("fast_rcnn", "faster_rcnn", "retinanet", "yolox")),
    *((f"hgnetv2_{size}", kind) for size in ("atto", "femto", "pico") for kind in ("faster_rcnn", "retinanet", "yolox")),
}
"""Combinations in which the backbone lacks the maps that the detector needs."""


def with_backbone(config: DetectorConfig, name: str) -> DetectorConfig:
    """Set ``model.backbone.name=NAME``, without pretrained weights."""
    return config.replace(backbone=config.backbone.replace(name=name, weights=None, frozen_stages=0))


def run(detector: Detector, scale: float = 1.0) -> None:
    """Compute losses and detections on images of two sizes."""
    torch.manual_seed(0)
    images = [torch.rand(3, *(int(side * scale) for side in size)) for size in ((96, 64), (65, 100))]
    boxes = [scale * torch.tensor(rows) for rows in ([[4.0, 4.0, 44.0, 60.0]], [[20.0, 8.0, 90.0, 60.0], [1.0, 1.0, 30.0, 30.0]])]
    targets = [Targets.of(rows, torch.zeros(len(rows), dtype=torch.long)) for rows in boxes]
    proposals = [Proposals(rows, torch.ones(len(rows))) for rows in boxes] if detector.takes_proposals else None
    losses = detector.train()(images, targets, proposals, seeds=[1, 2])
    total = sum(losses.values())
    assert bool(torch.isfinite(total)), losses
    total.backward()
    gradients = [parameter.grad for parameter in detector.backbone.parameters() if parameter.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    with torch.no_grad():
        detections = detector.eval()(images, proposals=proposals)
    for image, rows in zip(images, detections, strict=True):
        assert bool(rows.boxes.isfinite().all())
        assert bool((rows.boxes[:, 2:] <= torch.tensor([image.shape[-1], image.shape[-2]])).all())


def combinations() -> list[tuple[str, str]]:
    """The representatives with Faster R-CNN and YOLOX; ResNet and LeNet with all detectors."""
    return [
        *((name, kind) for name in REPRESENTATIVES for kind in ("faster_rcnn", "yolox")),
        *itertools.product(("lenet5", "resnet18"), DETECTORS),
    ]


@pytest.mark.parametrize(("name", "kind"), combinations())
def test_runs_or_explains_why_not(name: str, kind: str) -> None:
    config = with_backbone(DETECTORS[kind](), name)
    if (name, kind) in INCOMPATIBLE:
        with pytest.raises(ValueError, match=r"^[^\n]*(levels|strides)[^\n]*$"):
            run(config.build(3))
    else:
        run(config.build(3))


KINDS = tuple(DETECTORS)


def pairs() -> dict[str, tuple[str, ...]]:
    """Return the detectors that each backbone is tested in.

    The smallest backbone of each family in all four, the others in one each, in turn: members of a family differ in depth and width only,
    so every family meets every detector, and every backbone meets one. All combinations would be four times as many networks.
    """
    compatible = sorted(set(NAMES) - {name for name, _ in INCOMPATIBLE})
    return {name: KINDS if name in SMALL else (KINDS[index % len(KINDS)],) for index, name in enumerate(compatible)}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kinds"), pairs().items(), ids=pairs())
def test_every_family_runs_in_all_four_detectors_and_every_backbone_in_one(
    name: str, kinds: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the right levels on an image that no stride divides; extra levels of the neck are not checked.

    Detectors with the same backbone config share the backbone, because building it takes most of the time.
    """
    build, cache = BackboneConfig.build, {}

    def build_once(config: BackboneConfig) -> Backbone:
        if config not in cache:
            cache[config] = build(config)
        return cache[config]

    monkeypatch.setattr(BackboneConfig, "build", build_once)
    large = name not in SMALL and backbone_info(name).parameters > MAX_PARAMETERS
    for kind in kinds:
        with torch.device("meta" if large else "cpu"):
            detector = with_backbone(DETECTORS[kind](), name).build(3).eval()
            check_levels(detector, kind)
        if not large and (name, kind) not in combinations():  # those run in the test above
            detector.zero_grad()
            run(detector, scale=0.6)


def check_levels(detector: Detector, kind: str) -> None:
    neck: Any = detector.neck
    with torch.no_grad():
        maps = neck(torch.rand(1, 3, 65, 98))
    count = len(detector.backbone.strides) if kind != "fast_rcnn" else 1
    expected = [(1, c, math.ceil(65 / s), math.ceil(98 / s)) for c, s in zip(neck.channels, neck.strides, strict=True)]
    assert [tuple(level.shape) for level in maps[:count]] == expected[:count], kind
    assert neck.strides[:count] == detector.backbone.strides[-count:], kind
    assert len(maps) == len(expected), kind
