"""Label maps as folders of images, and VOC's images of the numbers of objects."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detkit.data import SourceConfig, read_source
from detkit.data.mask_pixels import mask_pixels
from detkit.data.records import DetectionData
from detkit.data.sources import splits_of
from detkit.structures.label_maps import IGNORED, target_map

SIZE = (12, 20)


def label_values() -> np.ndarray:
    values = np.zeros(SIZE, np.uint8)
    values[2:6, 3:9], values[4:10, 12:18], values[0], values[11, 5:7] = 1, 2, 255, 2
    return values


def save(path: Path, values: np.ndarray, palette: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette:
        image.putpalette([7 * index % 256 for index in range(768)])
    image.save(path)


def image_file(path: Path) -> None:
    save(path, np.zeros((*SIZE, 3), np.uint8), palette=False)


def folder(root: Path, classes: str | None = "cat\ndog\n") -> Path:
    image_file(root / "images" / "a.jpg")
    image_file(root / "images" / "sub" / "b.png")
    image_file(root / "images" / "c.png")
    save(root / "masks" / "a.png", label_values())
    save(root / "masks" / "sub" / "b.png", np.zeros(SIZE, np.uint8), palette=False)
    if classes is not None:
        (root / "classes.txt").write_text(classes)
    return root


def map_of(data: DetectionData, index: int, fill: int) -> np.ndarray:
    record = data.records[index]
    masks = mask_pixels(record.targets.segmentations, len(record.targets), record.size)
    return target_map(record.targets.replace(masks=masks), record.size, fill)


def test_a_folder_of_label_maps_is_read_and_given_back(tmp_path: Path) -> None:
    data = read_source(SourceConfig(path=str(folder(tmp_path))))
    assert data.class_names == ("cat", "dog")
    assert data.records.image_ids == ("a.jpg", "sub/b.png")
    assert data.report.totals() == {"no_label_map": 1, "ignored_class": 1}
    assert data.records.lengths.tolist() == [3, 0]
    assert data.records.is_ignore.tolist() == [False, False, True]
    np.testing.assert_array_equal(data.records.boxes[:2], [[3, 2, 9, 6], [5, 4, 18, 12]])
    values = label_values()
    expected = np.where(values == 255, IGNORED, np.where(values == 0, 2, values.astype(int) - 1))
    np.testing.assert_array_equal(map_of(data, 0, fill=2), expected)
    assert (map_of(data, 1, fill=2) == 2).all()
    copy = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(map_of(copy, 0, fill=2), expected)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [("background\ncat\ndog\n", {1: "cat", 2: "dog"}), ("2 dog\n1: a cat\n0 background\n", {1: "a cat", 2: "dog"})],
)
def test_lists_can_name_the_values(classes: str, expected: dict[int, str], tmp_path: Path) -> None:
    data = read_source(SourceConfig(path=str(folder(tmp_path, classes))))
    record = data.records[0]
    names = [data.class_names[label] for label in record.targets.labels[:2].tolist()]
    assert sorted(names) == sorted(expected.values())
    assert names[0] == expected[1]


def test_a_class_can_have_value_0(tmp_path: Path) -> None:
    data = read_source(SourceConfig(path=str(folder(tmp_path, "0 road\n1 cat\n2 dog\n"))))
    assert set(np.unique(map_of(data, 0, fill=IGNORED)).tolist()) == {0, 1, 2, IGNORED}
    assert data.class_names == ("road", "cat", "dog")


COLORS = {0: (0, 0, 0), 1: (128, 64, 128), 2: (70, 70, 70), 255: (224, 224, 192)}
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,64,128::\n dog : 70, 70, 70 \nvoid:224,224,192::\n"


def colored(root: Path, mode: str = "RGB", labelmap: str = LABELMAP) -> Path:
    """Label maps of colors: images of colors, or with a palette whose numbers mean nothing."""
    root = folder(root, None)
    values, pixels = label_values(), np.zeros((*SIZE, 3), np.uint8)
    for value, color in COLORS.items():
        pixels[values == value] = color
    Image.fromarray(pixels).convert(mode, palette=Image.Palette.ADAPTIVE).save(root / "masks" / "a.png")
    (root / "labelmap.txt").write_text(labelmap)
    return root


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colors_are_classes_by_their_list(mode: str, tmp_path: Path) -> None:
    data = pickle.loads(pickle.dumps(read_source(SourceConfig(path=str(colored(tmp_path, mode))))))
    assert data.class_names == ("cat", "dog")
    np.testing.assert_array_equal(map_of(data, 0, fill=2), np.where(label_values() == 255, IGNORED, (label_values().astype(int) - 1) % 3))
    assert (map_of(data, 1, fill=2) == 2).all()


@pytest.mark.parametrize(
    ("labelmap", "message"),
    [
        ("cat:128,64,128\n", r"masks/a.png: color 224,224,192 is none of the 1 of the classes; add it .* or as ignore:224,224,192"),
        ("cat 128,64,128\n", r"labelmap.txt: line 1: expected name:red,green,blue with numbers from 0 to 255, got 'cat 128,64,128'"),
        ("cat:128,64,300\n", "line 1: expected name:red,green,blue"),
        ("cat:1,2,3\ndog:1,2,3\n", "line 2: color 1,2,3 is that of another class"),
        ("background:0,0,0\n", "expected classes with their colors"),
    ],
)
def test_wrong_lists_of_colors_are_one_clear_error(labelmap: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_source(SourceConfig(path=str(colored(tmp_path, labelmap=labelmap))))


def test_splits_are_folders(tmp_path: Path) -> None:
    for split in ("train", "val"):
        image_file(tmp_path / "one" / "images" / split / "a.jpg")
        save(tmp_path / "one" / "masks" / split / "a.png", label_values())
        folder(tmp_path / "two" / split, None)
    for root in (tmp_path / "one", tmp_path / "two"):
        (root / "classes.txt").write_text("cat\ndog\n")
        assert splits_of(SourceConfig(path=str(root))) == ("train", "val")
        data = read_source(SourceConfig(path=str(root), split="val"))
        assert data.records.lengths[0] == 3


def test_vocs_class_maps_are_read_by_their_folder(tmp_path: Path) -> None:
    image_file(tmp_path / "JPEGImages" / "2007_1.jpg")
    image_file(tmp_path / "JPEGImages" / "2007_2.jpg")
    save(tmp_path / "SegmentationClass" / "2007_1.png", label_values() * np.uint8(1))
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text("2007_1\n")
    data = read_source(SourceConfig(path=str(tmp_path / "SegmentationClass"), split="train"))
    assert (len(data), data.class_names[:2], len(data.class_names)) == (1, ("aeroplane", "bicycle"), 20)


def test_vocs_objects_have_the_masks_of_their_numbers(tmp_path: Path) -> None:
    image_file(tmp_path / "JPEGImages" / "1.jpg")
    boxes = {"cat": (4, 3, 9, 6), "dog": (13, 5, 18, 10), "cow": (1, 1, 3, 3)}
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, (x1, y1, x2, y2) in boxes.items()
    )
    (tmp_path / "Annotations").mkdir()
    size = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height></size>"
    (tmp_path / "Annotations" / "1.xml").write_text(f"<annotation><filename>1.jpg</filename>{size}{objects}</annotation>")
    values = label_values()
    values[11] = 0
    save(tmp_path / "SegmentationObject" / "1.png", values)
    data = read_source(SourceConfig(path=str(tmp_path)))
    targets = data.records[0].targets
    masks = mask_pixels(targets.segmentations, 3, SIZE)
    assert [data.class_names[label] for label in targets.labels.tolist()] == ["cat", "dog", "cow"]
    np.testing.assert_array_equal(masks.boxes[:2], targets.boxes[:2].numpy())
    assert masks.areas.tolist() == [24, 36, 0]
    assert targets.segmentations is not None
    assert targets.segmentations.is_mask.all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "classes.txt").unlink(), "expected .*classes.txt with the classes of the values"),
        (
            lambda root: (root / "classes.txt").write_text("cat\n"),
            "value 2 is no class; expected 0, 255, or a value of the list of classes: 1",
        ),
        (
            lambda root: image_file(root / "masks" / "a.png"),
            "got colors \\(RGB\\); save numbers instead, or, if colors are classes, state them in labelmap.txt",
        ),
        (lambda root: (root / "masks" / "a.png").write_bytes(b"no image"), "a.png: the mask image cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(change: object, message: str, tmp_path: Path) -> None:
    root = folder(tmp_path)
    change(root)
    with pytest.raises(ValueError, match=message):
        read_source(SourceConfig(path=str(root)))


def test_a_label_map_of_another_size_is_reported(tmp_path: Path) -> None:
    root = folder(tmp_path)
    save(root / "masks" / "a.png", np.ones((5, 5), np.uint8))
    with pytest.raises(ValueError, match="another size than the file has: 1 .*5x5 is stated, the file has 20x12"):
        read_source(SourceConfig(path=str(root)))


def test_a_label_map_that_is_gone_is_an_error_when_a_sample_is_made(tmp_path: Path) -> None:
    data = read_source(SourceConfig(path=str(folder(tmp_path))))
    (tmp_path / "masks" / "a.png").unlink()
    with pytest.raises(ValueError, match="the mask image cannot be read"):
        map_of(data, 0, fill=2)
