"""SSD300 and SSDLite320 compared with torchvision's on the same weights and images, through files in torchvision's format."""

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

pytestmark = pytest.mark.slow  # a network of the published size

SIDES = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}
LOSSES = {"class": "classification", "box": "bbox_regression"}
CASES = [
    ("ssdlite320_mobilenet_v3_large", 2),
    pytest.param(("ssd300_vgg16", 2), marks=pytest.mark.slow),
    pytest.param(("ssdlite320_mobilenet_v3_large", 4), marks=pytest.mark.slow),
]


@dataclass
class Reference:
    """A conditioned model of torchvision, its input, and its file."""

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
    """Fit norms, or for VGG, which has none, initialize convolutions that keep the variance; then spread the class scores."""

    def run() -> object:
        return model(images)

    for part in model.backbone.modules():
        if isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.kaiming_normal_(part.weight)
    fit_norms(model, run)
    last = [part[-1] if isinstance(part, nn.Sequential) else part for part in model.head.classification_head.module_list]
    boxes = [part[-1] if isinstance(part, nn.Sequential) else part for part in model.head.regression_head.module_list]
    spread_all(dict.fromkeys(last, 2.5) | dict.fromkeys(boxes, 1.0), run)


def drop_background(rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {**rows, "labels": rows["labels"] - 1}


@pytest.mark.oracle("torchvision", "detections of SSD and SSDLite", tolerance="boxes 1e-3 px, scores 1e-5, same labels", models="cases")
@torch.no_grad()
def test_detections_are_equal(reference: Reference) -> None:
    # Torchvision reports COCO ids without a name; other tests check that detkit does not.
    detector = load_published(reference.name, reference.file).detector
    detector.unreported = None
    assert isinstance(detector, OneStage)
    expected = [drop_background(rows) for rows in reference.model(reference.photographs)]
    assert_conditioned(expected)
    assert_same_detections(detector(reference.photographs), expected, nms_iou=detector.head.postprocess.nms_iou or 1.0)


def targets(side: int, count: int) -> list[Targets]:
    """Boxes of all sizes, two of which share their best default box, and an image without objects."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for _ in range(count - 1):
        corners = torch.rand(5, 2, generator=generator) * side * 0.5
        boxes = torch.cat((corners, corners + 8 + torch.rand(5, 2, generator=generator) * side * 0.5), -1)
        boxes = torch.cat((boxes, boxes[:1] + 1))
        rows.append(Targets.of(boxes, torch.randint(90, (6,), generator=generator)))
    return [*rows, Targets.empty()]


@pytest.mark.oracle("torchvision", "losses of SSD and SSDLite", tolerance="1e-4 relative")
def test_losses_are_equal(reference: Reference) -> None:
    truth = targets(SIDES[reference.name], len(reference.photographs))
    detector = load_published(reference.name, reference.file).detector.train()
    state = {name: tensor.clone() for name, tensor in reference.model.state_dict().items()}
    reference.model.train()
    try:
        with torch.no_grad():
            expected = reference.model(reference.photographs, [{"boxes": rows.boxes, "labels": rows.labels + 1} for rows in truth])
            losses = detector(reference.photographs, truth)
    finally:
        reference.model.eval()
        reference.model.load_state_dict(state)
    assert set(losses) == set(LOSSES)
    for name, key in LOSSES.items():
        assert float(expected[key]) > 0
        torch.testing.assert_close(losses[name], expected[key], rtol=1e-4, atol=0, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.oracle("torchvision", "default boxes of SSD and SSDLite", tolerance="1e-4 px")
@pytest.mark.parametrize("name", sorted(SIDES))
def test_default_boxes_equal_torchvision(name: str) -> None:
    with torch.device("meta"):
        model = getattr(detection, name)(weights=None, weights_backbone=None)
    size = (SIDES[name], SIDES[name])
    grids = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]
    expected = torch.cat((model.anchor_generator._grid_default_boxes([list(grid) for grid in grids], list(size)),), 0)
    expected = torch.cat((expected[:, :2] - 0.5 * expected[:, 2:], expected[:, :2] + 0.5 * expected[:, 2:]), -1) * size[0]
    levels = publication(name).config.head.default_boxes.build(6)(size, grids)  # type: ignore[attr-defined]
    torch.testing.assert_close(torch.cat(levels), expected, atol=1e-4, rtol=0)
