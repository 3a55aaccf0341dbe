"""Masks in drawings: fills and outlines where the objects are, in the colors of their classes, at any scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detkit.drawing import draw_detections, draw_targets
from detkit.drawing.blur import blur_boxes
from detkit.drawing.boxes import MOST_LABELS
from detkit.drawing.masks import FILL, grown, outline, shrunk
from detkit.drawing.palette import color_of
from detkit.drawing.tracks import TrackDrawer
from detkit.structures import Masks, Targets
from detkit.structures.detection import DetectionArrays
from detkit.tracking.tracks import Tracks

IMAGE = np.full((300, 400, 3), 100, np.uint8)


def disk(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.asarray(x**2 + y**2 < (side / 2) ** 2)


def detections(masks: Masks | None) -> DetectionArrays:
    boxes = np.array([[50, 60, 150, 160], [200, 100, 300, 200]], np.float32)
    return DetectionArrays(boxes, np.array([0.9, 0.8], np.float32), np.array([0, 1]), ("cat", "dog"), masks=masks)


BOTH = Masks.of([(disk(100), 50, 60), (disk(100), 200, 100)])


def test_fill_and_outline() -> None:
    drawn = draw_detections(IMAGE, detections(BOTH), ("cat", "dog"))
    for center, color in (((110, 100), color_of(0)), ((150, 250), color_of(1))):
        expected = np.rint((1 - FILL) * 100 + FILL * np.array(color))
        assert drawn[center].tolist() == expected.tolist()
    first = 50 + int(np.flatnonzero(disk(100)[10])[0])
    assert drawn[70, first].tolist() == list(color_of(0))  # the outline
    assert drawn[65, 140].tolist() == [100] * 3  # in the box, but not of the mask
    assert (IMAGE == 100).all()


def test_an_enlarged_copy_has_the_masks_at_their_places() -> None:
    drawn = draw_detections(IMAGE, detections(BOTH), ("cat", "dog"), scale=3)
    assert drawn.shape == (900, 1200, 3)
    filled = (drawn[190:470, 160:445] != 100).any(2)
    expected = np.kron(disk(100), np.ones((3, 3)))[10:290, 10:295].astype(bool)
    assert (filled == expected).mean() > 0.99


def test_empty_masks_missing_masks_and_masks_at_the_border() -> None:
    masks = Masks.of([None, (disk(100), -50, 250)])
    drawn = draw_detections(IMAGE, detections(masks), ("cat", "dog"))
    assert (drawn[260:300, 0:10] != 100).any()
    assert draw_detections(IMAGE, detections(BOTH)[:0], ("cat", "dog")).tolist() == IMAGE.tolist()
    outside = Masks.of([(disk(4), 900, 900), (disk(4)[:0], 0, 0)])
    boxes = draw_detections(IMAGE, detections(outside), ("cat", "dog"))
    assert (boxes[100:150, 60:140] == 100).all()


def test_labels_stay_on_top() -> None:
    covering = Masks.of([(np.ones((300, 400), bool), 0, 0), (np.ones((300, 400), bool), 0, 0)])
    drawn = draw_detections(IMAGE, detections(covering), ("cat", "dog"))
    plain = draw_detections(IMAGE, detections(None), ("cat", "dog"))
    label = (plain[40:60, 50:110] == color_of(0)).all(2)
    assert label.sum() > 200
    assert (drawn[40:60, 50:110][label] == color_of(0)).all()


def test_many_small_masks() -> None:
    count = MOST_LABELS + 1
    corners = np.random.default_rng(0).integers(0, 290, (count, 2))
    masks = Masks.of([(np.ones((1, 1), bool), int(x), int(y)) for x, y in corners])
    rows = DetectionArrays(masks.boxes, np.full(count, 0.5, np.float32), np.zeros(count, np.int64), masks=masks)
    assert (draw_detections(IMAGE, rows, ("cat",)) != 100).any(2).sum() >= len(np.unique(corners, axis=0))


def test_targets_and_tracks() -> None:
    targets = Targets.of(torch.tensor([[50.0, 60, 150, 160], [200, 100, 300, 200]]), torch.tensor([0, 1])).replace(masks=BOTH)
    assert draw_targets(IMAGE, targets, ("cat", "dog"))[110, 100].tolist() != [100] * 3
    tracks = Tracks(detections(BOTH), np.array([7, 3]), np.arange(2))
    drawn = TrackDrawer(("cat", "dog"), trail_seconds=0).draw(IMAGE, tracks, 0.0)
    expected = [np.rint((1 - FILL) * 100 + FILL * np.array(color_of(number - 1))).tolist() for number in (7, 3)]
    assert [drawn[110, 100].tolist(), drawn[150, 250].tolist()] == expected


@pytest.mark.parametrize("width", [1, 2, 5])
def test_growing_and_shrinking(width: int) -> None:
    mask = np.random.default_rng(0).random((30, 40)) > 0.97
    expected = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        expected[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1] = True
    assert (grown(mask, width) == expected).all()
    padded = np.pad(~mask, width)
    assert (~shrunk(np.pad(mask, width), width)[width:-width, width:-width]).all() or mask.any()
    assert (outline(~mask, width) == (~mask & ~shrunk(padded, width)[width:-width, width:-width])).all()
    square = np.ones((20, 20), bool)
    assert outline(square, width).sum() == 400 - (20 - 2 * width) ** 2


def test_blurring_follows_the_mask_and_its_margin() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    boxes = detections(None).boxes
    whole, masked = blur_boxes(noise, boxes), blur_boxes(noise, boxes, masks=BOTH)
    changed = (masked != noise).any(2)
    assert changed[60:160, 50:150][disk(100)].all()
    assert not changed[60, 50]
    assert changed.sum() < (whole != noise).any(2).sum() * 0.95
    assert changed[110, 45]  # the margin
    empty = Masks.of([(disk(4)[:0], 0, 0), None])
    assert (blur_boxes(noise, boxes, masks=empty) == whole).all()  # nothing is known, so all of the box
