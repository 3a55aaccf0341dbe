"""Data sets that are written in one format after another say the same at the end."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from made_data import CLASSES, NAMES, boxes_by_name, write_coco, write_mixed

from detkit.curation import LabeledParts, convert, read_parts
from detkit.data.readers import READERS
from detkit.data.writers import WRITERS, writer
from detkit.structures import Segmentations

FORMATS = [kind for kind in WRITERS if kind in {reader.kind for reader in READERS}]
"""Formats that are read and written."""
SMALL = ((84, 78), (640, 480), (199, 333))
"""Sizes of images that are decoded, or whose masks are."""


def chain(source: Path, folder: Path, *kinds: str, **options: bool) -> LabeledParts:
    """Convert a data set to one format after another, and read the last one."""
    for number, kind in enumerate(kinds):
        target = folder / f"{number}-{kind}"
        convert(source, target, kind, **options)  # type: ignore[arg-type]
        source = target
    return read_parts(source)


def assert_same(after: LabeledParts, before: LabeledParts) -> None:
    """Check that classes, names and boxes are exactly the same, and the classes of ordinary objects."""
    assert after.class_names == before.class_names
    old, new = boxes_by_name(before), boxes_by_name(after)
    assert new.keys() == old.keys()
    for key, rows in old.items():
        assert sorted(box for _, box in new[key]) == sorted(box for _, box in rows)
        assert {row for row in rows if row[0]} <= set(new[key])


def test_coco_to_yolo_to_voc_to_coco(tmp_path: Path) -> None:
    write_mixed(tmp_path / "data")
    before, after = read_parts(tmp_path / "data"), chain(tmp_path / "data", tmp_path, "yolo", "voc", "coco")
    assert before.class_names == CLASSES
    assert_same(after, before)
    assert max(float(part.data.records.boxes.max()) for _, part in after) == 20_000
    assert all(part.data.records.is_ignore.any() for _, part in after)


def test_the_second_round_trip_writes_the_same_files(tmp_path: Path) -> None:
    write_mixed(tmp_path / "data")
    for kind, pattern in (("yolo", "labels/*/*.txt"), ("voc", "Annotations/*.xml")):
        (tmp_path / kind).mkdir()
        chain(tmp_path / "data", tmp_path / kind, kind, "coco", kind)
        first, second = ({path.name: path.read_text() for path in (tmp_path / kind / f"{n}-{kind}").glob(pattern)} for n in (0, 2))
        assert first == second
        assert first


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data set in every format."""
    folder = tmp_path_factory.mktemp("formats")
    write_mixed(folder / "data", sides=SMALL)
    for kind in FORMATS:
        convert(folder / "data", folder / kind, kind)
    return folder


@pytest.mark.parametrize(("first", "second"), permutations(FORMATS, 2))
def test_every_format_becomes_every_other(converted: Path, tmp_path: Path, first: str, second: str) -> None:
    convert(converted / first, tmp_path / "new", second)
    before, after = read_parts(converted / "data"), read_parts(tmp_path / "new")
    assert_same(after, before)


@pytest.mark.parametrize("kind", FORMATS)
def test_flags_and_images_without_objects(converted: Path, kind: str) -> None:
    before, after, holds = read_parts(converted / "data"), read_parts(converted / kind), writer(kind).holds
    for name, part in before:
        new = after.parts[name].data.records
        old = part.data.records
        assert int(new.is_difficult.sum()) == (
            int((old.is_difficult | (old.is_crowd & (not holds.crowds))).sum()) if holds.difficult else 0
        )
        assert int(new.is_ignore.sum()) == (0 if holds.crowds or holds.difficult else int(old.is_crowd.sum()))
        assert sorted(after.parts[name].names) == sorted(part.names)


