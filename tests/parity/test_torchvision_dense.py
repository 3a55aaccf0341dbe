"""RetinaNet and FCOS compared with torchvision's on the same weights and images, through files in torchvision's published format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from conditioning import assert_conditioned, assert_same_detections, fit_norms, freeze, spread_all
from torch import Tensor, nn
from torchvision.models import detection

from detkit.models.one_stage import OneStage
from detkit.models.published import load_published, publication
from detkit.structures import Targets

pytestmark = pytest.mark.slow  # a network of the published size

UNUSED = [index for index, name in enumerate(publication("retinanet_resnet50_fpn").class_names) if name is None]
NAMES = ("retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn")
NORM_EPS = {"retinanet_resnet50_fpn": 0.0, "fcos_resnet50_fpn": 1e-5}
"""Eps of the frozen norms; torchvision's loader overwrites the first, and its second RetinaNet has trainable norms."""
NMS_IOU = {"fcos_resnet50_fpn": 0.6}
LOSSES = {"class": "classification", "box": "bbox_regression", "centerness": "bbox_ctrness"}
# Name, number of photographs and their size: the networks are large.
CASES = [
    *(pytest.param((name, 2, 128), id=f"{name}-small") for name in NAMES if name != "retinanet_resnet50_fpn_v2"),
    *(pytest.param((name, 4, 256), id=name, marks=pytest.mark.slow) for name in NAMES),
]


@dataclass
class Reference:
    """A conditioned model of torchvision, its input, and its published file."""

    name: str
    photographs: list[Tensor]
    model: nn.Module
    file: Path


@pytest.fixture(scope="module", params=CASES)
def reference(request: pytest.FixtureRequest, photographs: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    name, count, side = request.param
    torch.manual_seed(0)
    images = [image[:, :side, :side] for image in photographs[:count]]
    model = getattr(detection, name)(weights=None, weights_backbone=None).eval()
    model.transform.resize = lambda image, target: (image, target)
    condition(model, images)
    if name in NORM_EPS:
        freeze(model, NORM_EPS[name])
    file = tmp_path_factory.mktemp("published") / f"{name}.pth"
    torch.save(as_published(model.state_dict(), old=name == "retinanet_resnet50_fpn"), file)
    yield Reference(name, images, model, file)
    file.unlink()


@torch.no_grad()
def condition(model: nn.Module, photographs: list[Tensor]) -> None:
    def run() -> object:
        return model(photographs)

    fit_norms(model, run)
    logits, boxes = model.head.classification_head.cls_logits, model.head.regression_head
    spread_all({logits: 1.5, boxes.bbox_reg: 0.5}, run)
    if hasattr(boxes, "bbox_ctrness"):
        spread_all({boxes.bbox_ctrness: 1.5}, run)
        boxes.bbox_reg.bias += 2.0
    # Many scores, none of them saturated, and none for background and unnamed ids, which torchvision's files never detect.
    # FCOS multiplies scores by center-ness; RetinaNet, which has more anchors, would only have scores near 1.
    logits.bias -= 4.0 if hasattr(boxes, "bbox_ctrness") else 6.5
    rows = logits.bias.view(-1, 91)
    rows[:, [0, *(index + 1 for index in UNUSED)]] = -30.0
    logits.weight.view(-1, 91, *logits.weight.shape[1:])[:, 0] = 0.0


def as_published(state: Mapping[str, Tensor], *, old: bool) -> dict[str, Tensor]:
    """Remove counters and, for the oldest file, use the old names and numbers of convolutions."""
    published = {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        if old:
            name = re.sub(r"(fpn\.\w+_blocks\.\d)\.0\.", r"\1.", name)
            name = re.sub(r"(_head\.conv\.)(\d)\.0\.", lambda match: f"{match[1]}{2 * int(match[2])}.", name)
        published[name] = tensor
    return published


def detkit_model(reference: Reference, **backbone: object) -> OneStage:
    """Load detkit's model from the published file, with changes to the backbone config."""
    entry = publication(reference.name)
    config = entry.config.replace(backbone=entry.config.backbone.replace(**backbone))
    model = config.build(len(entry.class_names))
    model.load_state_dict(load_published(reference.name, reference.file).detector.state_dict())
    return model.eval()


@pytest.mark.oracle("torchvision", "detections of RetinaNet and FCOS", tolerance="boxes 1e-3 px, scores 1e-5, same labels", models="cases")
@torch.no_grad()
def test_detections_are_equal(reference: Reference) -> None:
    expected = [rows | {"labels": rows["labels"] - 1} for rows in reference.model(reference.photographs)]
    assert_conditioned(expected)
    assert_same_detections(detkit_model(reference)(reference.photographs), expected, nms_iou=NMS_IOU.get(reference.name, 0.5))


@pytest.mark.oracle("torchvision", "losses of RetinaNet and FCOS", tolerance="1e-4 relative")
def test_losses_are_equal(reference: Reference) -> None:
    photographs = reference.photographs[:4]
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(4, 3, 2, generator=generator) * 60
    boxes = torch.cat((corners, corners + 8 + torch.rand(4, 3, 2, generator=generator) * 60), -1)
    labels = torch.randint(90, (4, 3), generator=generator)
    targets = [Targets.of(*pair) for pair in zip(boxes, labels, strict=True)][: len(photographs)]
    targets[-1] = Targets.empty()
    state = {name: tensor.clone() for name, tensor in reference.model.state_dict().items()}
    reference.model.train()
    try:
        with torch.no_grad():
            expected = reference.model(photographs, [{"boxes": rows.boxes, "labels": rows.labels + 1} for rows in targets])
            losses = detkit_model(reference, frozen_stages=0).train()(photographs, targets)
    finally:
        reference.model.eval()
        reference.model.load_state_dict(state)
    assert {LOSSES[name] for name in losses} == set(expected)
    for name, loss in losses.items():
        assert float(loss) > 0
        torch.testing.assert_close(loss, expected[LOSSES[name]], rtol=1e-4, atol=0, msg=lambda text, name=name: f"{name}: {text}")
