"""Our SSD300 and SSDLite320 against torchvision's, with the same weights on the same images, through files as torchvision has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from conditioning import assert_conditioned, assert_same_detections, fit_norms, spread_all
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import detection
from torchvision.models.detection.ssd import SSD

from detkit.models.one_stage import OneStage
from detkit.models.published import load_published, publication
from detkit.structures import Targets

SIDES = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}
LOSSES = {"class": "classification", "box": "bbox_regression"}
CASES = [
    ("ssdlite320_mobilenet_v3_large", 2),
    pytest.param(("ssd300_vgg16", 2), marks=pytest.mark.slow),
    pytest.param(("ssdlite320_mobilenet_v3_large", 8), marks=pytest.mark.slow),
]


@dataclass
class Reference:
    """A conditioned model of torchvision's, what it looks at, and its file."""

    name: str
    photographs: list[Tensor]
    model: SSD
    file: Path


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def reference(request: pytest.FixtureRequest, photographs: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    name, count = request.param
    side = SIDES[name]
    images = [functional.interpolate(image[None], (side, side), mode="bilinear")[0] for image in photographs[:count]]
    torch.manual_seed(0)
    model = getattr(detection, name)(weights=None, weights_backbone=None).eval()
    condition(model, images)
    file = tmp_path_factory.mktemp("published") / f"{name}.pth"
    torch.save({key: tensor for key, tensor in model.state_dict().items() if not key.endswith("num_batches_tracked")}, file)
    yield Reference(name, images, model, file)
    file.unlink()


@torch.no_grad()
def condition(model: SSD, images: list[Tensor]) -> None:
    """Norms that fit, or for VGG, which has none, convolutions that keep the spread; then classes with spread scores."""

    def run() -> object:
        return model(images)

    for part in model.backbone.modules():
        if isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.kaiming_normal_(part.weight)
    fit_norms(model, run)
    last = [part[-1] if isinstance(part, nn.Sequential) else part for part in model.head.classification_head.module_list]
    boxes = [part[-1] if isinstance(part, nn.Sequential) else part for part in model.head.regression_head.module_list]
    spread_all(dict.fromkeys(last, 2.5) | dict.fromkeys(boxes, 1.0), run)


def without_background(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {**found, "labels": found["labels"] - 1}


@torch.no_grad()
def test_the_same_detections(reference: Reference) -> None:
    # Torchvision reports the slots of COCO that have no name; that ours does not is tested elsewhere.
    ours = load_published(reference.name, reference.file).detector
    ours.unreported = None
    assert isinstance(ours, OneStage)
    expected = [without_background(found) for found in reference.model(reference.photographs)]
    assert_conditioned(expected)
    assert_same_detections(ours(reference.photographs), expected, nms_iou=ours.head.postprocess.nms_iou or 1.0)


def targets(side: int, count: int) -> list[Targets]:
    """Boxes of all sizes, two that share their best default box, and a image without objects."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(count - 1):
        corners = torch.rand(5, 2, generator=generator) * side * 0.5
        boxes = torch.cat((corners, corners + 8 + torch.rand(5, 2, generator=generator) * side * 0.5), -1)
        boxes = torch.cat((boxes, boxes[:1] + 1))
        found.append(Targets.of(boxes, torch.randint(90, (6,), generator=generator)))
    return [*found, Targets.empty()]


def test_the_same_losses(reference: Reference) -> None:
    truth = targets(SIDES[reference.name], len(reference.photographs))
    ours = load_published(reference.name, reference.file).detector.train()
    state = {name: tensor.clone() for name, tensor in reference.model.state_dict().items()}
    reference.model.train()
    try:
        with torch.no_grad():
            expected = reference.model(reference.photographs, [{"boxes": rows.boxes, "labels": rows.labels + 1} for rows in truth])
            found = ours(reference.photographs, truth)
    finally:
        reference.model.eval()
        reference.model.load_state_dict(state)
    assert set(found) == set(LOSSES)
    for name, theirs in LOSSES.items():
        assert float(expected[theirs]) > 0
        torch.testing.assert_close(found[name], expected[theirs], rtol=1e-4, atol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("name", sorted(SIDES))
def test_default_boxes_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        model = getattr(detection, name)(weights=None, weights_backbone=None)
    size = (SIDES[name], SIDES[name])
    grids = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]
    expected = torch.cat((model.anchor_generator._grid_default_boxes([list(grid) for grid in grids], list(size)),), 0)
    expected = torch.cat((expected[:, :2] - 0.5 * expected[:, 2:], expected[:, :2] + 0.5 * expected[:, 2:]), -1) * size[0]
    levels = publication(name).config.head.boxes.build(6)(size, grids)  # type: ignore[attr-defined]
    torch.testing.assert_close(torch.cat(levels), expected, atol=1e-4, rtol=0)
