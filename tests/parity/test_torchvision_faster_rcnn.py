"""Our Faster R-CNN against torchvision's, with the same weights on the same images, through files as torchvision publishes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from conditioning import assert_conditioned, assert_same_detections, fit_norms, freeze, spread_all
from torch import Tensor
from torchvision.models import detection
from torchvision.models.detection import FasterRCNN

from detkit.models.faster_rcnn import FasterRCNN as OurFasterRCNN
from detkit.models.published import load_published, publication
from detkit.structures import Targets

UNUSED = [place for place, name in enumerate(publication("fasterrcnn_resnet50_fpn").class_names) if name is None]
NAMES = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
)
NORM_EPS = {
    "fasterrcnn_resnet50_fpn": 0.0,  # torchvision's loader overwrites it for this file alone
    "fasterrcnn_mobilenet_v3_large_fpn": 1e-5,
    "fasterrcnn_mobilenet_v3_large_320_fpn": 1e-5,
}
# Name, proposals, photographs: fewer of both where the network is large, all of both in the slow run.
SMALL = [
    ("fasterrcnn_resnet50_fpn", 80, 4),
    ("fasterrcnn_resnet50_fpn_v2", 60, 2),
    ("fasterrcnn_mobilenet_v3_large_fpn", 150, 8),
    ("fasterrcnn_mobilenet_v3_large_320_fpn", 150, 8),
]
FULL = [pytest.param((name, count, 8), marks=pytest.mark.slow) for name, count in zip(NAMES, (1000, 300, 1000), strict=False)]


@dataclass
class Reference:
    """A conditioned model of torchvision's, how many proposals it may make, and what it looks at."""

    name: str
    proposals: int
    photographs: list[Tensor]
    model: FasterRCNN
    file: Path


