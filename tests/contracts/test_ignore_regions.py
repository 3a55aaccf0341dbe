"""In every registered detector, nothing is learned in ignore regions: neither at their locations nor from samples inside them."""

from __future__ import annotations

import pytest
import torch
from tiny_detectors import NAMES, fit_norms, random_images, tiny
from torch import Tensor

from detkit.heads.queries.matching import predicted_corners
from detkit.heads.queries.query_head import QueryHead
from detkit.models.detector import Detector, Raw
from detkit.models.faster_rcnn import FasterRCNN
from detkit.models.one_stage import OneStage
from detkit.models.regions import has_regions
from detkit.ops.match import extend_regions, mostly_inside_regions
from detkit.structures import Batch, Proposals, Targets

PROPOSALS = torch.tensor([[0.0, 0.0, 40.0, 40.0], [8.0, 10.0, 62.0, 72.0], [70.0, 8.0, 126.0, 90.0], [40.0, 10.0, 120.0, 70.0]])
"""Two on the left, of which one is on the object, and two mostly in the region on the right; one of these overlaps the object a little, as
Fast R-CNN requires of background."""
OBJECT = torch.tensor([[10.0, 12.0, 60.0, 70.0]])
NO_NEGATIVES_WITHOUT_OBJECTS = ("ssd", "ssd/lite")
"""Detectors that learn nothing from an image without objects, whether it is ignored or not."""


@pytest.fixture(scope="module", params=NAMES)
def detector(request: pytest.FixtureRequest) -> Detector:
    torch.manual_seed(0)
    built = tiny(request.param).build(3).eval()
    fit_norms(built)
    built.label = request.param
    return built


def region(*box: float) -> Targets:
    return Targets.of(torch.tensor([box], dtype=torch.float32), torch.tensor([0]), is_crowd=torch.tensor([True]))


def proposals_for(detector: Detector, count: int) -> list[Proposals] | None:
    return [Proposals(PROPOSALS, torch.ones(4))] * count if detector.takes_proposals else None


def test_nothing_is_learned_from_an_image_that_is_ignored(detector: Detector) -> None:
    images = random_images(detector, (90, 120), (72, 97))
    covered = [region(0, 0, image.shape[2], image.shape[1]) for image in images]

    def losses(targets: list[Targets]) -> dict[str, Tensor]:
        result = detector(images, targets, proposals_for(detector, 2), seeds=[5, 6])
        assert isinstance(result, dict)
        return result

    detector.zero_grad()
    ignored = losses(covered)
    sum(ignored.values()).backward()
    assert {name: float(loss.detach()) for name, loss in ignored.items()} == dict.fromkeys(ignored, 0.0)
    gradients = [parameter.grad for parameter in detector.parameters() if parameter.requires_grad]
    assert not any(bool(gradient.any()) for gradient in gradients if gradient is not None)
    if detector.label not in NO_NEGATIVES_WITHOUT_OBJECTS:
        assert float(sum(losses([Targets.empty()] * 2).values())) > 0


@pytest.mark.slow
def test_an_ignored_image_leaves_the_losses_of_another_one_alone(detector: Detector) -> None:
    """The gradients of its predictions are 0, also of noised copies that fill up the batch."""
    images = random_images(detector, (96, 128), (96, 128))
    full = region(0, 0, images[1].shape[2], images[1].shape[1])
    raw = gradients(detector, images, [Targets.of(OBJECT, torch.tensor([1])), full])
    by_image = [tensor.grad for tensor in raw if tensor.grad is not None and len(tensor) == 2]
    assert by_image or detector.takes_proposals
    assert not any(bool(gradient[1].any()) for gradient in by_image)


def test_predictions_in_a_region_learn_nothing(detector: Detector) -> None:
    images = random_images(detector, (96, 128))
    left = 30 if isinstance(detector, OneStage) and isinstance(detector.head, QueryHead) else 64  # new queries predict the center
    right = region(left, 0, images[0].shape[2], images[0].shape[1])
    with_region = Targets.cat([Targets.of(OBJECT, torch.tensor([1])), right])
    for targets, learns in ((with_region, False), (with_region[:1], True)):
        raw = gradients(detector, images, [targets])
        for name, learned in learned_in(detector, raw, detector.prepare(images, [5]), targets, right).items():
            assert bool(learned) == learns, name


def gradients(detector: Detector, images: list[Tensor], targets: list[Targets]) -> Raw:
    """Return the raw outputs of the networks as leaves, with the gradients of the losses."""
    batch = detector.prepare(images, list(range(5, 5 + len(images))))
    targets = extend_regions(targets, batch.sizes)
    torch.manual_seed(0)
    with torch.no_grad():
        raw = detector.raw(batch, proposals_for(detector, len(images)), targets)
    raw = tuple(tensor.clone().requires_grad_() if tensor.is_floating_point() else tensor for tensor in raw)
    sum(detector.loss(raw, batch, targets).values()).backward()
    return raw


def learned_in(detector: Detector, raw: Raw, batch: Batch, targets: Targets, area: Targets) -> dict[str, bool]:
    """Return for each stage whether it learns that there is nothing somewhere in an area."""
    (area,) = extend_regions([area], batch.sizes)
    (extended,) = extend_regions([targets], batch.sizes)
    stages: dict[str, bool] = {}
    if isinstance(detector, OneStage):
        outputs, locations = detector.split_outputs(raw, batch)
        if isinstance(detector.head, QueryHead):
            (assigned,) = detector.head.assignment(outputs, locations, batch, [extended])
            inside = mostly_inside_regions(predicted_corners(outputs[1][0, :, -1]), area) & (assigned < 0)
            stages["queries"] = learns(outputs[0].grad[0, :, -1], inside)
        else:
            inside = mostly_inside_regions(torch.cat(locations), area)
            stages["locations"] = any(learns(part.grad[0], inside) for part in outputs if part.shape[1] == len(inside))
    if isinstance(detector, FasterRCNN):
        inside = mostly_inside_regions(torch.cat(detector.rpn.anchors_for(raw[2:], batch)), area)
        stages["anchors"] = learns(raw[0].grad[0], inside)
    if has_regions(detector):
        given = detector.propose(raw, batch, training=True) if isinstance(detector, FasterRCNN) else proposals_for(detector, 1)
        sampled = detector.region.sample_targets(given[0], extended, 5)
        assert len(sampled.labels)
        stages["regions"] = bool(mostly_inside_regions(sampled.boxes, area).any())
    return stages


def learns(gradient: Tensor, rows: Tensor) -> bool:
    assert bool(rows.any())
    return bool(gradient[rows].any())