def test_half_pixels_of_whole_numbers(tmp_path: Path) -> None:
    write_mixed(tmp_path / "data")
    before, after = read_parts(tmp_path / "data"), chain(tmp_path / "data", tmp_path, "voc", voc_integers=True)
    for name, part in before:
        order = [after.parts[name].names.index(image) for image in part.names]
        old, new = part.data.records.boxes, after.parts[name].take(order).data.records.boxes
        assert (new == np.round(new)).all()
        wide = ((old[:, 2:] - old[:, :2]) >= 2.5).all(1)
        assert wide.sum() > 20
        assert np.abs(new - old)[wide].max() <= 0.5


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if writer(kind).holds.polygons == "in_addition"])
def test_polygons_and_masks_survive_beside_boxes(tmp_path: Path, kind: str) -> None:
    write_mixed(tmp_path / "data", outlines=True, sides=SMALL)
    before, after = read_parts(tmp_path / "data"), chain(tmp_path / "data", tmp_path, kind, "coco")
    assert_same(after, before)
    for name, part in before:
        old, new = outlines(part.data.records.segmentations), outlines(after.parts[name].data.records.segmentations)
        if writer(kind).holds.masks != "none":
            assert sorted(new) == sorted(old)
        else:  # masks become polygons, see test_masks.py
            assert {text for text in old if "counts" not in text} <= set(new)
            assert len(new) == len(old)
            assert not any("counts" in text for text in new)


def outlines(segmentations: Segmentations | None) -> list[str]:
    """Return the outlines of a table as text."""
    assert segmentations is not None
    values = [segmentations.stored(row) for row in np.flatnonzero(segmentations.present).tolist()]
    return [str([list(map(float, part)) for part in value] if isinstance(value, list) else value) for value in values]


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if writer(kind).holds.polygons == "instead"])
def test_polygons_instead_of_boxes(tmp_path: Path, kind: str) -> None:
    write_mixed(tmp_path / "data", outlines=True, sides=SMALL)
    plain, written = (convert(tmp_path / "data", tmp_path / f"{kind}-{flag}", kind, polygons=flag) for flag in (False, True))
    assert plain.lost["polygons, which --polygons writes instead of the boxes"] == 8
    assert written.lost["objects with several polygons, which are joined into one"] == 4
    moved = written.lost.get("boxes that differ from those around their outlines, which are written instead", 0)
    assert moved == 4  # those of the masks, which become polygons in formats without masks
    boxes, shapes = read_parts(tmp_path / f"{kind}-False"), read_parts(tmp_path / f"{kind}-True")
    assert all(part.data.records.segmentations is None for _, part in boxes)
    rows = boxes_by_name(boxes), boxes_by_name(shapes)
    assert sum(row not in rows[1][key] for key, group in rows[0].items() for row in group) == moved
    texts = [text for _, part in shapes for text in outlines(part.data.records.segmentations)]
    assert texts.count("[[10.5, 20.0, 30.25, 20.0, 30.25, 40.125]]") == 4
    joined = "[[10.5, 20.0, 30.25, 20.0, 30.25, 40.125, 10.5, 20.0, 40.0, 50.0, 60.0, 50.0, 60.0, 70.5, 40.0, 50.0]]"
    assert texts.count(joined) == 4


@pytest.mark.parametrize("kind", FORMATS)
def test_names_of_images_and_classes_survive(tmp_path: Path, kind: str) -> None:
    odd = [
        *NAMES,
        "-1.png",
        "a 1.png",
        "a&b<c>.png",
        "q'.png",
        "#h.png",
        "~.png",
        "100%20.png",
        "x;y,z.png",
        "images/in.png",
        "train/t.png",
    ]
    classes = {1: "a,b;c", 2: "<&>", 3: "it's", 4: "日本", 5: "A", 6: "a", 7: "1", 8: "no", 9: "#x", 10: "a:b"}
    annotations = [{"image": index, "category_id": 1 + index % 10, "bbox": [1, 2, 30, 20]} for index in range(len(odd))]
    write_coco(tmp_path / "data", "train", dict.fromkeys(odd, (64, 48)), annotations, classes)
    before, after = read_parts(tmp_path / "data"), chain(tmp_path / "data", tmp_path, kind)
    assert before.class_names == tuple(classes.values())
    assert_same(after, before)
    assert after.report_lines() == []


@pytest.mark.parametrize("kind", FORMATS)
def test_images_may_all_be_deep_below_their_folder(tmp_path: Path, kind: str) -> None:
    annotations = [{"image": index, "category_id": 1, "bbox": [1, 2, 30, 20]} for index in range(2)]
    write_coco(tmp_path / "data", "val", {"a/b/c/1.png": (64, 48), "a/b/d/1.png": (64, 48)}, annotations, {1: "cat"})
    before, after = read_parts(tmp_path / "data"), chain(tmp_path / "data", tmp_path, kind)
    assert_same(after, before)
    assert list(after.parts) == ["val"]