@pytest.fixture(scope="module", params=[*SMALL, *FULL], ids=lambda case: f"{case[0]}-{case[1]}")
def reference(request: pytest.FixtureRequest, photographs: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    name, proposals, count = request.param
    torch.manual_seed(0)
    model = getattr(detection, name)(weights=None, weights_backbone=None, rpn_post_nms_top_n_test=proposals).eval()
    model.transform.resize = lambda image, target: (image, target)
    # Of many proposals the best hundred would all be certain at the spread that few ones need.
    condition(model, photographs[: min(count, 4)], 4.5 if proposals < 200 else 2.5)
    if name in NORM_EPS:
        freeze(model, NORM_EPS[name])
    file = tmp_path_factory.mktemp("published") / f"{name}.pth"
    torch.save(as_published(model.state_dict(), old=name != "fasterrcnn_resnet50_fpn_v2"), file)
    yield Reference(name, proposals, photographs[:count], model, file)
    file.unlink()


@torch.no_grad()
def condition(model: FasterRCNN, photographs: list[Tensor], std: float) -> None:
    def run() -> object:
        return model(photographs)

    fit_norms(model, run)
    spread_all({model.rpn.head.cls_logits: 2.0, model.rpn.head.bbox_pred: 0.3}, run)
    predictor = model.roi_heads.box_predictor
    spread_all({predictor.cls_score: std, predictor.bbox_pred: 1.0}, run)
    # What torchvision's file never detects either.
    predictor.cls_score.bias[[place + 1 for place in UNUSED]] = -30.0


def as_published(state: Mapping[str, Tensor], *, old: bool) -> dict[str, Tensor]:
    """Without counters, and for the first generation with convolutions named as they were before torchvision 0.13."""
    published = {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        if old:
            name = re.sub(r"(fpn\.\w+_blocks\.\d)\.0\.", r"\1.", name)
            name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        published[name] = tensor
    return published


def ours(reference: Reference, **backbone: object) -> OurFasterRCNN:
    """Our model from the published file, allowed as many proposals, and with another backbone config where one is given."""
    found = publication(reference.name)
    config = found.config.replace(rpn=found.config.rpn.replace(proposals=reference.proposals))
    config = config.replace(backbone=config.backbone.replace(**backbone))
    model = config.build(len(found.class_names))
    model.load_state_dict(load_published(reference.name, reference.file).detector.state_dict())
    return model.eval()


@torch.no_grad()
def test_the_same_detections(reference: Reference) -> None:
    expected = [found | {"labels": found["labels"] - 1} for found in reference.model(reference.photographs)]
    assert_conditioned(expected)
    assert_same_detections(ours(reference)(reference.photographs), expected, nms_iou=0.5)


def first_ones(rows: Tensor, count: int) -> Tensor:
    return rows.nonzero().flatten()[:count]


def our_choice(matches: Tensor, count: int, fraction: float, _generator: torch.Generator) -> tuple[Tensor, Tensor]:
    positive = first_ones(matches >= 0, int(count * fraction))
    return positive, first_ones(matches == -1, count - len(positive))


class TheirChoice:
    def __init__(self, count: int, fraction: float) -> None:
        self.count, self.fraction = count, fraction

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        positive = [first_ones(rows >= 1, int(self.count * self.fraction)) for rows in labels]
        negative = [first_ones(rows == 0, self.count - len(chosen)) for rows, chosen in zip(labels, positive, strict=True)]
        return self.masks(labels, positive), self.masks(labels, negative)

    def masks(self, labels: list[Tensor], chosen: list[Tensor]) -> list[Tensor]:
        return [torch.zeros(len(rows), dtype=torch.uint8).index_fill_(0, places, 1) for rows, places in zip(labels, chosen, strict=True)]


LOSSES = {
    "rpn_objectness": "loss_objectness",
    "rpn_box": "loss_rpn_box_reg",
    "region_class": "loss_classifier",
    "region_box": "loss_box_reg",
}


def test_the_same_losses(reference: Reference) -> None:
    photographs = reference.photographs[:4]
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(4, 3, 2, generator=generator) * 80
    boxes = torch.cat((corners, corners + 20 + torch.rand(4, 3, 2, generator=generator) * 60), -1)
    labels = torch.randint(90, (4, 3), generator=generator)
    targets = [Targets.of(*pair) for pair in zip(boxes, labels, strict=True)][: len(photographs)]
    targets[-1] = Targets.empty()

    model = ours(reference, frozen_stages=0).train()
    model.rpn.sample = model.region.sample = our_choice
    samples = min(512, reference.proposals)
    model.region.config = model.region.config.replace(samples_per_image=samples)
    reference.model.rpn.fg_bg_sampler, reference.model.roi_heads.fg_bg_sampler = TheirChoice(256, 0.5), TheirChoice(samples, 0.25)
    state = {name: tensor.clone() for name, tensor in reference.model.state_dict().items()}
    reference.model.train()
    try:
        with torch.no_grad():
            expected = reference.model(photographs, [{"boxes": found.boxes, "labels": found.labels + 1} for found in targets])
            found = model(photographs, targets)
    finally:
        reference.model.eval()
        reference.model.load_state_dict(state)
    assert set(found) == set(LOSSES)
    for name, theirs in LOSSES.items():
        assert float(expected[theirs]) > 0
        torch.testing.assert_close(found[name], expected[theirs], rtol=1e-4, atol=0, msg=lambda text, name=name: f"{name}: {text}")


def test_a_file_of_other_weights_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "wrong.pth"
    torch.save({"backbone.body.conv1.weight": torch.zeros(64, 3, 7, 7)}, file)
    with pytest.raises(ValueError, match=r"wrong.pth: not fasterrcnn_resnet50_fpn: \d+ tensors missing"):
        load_published("fasterrcnn_resnet50_fpn", file)
    with pytest.raises(ValueError, match="did you mean 'fasterrcnn_resnet50_fpn'"):
        load_published("fasterrcnn_resnet50_fp", file)


def test_unused_slots_are_never_reported() -> None:
    found = publication("fasterrcnn_mobilenet_v3_large_320_fpn")
    model = found.config.build(len(found.class_names)).eval()
    with torch.no_grad():
        model.region.predictor.logits.bias[UNUSED] = 20.0
        image = torch.rand(3, 96, 96)
        assert set(torch.cat([rows.labels for rows in model([image])]).tolist()) <= set(UNUSED)
        model.report_only(found.class_names)
        assert len(model([image])[0]) == 0
