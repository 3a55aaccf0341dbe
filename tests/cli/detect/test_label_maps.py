"""``--label-maps``: the class of each pixel as images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from detkit.cli.detect.label_map_writer import LabelMapWriter
from detkit.cli.detect.results import ImageResult
from detkit.structures.detection import DetectionArrays
from detkit.structures.label_maps import class_masks

SIZE = (6, 9)


def detector(segments: bool = True) -> SimpleNamespace:
    return SimpleNamespace(class_names=("cat", None, "dog"), runtime=SimpleNamespace(info=SimpleNamespace(segments=segments)))


def result(labels: np.ndarray, values: list[int], path: Path) -> ImageResult:
    masks = class_masks(labels, values)
    rows = DetectionArrays(masks.boxes, np.ones(len(values), np.float32), np.array(values, np.int64), None, None, masks)
    return ImageResult(str(path), SIZE, rows)


def test_values_are_the_lines_of_the_list_and_0_is_background(tmp_path: Path) -> None:
    writer = LabelMapWriter(str(tmp_path / "maps"))
    writer.begin(detector())
    labels = np.full(SIZE, 3, np.uint8)
    labels[:2], labels[4:, 5:] = 0, 2
    writer.add(result(labels, [2, 0], tmp_path / "a.jpg"), None)
    writer.add(result(labels, [], tmp_path / "other" / "a.png"), None)
    assert (tmp_path / "maps" / "classes.txt").read_text() == "cat\n?\ndog\n"
    with Image.open(tmp_path / "maps" / "a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), np.where(labels == 3, 0, labels + 1))
        assert image.convert("RGB").getpixel((8, 3)) == (0, 0, 0)
    with Image.open(tmp_path / "maps" / "a-2.png") as image:
        assert not np.asarray(image).any()
    assert writer.written == 2


def test_a_model_that_detects_objects_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--label-maps: expected a model for semantic segmentation, got one that detects objects"):
        LabelMapWriter(str(tmp_path / "maps")).begin(detector(segments=False))
    with pytest.raises(ValueError, match="--label-maps"):
        LabelMapWriter(str(tmp_path)).begin(SimpleNamespace(class_names=()))


def test_a_folder_that_is_not_empty_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"")
    with pytest.raises(ValueError, match="--label-maps"):
        LabelMapWriter(str(tmp_path))
