"""Faster R-CNN compared with torchvision's on the same weights and images, through files in torchvision's published format."""

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

from detkit.models.faster_rcnn import FasterRCNN as DetkitFasterRCNN
from detkit.models.published import load_published, publication
from detkit.structures import Targets

UNUSED = [index for index, name in enumerate(publication("fasterrcnn_resnet50_fpn").class_names) if name is None]
NAMES = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
)
NORM_EPS = {
    "fasterrcnn_resnet50_fpn": 0.0,  # torchvision's loader overwrites it for this file only
    "fasterrcnn_mobilenet_v3_large_fpn": 1e-5,
    "fasterrcnn_mobilenet_v3_large_320_fpn": 1e-5,
}
# Name, proposals, photographs: two or four shapes padded to one batch.
SMALL = [pytest.param(("fasterrcnn_resnet50_fpn", 80, 2), marks=pytest.mark.slow), ("fasterrcnn_mobilenet_v3_large_320_fpn", 150, 4)]
FULL = [pytest.param((name, count, 4), marks=pytest.mark.slow) for name, count in zip(NAMES, (1000, 300, 1000), strict=False)]


@dataclass
class Reference:
    """A conditioned model of torchvision, its maximum number of proposals, its input, and its published file."""

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
    # With many proposals the best hundred would all be saturated at the spread that few proposals need.
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
    # Classes that torchvision's file never detects either.
    predictor.cls_score.bias[[index + 1 for index in UNUSED]] = -30.0


def as_published(state: Mapping[str, Tensor], *, old: bool) -> dict[str, Tensor]:
    """Remove counters and, for the first generation, use the names of convolutions before torchvision 0.13."""
    published = {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        if old:
            name = re.sub(r"(fpn\.\w+_blocks\.\d)\.0\.", r"\1.", name)
            name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        published[name] = tensor
    return published


def detkit_model(reference: Reference, **backbone: object) -> DetkitFasterRCNN:
    """Load detkit's model from the published file, with as many proposals and with changes to the backbone config."""
    entry = publication(reference.name)
    config = entry.config.replace(rpn=entry.config.rpn.replace(max_proposals=reference.proposals))
    config = config.replace(backbone=config.backbone.replace(**backbone))
    model = config.build(len(entry.class_names))
    model.load_state_dict(load_published(reference.name, reference.file).detector.state_dict())
    return model.eval()


@pytest.mark.oracle("torchvision", "detections of Faster R-CNN", tolerance="boxes 1e-3 px, scores 1e-5, same labels", models="cases")
@torch.no_grad()
def test_detections_are_equal(reference: Reference) -> None:
    expected = [rows | {"labels": rows["labels"] - 1} for rows in reference.model(reference.photographs)]
    assert_conditioned(expected)
    assert_same_detections(detkit_model(reference)(reference.photographs), expected, nms_iou=0.5)


def first_indices(rows: Tensor, count: int) -> Tensor:
    return rows.nonzero().flatten()[:count]


def first_sampler(assignment: Tensor, count: int, fraction: float, _generator: torch.Generator) -> tuple[Tensor, Tensor]:
    positive = first_indices(assignment >= 0, int(count * fraction))
    return positive, first_indices(assignment == -1, count - len(positive))


class TorchvisionFirstSampler:
    def __init__(self, count: int, fraction: float) -> None:
        self.count, self.fraction = count, fraction

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        positive = [first_indices(rows >= 1, int(self.count * self.fraction)) for rows in labels]
        negative = [first_indices(rows == 0, self.count - len(indices)) for rows, indices in zip(labels, positive, strict=True)]
        return self.masks(labels, positive), self.masks(labels, negative)

    def masks(self, labels: list[Tensor], indices: list[Tensor]) -> list[Tensor]:
        return [
            torch.zeros(len(rows), dtype=torch.uint8).index_fill_(0, selected, 1) for rows, selected in zip(labels, indices, strict=True)
        ]


LOSSES = {
    "rpn_objectness": "loss_objectness",
    "rpn_box": "loss_rpn_box_reg",
    "region_class": "loss_classifier",
    "region_box": "loss_box_reg",
}


@pytest.mark.oracle("torchvision", "losses of Faster R-CNN", tolerance="1e-4 relative")
def test_losses_are_equal(reference: Reference) -> None:
    photographs = reference.photographs[:4]
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(4, 3, 2, generator=generator) * 80
    boxes = torch.cat((corners, corners + 20 + torch.rand(4, 3, 2, generator=generator) * 60), -1)
    labels = torch.randint(90, (4, 3), generator=generator)
    targets = [Targets.of(*pair) for pair in zip(boxes, labels, strict=True)][: len(photographs)]
    targets[-1] = Targets.empty()

    model = detkit_model(reference, frozen_stages=0).train()
    model.rpn.sample = model.region.sample = first_sampler
    samples = min(512, reference.proposals)
    model.region.config = model.region.config.replace(samples_per_image=samples)
    reference.model.rpn.fg_bg_sampler, reference.model.roi_heads.fg_bg_sampler = (
        TorchvisionFirstSampler(256, 0.5),
        TorchvisionFirstSampler(samples, 0.25),
    )
    state = {name: tensor.clone() for name, tensor in reference.model.state_dict().items()}
    reference.model.train()
    try:
        with torch.no_grad():
            expected = reference.model(photographs, [{"boxes": rows.boxes, "labels": rows.labels + 1} for rows in targets])
            losses = model(photographs, targets)
    finally:
        reference.model.eval()
        reference.model.load_state_dict(state)
    assert set(losses) == set(LOSSES)
    for name, key in LOSSES.items():
        assert float(expected[key]) > 0
        torch.testing.assert_close(losses[name], expected[key], rtol=1e-4, atol=0, msg=lambda text, name=name: f"{name}: {text}")


def test_a_file_with_other_weights_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "wrong.pth"
    torch.save({"backbone.body.conv1.weight": torch.zeros(64, 3, 7, 7)}, file)
    with pytest.raises(ValueError, match=r"wrong.pth: not fasterrcnn_resnet50_fpn: \d+ tensors missing"):
        load_published("fasterrcnn_resnet50_fpn", file)
    with pytest.raises(ValueError, match="did you mean 'fasterrcnn_resnet50_fpn'"):
        load_published("fasterrcnn_resnet50_fp", file)


def test_unnamed_classes_are_never_reported() -> None:
    entry = publication("fasterrcnn_mobilenet_v3_large_320_fpn")
    model = entry.config.build(len(entry.class_names)).eval()
    with torch.no_grad():
        model.region.predictor.logits.bias[UNUSED] = 20.0
        image = torch.rand(3, 96, 96)
        assert set(torch.cat([rows.labels for rows in model([image])]).tolist()) <= set(UNUSED)
        model.hide_unnamed_classes(entry.class_names)
        assert len(model([image])[0]) == 0
