"""CVAT's XML: every shape is read or counted, labels give the classes, subsets the splits, and tracks the frames of a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from detkit.data import DetectionData, SourceConfig, read_source, splits_of
from detkit.data.readers import ReadOptions, recognize
from detkit.data.readers.cvat.reader import CvatReader

BOX = '<box label="cat" occluded="0" xtl="10.5" ytl="20" xbr="50.25" ybr="60" z_order="0"{}>{}</box>'
LABELS = "".join(f"<label><name>{name}</name><color>#fff</color></label>" for name in ("dog", "cat", "cow"))
PART = '<label><name>paw</name><parent>cat</parent></label><label><name>unused &gt; "x"</name></label>'


def image_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 80), (9, 9, 9)).save(path)


def element(shapes: str = BOX.format("", ""), name: str = "a.jpg", number: str = "0", extra: str = "") -> str:
    return f'<image id="{number}" name="{name}" {extra} width="100" height="80">{shapes}</image>'


def cvat(path: Path, content: str, labels: str = LABELS, images: tuple[str, ...] = ("images/a.jpg",)) -> Path:
    for name in images:
        image_file(path.parent / name)
    meta = f"<meta><task><labels>{labels}</labels><original_size><width>100</width><height>80</height></original_size></task></meta>"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<!-- made -->\n<annotations><version>1.1</version>{meta}{content}</annotations>'
    )
    return path


def read(path: Path, **fields: Any) -> DetectionData:
    return read_source(SourceConfig(path=str(path), **fields))


def stored(data: DetectionData) -> list[Any]:
    rows = data.records.segmentations
    return [None] * len(data.records.boxes) if rows is None else [rows.stored(row) for row in range(len(rows))]


@pytest.mark.parametrize("place", ["annotations.xml", "annotations/task.xml"])
def test_images_and_labels(tmp_path: Path, place: str) -> None:
    images = ("sub/a.jpg", "b &amp; c.jpg")
    path = cvat(tmp_path / place, element(name=images[0], number="8") + element("", images[1], "3"), LABELS + PART, images=())
    for name in ("sub/a.jpg", "b & c.jpg"):
        image_file(tmp_path / "images" / name)
    for source in (tmp_path, path):
        assert recognize(source).kind == "cvat"
        data = read(source)
        assert data.class_names == ("dog", "cat", "cow", 'unused > "x"')
        assert_allclose(data.records.boxes, [[10.5, 20, 50.25, 60]])
        assert data.records.image_ids == (8, 3)
        assert data.records.lengths.tolist() == [1, 0]
        assert Path(data.image_root) == tmp_path / "images"
        assert data.report.totals() == {}


def test_classes_without_a_list_are_sorted(tmp_path: Path) -> None:
    path = cvat(tmp_path / "annotations.xml", element(BOX.format("", "").replace("cat", "owl") + BOX.format("", "")), labels="")
    assert read(path).class_names == ("cat", "owl")


def test_equal_ids_of_several_tasks_are_replaced_by_names(tmp_path: Path) -> None:
    names = ("images/a.jpg", "images/b.jpg")
    data = read(cvat(tmp_path / "annotations.xml", element() + element(name="b.jpg"), images=names))
    assert data.records.image_ids == ("a.jpg", "b.jpg")


def test_every_shape(tmp_path: Path) -> None:
    shapes = (
        BOX.format(' rotation="90"', ""),
        BOX.format(' rotation="180.0"', ""),
        '<polygon label="dog" points="1.5,2.00;30,2;30,40.25"></polygon>',
        '<ellipse label="cow" cx="50" cy="40" rx="20" ry="10" rotation="90"/>',
        '<mask label="dog" rle="1, 2, 3" left="97" top="4" width="3" height="2"/>',
        '<polyline label="dog" points="1,2;3,4"/><points label="dog" points="1,2"/><tag label="dog"/><skeleton label="cat"/><cuboid/>',
    )
    data = read(cvat(tmp_path / "annotations.xml", element("".join(shapes))))
    turned = [30.375 - 20, 40 - 19.875, 30.375 + 20, 40 + 19.875]
    expected = [turned, [10.5, 20, 50.25, 60], [1.5, 2, 30, 40.25], [40, 20, 60, 60], [97, 4, 100, 6]]
    assert_allclose(data.records.boxes, expected, rtol=1e-6)
    assert [data.class_names[label] for label in data.records.labels] == ["cat", "cat", "dog", "cow", "dog"]
    assert data.report.totals() == {"turned": 1, "polygon": 1, "ellipse": 1, "mask": 1, "unread_shape": 5}
    values = stored(data)
    assert values[:4] == [None, None, [[1.5, 2, 30, 2, 30, 40.25]], None]
    assert sum(values[4]["counts"]) == 100 * 80


@pytest.mark.oracle("pycocotools", "masks of CVAT's files", tolerance="equal")
@pytest.mark.parametrize("seed", range(5))
def test_masks_are_those_of_coco(tmp_path: Path, seed: int) -> None:
    """The runs of CVAT go along rows of a rectangle, those of COCO along columns of the image."""
    mask = pytest.importorskip("pycocotools.mask")
    random = np.random.default_rng(seed)
    array = np.zeros((80, 100), np.bool_)
    height, width = (80, 100) if seed == 0 else (int(random.integers(1, 30)), int(random.integers(1, 30)))
    top, left = (0, 0) if seed == 0 else (80 - height, 100 - width) if seed == 1 else (7, 11)
    crop = random.random((height, width)) < (1.1 if seed == 2 else 0.5)
    array[top : top + height, left : left + width] = crop
    edges = np.flatnonzero(np.diff(crop.reshape(-1).astype(int), prepend=0))
    runs = np.diff([0, *edges, crop.size])
    shape = f'<mask label="cat" rle="{", ".join(map(str, runs))}" left="{left}" top="{top}" width="{width}" height="{height}"/>'
    value = stored(read(cvat(tmp_path / "annotations.xml", element(shape))))[0]
    assert_array_equal(mask.decode(mask.frPyObjects(value, *value["size"])), array)


def test_attributes_that_are_flags(tmp_path: Path) -> None:
    def attribute(name: str, value: str) -> str:
        return f'<attribute name="{name}">{value}</attribute>'

    shapes = BOX.format("", attribute("difficult", "true")) + BOX.format("", attribute("is_crowd", "1") + attribute("color", "red"))
    records = CvatReader().read(cvat(tmp_path / "annotations.xml", element(shapes)), ReadOptions()).records
    assert (records.is_difficult.tolist(), records.is_crowd.tolist()) == ([True, False], [False, True])


def test_subsets_are_splits(tmp_path: Path) -> None:
    images = [element(name=f"{name}.jpg", number=str(n), extra=extra) for n, (name, extra) in enumerate(SUBSETS.items())]
    cvat(tmp_path / "annotations.xml", "".join(images), images=tuple(f"images/{name}.jpg" for name in SUBSETS))
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("Train", "Validation & more", "default")
    for split, names in (("train", ["a"]), ("Validation & more", ["b", "d"]), ("default", ["c"])):
        data = read(tmp_path, split=split)
        assert [Path(path).stem for path in data.records.paths] == names
        assert data.class_names == ("dog", "cat", "cow")


SUBSETS = {
    "a": 'subset="Train"',
    "b": "subset = 'Validation &amp; more'",
    "c": 'task="a > b subset=x"',
    "d": 'subset="Validation &amp; more"',
}


def test_several_files_are_splits(tmp_path: Path) -> None:
    for part in ("train", "val"):
        cvat(tmp_path / part / "annotations.xml", element(name=f"{part}.jpg"), images=(f"{part}.jpg",))
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("train", "val")
    assert [Path(path).name for path in read(tmp_path, split="val").records.paths] == ["val.jpg"]


def test_tracks_of_a_video(tmp_path: Path) -> None:
    box = '<box frame="{}" outside="{}" occluded="0" keyframe="1" xtl="{}" ytl="2" xbr="50" ybr="60"></box>'
    tracks = f'<track id="0" label="cat">{box.format(0, 0, 1)}{box.format(1, 0, 3)}{box.format(2, 1, 3)}</track>'
    tracks += f'<track id="1" label="dog">{box.format(1, 0, 9)}<points frame="1" outside="0" points="1,2"/></track>'
    frames = tuple(f"images/frame_{number:06d}.PNG" for number in range(4))
    path = cvat(tmp_path / "annotations.xml", tracks, images=frames)
    data = read(path)
    assert data.records.image_ids == (0, 1, 2, 3)
    assert data.records.boxes[:, 0].tolist() == [1, 3, 9]
    assert data.records.lengths.tolist() == [1, 2, 0, 0]
    assert data.report.totals() == {"unread_shape": 1, "missing_size": 1}
    for frame in frames:
        (tmp_path / frame).unlink()
    with pytest.raises(ValueError, match=r"it labels a video by frame, and none of its frames is below .* frame_000000\.png"):
        read(path)


def test_voc_labels_are_not_taken_for_those_of_cvat(tmp_path: Path) -> None:
    cvat(tmp_path / "annotations.xml", element())
    (tmp_path / "other.xml").write_text("<annotation/>")
    assert recognize(tmp_path).kind == "voc"
    with pytest.raises(ValueError, match="as CVAT writes; move it into a folder without Pascal VOC files"):
        read(tmp_path)


WRONG = {
    "no name": (element(name=""), "image '0' has no name; expected the name of its file"),
    "no label": (element('<box xtl="1" ytl="1" xbr="9" ybr="9"/>'), "image 'a.jpg', shape 1 has no label; expected its class"),
    "no number": (element('<box label="cat" xtl="1" ytl="1" xbr="9"/>'), r"shape 1 \(cat\): ybr: expected a number, got nothing"),
    "a word": (element(BOX.format("", "").replace('"20"', '"x"')), r"shape 1 \(cat\): ytl: expected a number, got 'x'"),
    "infinite rotation": (element(BOX.format(' rotation="inf"', "")), "rotation: expected degrees, got inf"),
    "two points": (element('<polygon label="cat" points="1,2;3,4"/>'), r"expected points x,y;x,y;\.\.\. of a polygon, got '1,2;3,4'"),
    "odd points": (element('<polygon label="cat" points="1,2;3,4;5"/>'), "of a polygon, got"),
    "short mask": (element('<mask label="cat" rle="1, 2" left="0" top="0" width="2" height="2"/>'), "expected runs of 4 pixels in all"),
    "large mask": (element(f'<mask label="cat" rle="{10**18}" left="0" top="0" width="{10**9}" height="{10**9}"/>'), "at most 178,956,970"),
    "negative runs": (element('<mask label="cat" rle="8, -4" left="0" top="0" width="2" height="2"/>'), "expected runs of 4 pixels"),
    "flag": (element(BOX.format("", '<attribute name="difficult">very</attribute>')), "difficult: expected 0 or 1, got 'very'"),
    "frame": ('<track id="4" label="cat"><box frame="x"/></track>', "track '4': frame or outside: expected a whole number"),
    "no images": ("", "it lists no images; expected at least one"),
    "damaged": ("<image", "not readable XML"),
    "entities": ("&amp;&nothing;", "not readable XML"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(tmp_path: Path, name: str) -> None:
    content, message = WRONG[name]
    path = cvat(tmp_path / "annotations.xml", content)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_boxes_that_are_no_boxes_are_counted(tmp_path: Path) -> None:
    boxes = [BOX.format("", "").replace("10.5", number) for number in ("nan", "1e400", "90", "0")]
    data = read(cvat(tmp_path / "annotations.xml", element("".join(boxes))))
    assert data.report.totals() == {"not_finite": 2, "degenerate": 1}


def test_memory_bombs_are_refused(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE annotations [<!ENTITY e0 "x">{entities}]>'
    path = tmp_path / "annotations.xml"
    path.write_text(f'{bomb}<annotations><image name="a.jpg">&e11;</image></annotations>')
    with pytest.raises(ValueError, match=r"annotations\.xml"):
        read(path)
