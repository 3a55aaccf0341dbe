"""Masks survive every command that rewrites a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detkit.curation import convert
from detkit.curation.merge import merge_parts
from detkit.curation.output import OutputOptions, write_parts
from detkit.curation.parts import read_parts
from detkit.curation.subset import SubsetOptions, subset_parts
from detkit.curation.tile import TileOptions, tile_parts
from detkit.data import ImageRecord, SourceConfig, make_sample, read_source
from detkit.data.mask_pixels import mask_pixels


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masks") / "sample"
    make_sample(folder, 5, seed=4, short_side=96, val_images=1, masks=True)
    return folder


def arrays(record: ImageRecord) -> np.ndarray:
    masks = mask_pixels(record.targets.segmentations, len(record.targets), record.size)
    assert masks.present.all()
    return masks.arrays(record.size)


def by_name(folder: Path) -> dict[str, np.ndarray]:
    data = read_source(SourceConfig(path=str(folder), split="train"))
    return {Path(record.path).stem: arrays(record) for record in data.records}


@pytest.mark.parametrize("kind", ["coco", "yolo", "voc", "labelme", "cvat", "label_studio"])
def test_converted_masks_have_the_same_pixels(kind: str, sample: Path, tmp_path: Path) -> None:
    written = convert(sample, tmp_path / kind, kind, polygons=True)
    assert not [text for text in written.lost if "masks" in text]
    expected, found = by_name(sample), by_name(tmp_path / kind)
    assert found.keys() == expected.keys()
    for name, masks in expected.items():
        np.testing.assert_array_equal(found[name], masks, err_msg=name)


def test_without_polygons_masks_are_counted_as_lost(sample: Path, tmp_path: Path) -> None:
    written = convert(sample, tmp_path / "yolo", "yolo")
    count = len(read_source(SourceConfig(path=str(sample), split="train")).records.labels)
    count += len(read_source(SourceConfig(path=str(sample), split="val")).records.labels)
    assert written.lost["masks (run lengths), which --polygons writes instead of the boxes"] == count


def test_merged_and_selected_images_keep_their_masks(sample: Path, tmp_path: Path) -> None:
    parts = read_parts(SourceConfig(path=str(sample)))
    convert(sample, tmp_path / "other", "coco")
    other = subset_parts(read_parts(SourceConfig(path=str(tmp_path / "other"))), SubsetOptions(images=2)).data
    merged = merge_parts([parts, other]).data
    write_parts(merged, tmp_path / "merged", OutputOptions(kind="coco"))
    expected, found = by_name(sample), by_name(tmp_path / "merged")
    assert len(found) > len(expected)
    for name, masks in found.items():
        np.testing.assert_array_equal(masks, expected[name[: len("sample_00000")]], err_msg=name)


def test_tiles_have_the_parts_of_masks_that_they_show(sample: Path, tmp_path: Path) -> None:
    parts = read_parts(SourceConfig(path=str(sample)))
    options = TileOptions(size=(60, 50), overlap=0.2, min_visibility=0.0, partial="drop")
    write_parts(tile_parts(parts, options).data, tmp_path / "tiles", OutputOptions(kind="coco"))
    whole, checked = by_name(sample), 0
    for record in read_source(SourceConfig(path=str(tmp_path / "tiles"), split="train")).records:
        stem, x, y = Path(record.path).stem.rsplit("_", 2)
        cut = whole[stem][:, int(y) : int(y) + record.size[0], int(x) : int(x) + record.size[1]]
        cut, masks = cut[cut.any((1, 2))], arrays(record)
        np.testing.assert_array_equal(masks, cut)
        boxes = mask_pixels(record.targets.segmentations, len(record.targets), record.size).boxes
        np.testing.assert_allclose(record.targets.boxes.numpy(), boxes, atol=1e-3)
        checked += len(masks)
    assert checked > 8


def test_polygons_are_clipped_to_tiles_with_their_boxes(sample: Path, tmp_path: Path) -> None:
    convert(sample, tmp_path / "polygons", "labelme", polygons=True)
    parts = read_parts(SourceConfig(path=str(tmp_path / "polygons")))
    options = TileOptions(size=(60, 50), overlap=0.2, min_visibility=0.0, partial="drop")
    for _, part in tile_parts(parts, options).data:
        for record in part.data.records:
            masks = mask_pixels(record.targets.segmentations, len(record.targets), record.size)
            np.testing.assert_allclose(record.targets.boxes.numpy(), masks.boxes, atol=1.01)
