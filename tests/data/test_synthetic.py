"""The generated data set: reproducible, with fitting boxes, all flags and all formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detkit.data import SourceConfig, load_data, make_sample, read_source
from detkit.data.cutouts import CLASS_NAMES, backgrounds, cutouts
from detkit.data.mask_pixels import mask_pixels
from detkit.data.synthetic import images, make_image


def test_images_are_reproducible() -> None:
    for seed, index in ((0, 3), (0, 4), (5, 3)):
        one, other = make_image(seed, index, 96), make_image(seed, index, 96)
        np.testing.assert_array_equal(one[0], other[0])
        assert torch.equal(one[1].boxes, other[1].boxes)
    assert make_image(0, 3, 96)[0].shape != make_image(0, 4, 96)[0].shape or not np.array_equal(
        make_image(0, 3, 96)[0], make_image(0, 4, 96)[0]
    )


def test_targets_are_valid_and_every_kind_occurs() -> None:
    counts = np.zeros(len(CLASS_NAMES), int)
    empty = difficult = 0
    sizes = set()
    for image, targets in images(48, short_side=96):
        height, width = image.shape[:2]
        assert min(height, width) == 96
        sizes.add((height, width))
        targets.checked(len(CLASS_NAMES), "synthetic")
        assert (targets.boxes[:, :2] >= 0).all()
        assert (targets.boxes[:, 2] <= width).all()
        assert (targets.boxes[:, 3] <= height).all()
        assert len(targets) == 0 or (targets.boxes[:, 2:] - targets.boxes[:, :2]).min() >= 6
        counts += np.bincount(targets.labels.numpy(), minlength=len(CLASS_NAMES))
        empty += len(targets) == 0
        difficult += int(targets.is_difficult.sum())
    assert counts.min() >= 8
    assert 1 <= empty <= 14
    assert 1 <= difficult <= 25
    assert len(sizes) == 4


def test_boxes_fit_the_pasted_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a black background, the pixels that differ extend to the edges of each box, within the soft rim."""
    import detkit.data.synthetic as synthetic

    monkeypatch.setattr(synthetic, "_background", lambda random, size: np.zeros((*size, 3), np.uint8))
    checked = 0
    for image, targets in images(30, short_side=128):
        if len(targets) != 1:
            continue
        mask = image.max(2) > 40
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        measured = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=torch.float32)
        assert (measured - targets.boxes[0]).abs().max() <= 3, (measured, targets.boxes[0])
        checked += 1
    assert checked >= 3


def test_cutouts_and_backgrounds_need_no_network() -> None:
    assert {cutout.name for cutout in cutouts()} == set(CLASS_NAMES)
    for cutout in cutouts():
        assert cutout.pixels.shape[2] == 4
        assert 0.3 < (cutout.pixels[:, :, 3] > 127).mean() < 1
    assert all(image.ndim == 3 and image.dtype == np.uint8 for image in backgrounds())


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_returned_config_reads_the_sample(tmp_path: Path, kind: str) -> None:
    config = make_sample(tmp_path / "s", images=3, val_images=2, kind=kind, seed=1, short_side=64)  # type: ignore[arg-type]
    train, val = load_data(config)
    assert (len(train), len(val)) == (3, 2)
    assert {**train.report.totals(), **val.report.totals()}.keys() <= {"ignored_difficult"}
    assert set(train.class_names) <= set(CLASS_NAMES)
    assert not {path.rpartition("/")[2] for path in train.records.paths} & {path.rpartition("/")[2] for path in val.records.paths}


def test_an_existing_sample_is_not_rewritten(tmp_path: Path) -> None:
    sizes = {"images": 2, "val_images": 1, "short_side": 64}
    first = make_sample(tmp_path / "s", **sizes)  # type: ignore[arg-type]
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*")}
    assert make_sample(tmp_path / "s", **sizes) == first  # type: ignore[arg-type]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*")} == times
    with pytest.raises(ValueError, match="it exists and is not empty"):
        make_sample(tmp_path / "s", **{**sizes, "images": 3})  # type: ignore[arg-type]


def test_larger_samples_start_with_the_same_images(tmp_path: Path) -> None:
    for count in (2, 4):
        make_sample(tmp_path / str(count), images=count, val_images=1, short_side=64)
    few, many = (read_source(SourceConfig(path=str(tmp_path / str(count)), split="train")) for count in (2, 4))
    for one, other in zip(few.records, many.records, strict=False):
        assert one.path.read_bytes() == other.path.read_bytes()


@pytest.mark.parametrize("kind", ["coco", "yolo", "voc", "labelme", "cvat"])
def test_masks_are_those_of_the_visible_pixels_in_every_format_with_outlines(kind: str, tmp_path: Path) -> None:
    config = make_sample(tmp_path / kind, 3, kind, seed=1, short_side=96, val_images=1, masks=True)
    data = read_source(config.train)
    assert len(data.records.labels) >= 4
    for index, record in enumerate(data.records):
        expected = make_image(1, index, 96)[1]
        assert expected.masks is not None
        masks = mask_pixels(record.targets.segmentations, len(record.targets), record.size)
        kept = expected.masks[expected.masks.areas > 0]
        np.testing.assert_array_equal(masks.arrays(record.size), kept.arrays(record.size))
        np.testing.assert_allclose(record.targets.boxes.numpy(), kept.boxes, atol=1e-4)


def test_objects_in_front_hide_those_behind() -> None:
    overlaps = 0
    for _, targets in images(24, short_side=96):
        assert targets.masks is not None
        arrays = targets.masks.arrays((200, 200))
        assert arrays.sum(0).max() <= 1 if len(targets) else True
        overlaps += int((torch.from_numpy(targets.masks.boxes) != targets.boxes).any())
    assert overlaps


def test_a_format_without_outlines_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="masks: expected a format with outlines, such as coco, got csv"):
        make_sample(tmp_path / "new", 2, "csv", masks=True)
