"""Renaming, joining and dropping of classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from labeled_parts import part, parts, snapshot

from detkit.curation.parts import LabeledParts
from detkit.curation.rename import DROPPED, read_renames, rename_classes

BOX = (10, 10, 30, 30)


@pytest.fixture
def data() -> LabeledParts:
    return parts(
        train=part({"a.png": [(0, BOX, "dp"), (1, BOX, "c")], "b.png": [(2, BOX)]}), val=part({"c.png": [(1, BOX), (1, BOX)]}, first_id=8)
    )


def test_a_renamed_class_keeps_its_boxes_id_and_place(data: LabeledParts) -> None:
    before = snapshot(data)
    renamed = rename_classes(data, {"dog": "wolf"})
    assert snapshot(data) == before
    assert (renamed.data.class_names, renamed.data.category_ids) == (("cat", "wolf", "traffic light"), (3, 5, 10))
    assert snapshot(renamed.data)[0][4:] == before[0][4:]
    assert renamed.data.parts["train"].data.records.segmentations is not None
    assert (renamed.boxes, renamed.joined, renamed.dropped_boxes) == ((1, 3, 1), {}, 0)
    assert renamed.mapping.renames == (("dog", "wolf"),)


def test_classes_are_joined(data: LabeledParts) -> None:
    renamed = rename_classes(data, {"cat": "pet", "dog": "pet"})
    assert (renamed.data.class_names, renamed.data.category_ids) == (("pet", "traffic light"), (3, 10))
    assert renamed.joined == {"pet": ("cat", "dog")}
    assert [one.data.records.labels.tolist() for _, one in renamed.data] == [[0, 0, 1], [0, 0]]
    assert rename_classes(data, {"dog": "cat"}).joined == {"cat": ("cat", "dog")}


def test_names_can_be_exchanged(data: LabeledParts) -> None:
    renamed = rename_classes(data, {"cat": "dog", "dog": "cat"})
    assert (renamed.data.class_names, renamed.joined) == (("dog", "cat", "traffic light"), {})


def test_dropped_classes_lose_their_boxes_and_images_stay(data: LabeledParts) -> None:
    renamed = rename_classes(data, {"dog": DROPPED, "cat": "dog"})
    assert (renamed.data.class_names, renamed.dropped_boxes) == (("dog", "traffic light"), 3)
    assert renamed.data.image_count == 3
    assert renamed.data.parts["train"].data.records.is_difficult.tolist() == [True, False]
    assert renamed.data.report_lines() == data.report_lines()


def test_names_are_normalized_after_renaming() -> None:
    from dataclasses import replace

    one = part({"a.png": [(0, BOX), (1, BOX)]})
    names = ("Cat", "cat ", " Traffic  Light")
    data = parts(train=replace(one, data=replace(one.data, class_names=names)))
    assert rename_classes(data, {}, strip=True).data.class_names == ("Cat", "cat", "Traffic Light")
    renamed = rename_classes(data, {" Traffic  Light": "Lamp"}, strip=True, lower=True)
    assert renamed.data.class_names == ("cat", "lamp")
    assert renamed.joined == {"cat": ("Cat", "cat ")}


def test_errors(data: LabeledParts) -> None:
    with pytest.raises(ValueError, match="no class 'dogs': did you mean 'dog'"):
        rename_classes(data, {"dogs": "wolf"})
    with pytest.raises(ValueError, match="no class is left of cat, dog, traffic light"):
        rename_classes(data, dict.fromkeys(data.class_names, DROPPED))


def test_files(tmp_path: Path) -> None:
    text, table = tmp_path / "names.txt", tmp_path / "names.csv"
    text.write_text("# old=new\ncat = pet\n\ndog=a=b\nwheel=\n", "utf-8")
    table.write_text('\ufeff"cat, wild",pet\nwheel,\n', "utf-8")
    assert read_renames(text) == {"cat": "pet", "dog": "a=b", "wheel": DROPPED}
    assert read_renames(table) == {"cat, wild": "pet", "wheel": DROPPED}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "cat=pet\ndog pet\n", "a.txt, line 2: expected OLD=NEW, got 'dog pet'"),
        ("a.csv", "cat,pet,more\n", "a.csv, line 1: expected OLD,NEW, got 'cat,pet,more'"),
        ("a.txt", "=pet\n", "line 1: expected OLD=NEW"),
        ("a.txt", "cat=pet\ncat=dog\n", "'cat' was renamed to 'pet' before"),
    ],
)
def test_files_with_errors(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(ValueError, match="line") as error:
        read_renames(tmp_path / name)
    assert message in str(error.value)
