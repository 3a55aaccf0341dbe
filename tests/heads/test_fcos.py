from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from detkit.heads.fcos import FCOSHead, FCOSHeadConfig, centerness_of
from detkit.heads.postprocess import PostprocessConfig
from detkit.ops.coder import to_distances
from detkit.ops.match_atss import match_atss
from detkit.structures import Batch, Targets

GRIDS = [(8, 12), (4, 6)]


def head(**numbers: object) -> FCOSHead:
    torch.manual_seed(0)
    return FCOSHeadConfig(depth=1, **numbers).build((32, 32), (8, 16), 3)


def batch(images: int = 1) -> Batch:
    return Batch(torch.zeros(images, 3, 64, 96), ((60, 90),) * images)


def target(*boxes: tuple[float, float, float, float]) -> Targets:
    return Targets.of(torch.tensor(boxes), torch.tensor([2, 0][: len(boxes)]))


def perfect_outputs(module: FCOSHead, targets: list[Targets], *, confidence: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return outputs that match the target at every positive point, and background at all others."""
    locations = module.locations(GRIDS, batch())
    points = torch.cat(locations)
    logits, distances = torch.full((len(targets), len(points), 3), -confidence), torch.ones(len(targets), len(points), 4)
    centerness = torch.zeros(len(targets), len(points))
    for image, (rows, assignment) in enumerate(zip(targets, module.assignment((), locations, batch(), targets), strict=True)):
        positive = assignment >= 0
        logits[image, positive, rows.labels[assignment[positive]]] = confidence
        distances[image, positive] = to_distances(rows.boxes[assignment[positive]], points[positive])
        centerness[image, positive] = centerness_of(distances[image, positive]).logit(1e-6)
    return logits, distances, centerness


def test_centerness() -> None:
    distances = torch.tensor([[5.0, 7.0, 5.0, 7.0], [2.0, 6.0, 8.0, 6.0], [1.0, 1.0, 4.0, 4.0]])
    assert_close(centerness_of(distances), torch.tensor([1.0, 0.5, 0.25]))
    assert centerness_of(distances[:0]).shape == (0,)


def test_points_are_at_the_corner_or_the_center_of_cells() -> None:
    corner, middle = head().locations(GRIDS, batch()), head(offset=0.5).locations(GRIDS, batch())
    assert corner[1][:2].tolist() == [[0, 0], [16, 0]]
    assert [(b - a).unique().tolist() for a, b in zip(corner, middle, strict=True)] == [[4], [8]]


def test_distances_are_in_pixels() -> None:
    maps = [torch.randn(1, 32, *grid) for grid in GRIDS]
    for kind in ("strides", "exp"):
        module = head(distance_encoding=kind)
        with torch.no_grad():
            module.dense.deltas.weight.zero_()
            module.dense.deltas.bias.fill_(2.0)
            if kind == "exp":
                module.scales.copy_(torch.tensor([1.0, 0.5]))
            _, distances, _ = module(maps, batch())
        levels = (16.0, 32.0) if kind == "strides" else (torch.tensor(2.0).exp().item(), torch.tensor(1.0).exp().item())
        assert_close(distances[0, :96], torch.full((96, 4), levels[0]))
        assert_close(distances[0, 96:], torch.full((24, 4), levels[1]))


def test_exponential_distances_stay_finite() -> None:
    module = head(distance_encoding="exp")
    with torch.no_grad():
        module.dense.deltas.bias.fill_(1e4)
        assert module([torch.zeros(1, 32, *grid) for grid in GRIDS], batch())[1].isfinite().all()


def test_every_level_learns_its_scale() -> None:
    module, targets = head(distance_encoding="exp", center_radius=None), [target((10.0, 10.0, 34.0, 33.0), (2.0, 2.0, 90.0, 60.0))]
    maps = [torch.randn(1, 32, *grid) for grid in GRIDS]
    module.loss(module(maps, batch()), module.locations(GRIDS, batch()), batch(), targets)["box"].backward()
    assert module.scales.grad is not None
    assert (module.scales.grad != 0).all()


@pytest.mark.parametrize("box_loss", ["giou", "log_iou"])
def test_perfect_outputs_minimize_the_losses(box_loss: str) -> None:
    module, targets = head(box_loss=box_loss), [target((10.0, 10.0, 34.0, 33.0), (40.0, 10.0, 75.0, 45.0)), Targets.empty()]
    locations = module.locations(GRIDS, batch(2))
    logits, distances, centerness = perfect_outputs(module, targets, confidence=30.0)
    right = module.loss((logits, distances, centerness), locations, batch(2), targets)
    assert_close(torch.stack([right["class"], right["box"]]), torch.zeros(2), atol=1e-5, rtol=0)
    wrong = module.loss((-logits, distances + 5, -centerness), locations, batch(2), targets)
    assert all(float(wrong[name]) > float(right[name]) + 0.1 for name in right)
    nudged = module.loss((logits, distances, centerness + 0.1), locations, batch(2), targets)
    assert nudged["centerness"] > right["centerness"]


def test_losses_are_divided_by_the_positive_points_of_the_batch() -> None:
    module, targets = head(center_radius=None), [target((10.0, 10.0, 34.0, 33.0)), target((2.0, 2.0, 90.0, 60.0))]
    locations = module.locations(GRIDS, batch(2))
    counts = torch.tensor([float((rows >= 0).sum()) for rows in module.assignment((), locations, batch(2), targets)])
    assert counts[0] != counts[1]
    outputs = (torch.randn(2, 120, 3), torch.rand(2, 120, 4) * 20, torch.randn(2, 120))
    together = module.loss(outputs, locations, batch(2), targets)
    alone = [
        module.loss(tuple(part[image : image + 1] for part in outputs), locations, batch(), targets[image : image + 1]) for image in (0, 1)
    ]
    for name, loss in together.items():
        assert_close(loss, (alone[0][name] * counts[0] + alone[1][name] * counts[1]) / counts.sum())


def test_scores() -> None:
    outputs = (torch.tensor([[[0.0, -3.5]]]), torch.zeros(1, 1, 4), torch.tensor([[1.0]]))
    classes, central = torch.tensor([[[0.0, -3.5]]]).sigmoid(), torch.tensor(1.0).sigmoid()
    assert_close(head().scores(outputs), (classes * central).sqrt())
    assert_close(head(score_rule="product").scores(outputs), classes * central)
    rare = head(score_rule="product", min_class_score=0.05).scores(outputs)
    assert rare[0, 0, 1] == 0
    assert_close(rare[0, 0, 0], 0.5 * central)


def test_detections_are_boxes_around_points() -> None:
    module, targets = head(postprocess=PostprocessConfig(min_score=0.3)), [target((10.0, 10.0, 34.0, 33.0))]
    (detections,) = module.detect(perfect_outputs(module, targets, confidence=3.0), module.locations(GRIDS, batch()), batch(), None)
    assert_close(detections.boxes, targets[0].boxes)
    assert detections.labels.tolist() == [2]


def test_unsupported_channels_are_rejected() -> None:
    with pytest.raises(ValueError, match="model.head: expected the same channels on every level"):
        FCOSHeadConfig().build((32, 64), (8, 16), 3)
    with pytest.raises(ValueError, match="expected a multiple of 32 channels, got 48"):
        FCOSHeadConfig().build((48, 48), (8, 16), 3)


def test_atss_replaces_the_assignment() -> None:
    module, targets = head(atss_top_k=9, offset=0.5), [target((2.0, 2.0, 46.0, 46.0), (48.0, 10.0, 92.0, 60.0)), Targets.empty()]
    locations = module.locations(GRIDS, batch(2))
    anchors = [torch.cat((level - side / 2, level + side / 2), 1) for level, side in zip(locations, (64, 128), strict=True)]
    expected = [match_atss(anchors, rows, top_k=9) for rows in targets]
    assert_close(module.assignment((), locations, batch(2), targets), expected)
    assert set(expected[0].tolist()) == {-1, 0, 1}
    right = module.loss(perfect_outputs(module, targets, confidence=30.0), locations, batch(2), targets)
    assert_close(torch.stack([right["class"], right["box"]]), torch.zeros(2), atol=1e-5, rtol=0)
