from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from detkit.backbones import BackboneConfig
from detkit.config import ConfigError
from detkit.heads.class_layout import ClassLayout
from detkit.heads.yolov1 import YOLOv1Head, YOLOv1HeadConfig
from detkit.models import presets
from detkit.models.yolov1 import YOLOv1Config
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Targets

S, B, K, SIDE = 7, 2, 3, 448


@pytest.fixture
def head() -> YOLOv1Head:
    torch.manual_seed(0)
    return YOLOv1HeadConfig(hidden=(16,)).build((4,), (64,), K, (SIDE, SIDE)).eval()


def batch(count: int) -> Batch:
    return Batch(torch.zeros(count, 3, SIDE, SIDE), ((SIDE, SIDE),) * count)


def cells(head: YOLOv1Head, count: int = 1) -> list[torch.Tensor]:
    return head.locations([(S, S)], batch(count))


def random_targets(generator: torch.Generator, count: int) -> Targets:
    corners = torch.rand(count, 2, generator=generator) * 300
    boxes = torch.cat((corners, corners + 10 + torch.rand(count, 2, generator=generator) * 130), 1)
    return Targets.of(boxes, torch.randint(K, (count,), generator=generator))


def iou(first: list[float], second: list[float]) -> float:
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def reference_loss(classes: torch.Tensor, confidences: torch.Tensor, coordinates: torch.Tensor, targets: Targets) -> float:
    """Compute equation 3 in plain loops over cells i and boxes j, relative to the cell (x, y) or the image (w, h)."""
    side, total = SIDE / S, 0.0
    objects: dict[int, tuple[list[float], int]] = {}
    for box, label in zip(targets.boxes.tolist(), targets.labels.tolist(), strict=True):
        cell = int((box[1] + box[3]) / 2 // side) * S + int((box[0] + box[2]) / 2 // side)
        objects.setdefault(cell, (box, label))
    for i in range(S * S):
        column, row = i % S, i // S
        predicted, corners = [], []
        for j in range(B):
            x, y, root_w, root_h = coordinates[i * B + j].tolist()
            predicted.append((x, y, root_w, root_h))
            center_x, center_y, w, h = (column + x) * side, (row + y) * side, root_w**2 * SIDE, root_h**2 * SIDE
            corners.append([center_x - w / 2, center_y - h / 2, center_x + w / 2, center_y + h / 2])
        responsible = None
        if i in objects:
            truth, label = objects[i]
            overlaps = [iou(box, truth) for box in corners]
            responsible = max(range(B), key=lambda j: overlaps[j])
            x = (truth[0] + truth[2]) / 2 / side - column
            y = (truth[1] + truth[3]) / 2 / side - row
            root_w, root_h = math.sqrt((truth[2] - truth[0]) / SIDE), math.sqrt((truth[3] - truth[1]) / SIDE)
            own = predicted[responsible]
            total += 5 * ((own[0] - x) ** 2 + (own[1] - y) ** 2)
            total += 5 * ((own[2] - root_w) ** 2 + (own[3] - root_h) ** 2)
            total += (float(confidences[i * B + responsible]) - overlaps[responsible]) ** 2
            total += sum((float(classes[i, c]) - (c == label)) ** 2 for c in range(K))
        for j in range(B):
            if j != responsible:
                total += 0.5 * float(confidences[i * B + j]) ** 2
    return total


def test_loss_matches_equation_3(head: YOLOv1Head) -> None:
    generator = torch.Generator().manual_seed(3)
    targets = [random_targets(generator, 12), random_targets(generator, 4), Targets.empty()]
    outputs = (
        torch.randn(3, S * S, K, generator=generator),
        torch.randn(3, S * S * B, generator=generator),
        0.3 + 0.3 * torch.rand(3, S * S * B, 4, generator=generator),
    )
    losses = head.loss(outputs, cells(head, 3), batch(3), targets)
    expected = sum(reference_loss(*(tensor[image] for tensor in outputs), rows) for image, rows in enumerate(targets)) / 3
    assert set(losses) == {"box", "confidence", "class"}
    assert_close(float(sum(losses.values())), expected, rtol=1e-5, atol=0)


def test_perfect_predictions_have_no_loss_and_are_detected(head: YOLOv1Head) -> None:
    targets = Targets.of(torch.tensor([[10.0, 20.0, 100.0, 200.0], [300.0, 310.0, 420.0, 400.0]]), torch.tensor([2, 0]))
    classes, confidences, coordinates = torch.zeros(1, S * S, K), torch.zeros(1, S * S * B), torch.full((1, S * S * B, 4), 0.1)
    for box, label in zip(targets.boxes, targets.labels, strict=True):
        x, y, w, h = (box[0] + box[2]) / 128, (box[1] + box[3]) / 128, (box[2] - box[0]) / SIDE, (box[3] - box[1]) / SIDE
        cell = int(y) * S + int(x)
        classes[0, cell, label] = confidences[0, cell * B + 1] = 1.0
        coordinates[0, cell * B + 1] = torch.stack((x % 1, y % 1, w.sqrt(), h.sqrt()))
    outputs = (classes, confidences, coordinates)
    assert float(sum(head.loss(outputs, cells(head), batch(1), [targets]).values())) < 1e-9
    (detections,) = head.detect(outputs, cells(head), batch(1), None)
    order = detections.labels.argsort(descending=True)
    assert_close(detections.boxes[order], targets.boxes, atol=1e-3, rtol=0)
    assert_close(detections.scores, torch.ones(2))


def assignment(head: YOLOv1Head, targets: Targets, coordinates: torch.Tensor | None = None) -> torch.Tensor:
    coordinates = torch.full((1, S * S * B, 4), 0.2) if coordinates is None else coordinates
    outputs = (torch.zeros(1, S * S, K), torch.zeros(1, S * S * B), coordinates)
    return head.assignment(outputs, cells(head), batch(1), [targets])[0]


def test_one_object_and_one_responsible_box_per_cell(head: YOLOv1Head) -> None:
    same_cell = Targets.of(torch.tensor([[0.0, 0.0, 50.0, 50.0], [10.0, 10.0, 60.0, 60.0]]), torch.tensor([0, 1]))
    rows = assignment(head, same_cell)
    assert rows.tolist() == [0, *[BACKGROUND] * (S * S * B - 1)]


def test_nearest_box_is_responsible_without_overlap(head: YOLOv1Head) -> None:
    coordinates = torch.full((1, S * S * B, 4), 0.1)
    coordinates[0, 0, :2], coordinates[0, 1, :2] = -4.0, -2.0
    far = Targets.of(torch.tensor([[20.0, 20.0, 40.0, 40.0]]), torch.tensor([0]))
    assert assignment(head, far, coordinates)[:2].tolist() == [BACKGROUND, 0]


def test_cells_inside_a_crowd_are_ignored(head: YOLOv1Head) -> None:
    boxes = torch.tensor([[0.0, 0.0, 192.0, 64.0], [5.0, 5.0, 50.0, 50.0]])
    crowd = Targets.of(boxes, torch.tensor([0, 1]), is_crowd=torch.tensor([True, False]))
    assert assignment(head, crowd)[:8].tolist() == [1, IGNORE, *[IGNORE] * 4, BACKGROUND, BACKGROUND]


def test_layer_counts_of_both_published_networks() -> None:
    for config, convolutions in ((presets.yolov1(), 24), (presets.yolov1_tiny(), 9)):
        with torch.device("meta"):
            detector = config.build(20)
        assert sum(isinstance(part, torch.nn.Conv2d) for part in detector.modules()) == convolutions
        assert detector.head.grid == (7, 7)
        assert detector.head.last.out_features == 7 * 7 * 30


@torch.no_grad()
def test_any_backbone_and_any_size() -> None:
    config = YOLOv1Config(
        preprocess=PreprocessConfig(rule="fixed", input_size=(200, 330)), backbone=BackboneConfig(name="resnet18", weights=None)
    )
    neck = config.neck.replace(channels=(16,))
    detector = config.replace(neck=neck, head=config.head.replace(hidden=(8,))).build(2).eval()
    classes, confidences, coordinates, level = detector.raw(detector.prepare([torch.rand(3, 200, 330)]))
    assert tuple(level.shape[-2:]) == detector.head.grid == (4, 6)
    assert (classes.shape[1], confidences.shape[1], coordinates.shape[1]) == (24, 48, 48)
    (cells,) = detector.head.locations([detector.head.grid], detector.prepare([torch.rand(3, 200, 330)]))
    assert_close(cells[[0, 1, -1]], torch.tensor([[0.0, 0, 55, 50], [0, 0, 55, 50], [275, 150, 330, 200]]))


def test_variable_image_sizes_are_rejected() -> None:
    with pytest.raises(
        ConfigError, match=r"preprocess: yolov1 takes images of one size; expected the rule 'fixed'.*got the rule 'short_side'"
    ):
        YOLOv1Config(preprocess=PreprocessConfig())


@torch.no_grad()
def test_by_cell_predicts_each_cell_from_its_own_features() -> None:
    head = YOLOv1HeadConfig(hidden=(16,), by_cell=True, dropout=0.0).build((4,), (32,), K, (64, 96)).eval()
    maps = torch.randn(2, 4, 2, 3)
    outputs = head((maps,), Batch(torch.zeros(2, 3, 64, 96), ((64, 96),) * 2))
    assert [tuple(output.shape) for output in outputs] == [(2, 6, K), (2, 12), (2, 12, 4)]
    for row, column in ((0, 0), (1, 2)):
        expected = head.last(head.hidden(maps[:, :, row, column]))
        cell = row * 3 + column
        outputs_of_cell = torch.cat(
            (outputs[0][:, cell], outputs[1][:, 2 * cell : 2 * cell + 2], outputs[2][:, 2 * cell : 2 * cell + 2].flatten(1)), 1
        )
        assert_close(outputs_of_cell, expected)
    assert head.class_layout() == dict.fromkeys(("last.weight", "last.bias"), ClassLayout(groups=1, per_class=1, before=0, after=10))
    assert head.last.out_features == K + 10
