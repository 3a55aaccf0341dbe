"""Label writers are found by the name of their format; a new one is a class and a line in the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from detkit.cli.detect.command import DetectOptions
from detkit.data import DetectionData, ImageRecord, SourceConfig, read_source
from detkit.data.readers import READERS
from detkit.data.synthetic import make_sample
from detkit.data.writers import WRITERS, image_folder, write_labels, writer
from detkit.data.writers.protocol import Holds, WriteOptions
from detkit.structures import Targets


class LinesWriter:
    """A format of one line per box, which only this test knows."""

    holds = Holds()

    def image_folder(self, folder: Path, split: str) -> Path:
        return folder / f"{split}-images"

    def write(self, data: DetectionData, folder: Path, split: str) -> None:
        rows = [f"{record.path.name} {data.class_names[label]}" for record in data.records for label in record.targets.labels.tolist()]
        (folder / f"{split}.txt").write_text("\n".join(rows))


def test_a_new_writer_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WRITERS, "lines", f"{__name__}:LinesWriter")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[LinesWriter.__module__])
    assert image_folder(tmp_path, "lines", "val") == tmp_path / "val-images"
    make_sample(tmp_path / "sample", images=3, val_images=1, kind="lines", short_side=64)
    assert len(list((tmp_path / "sample" / "train-images").glob("*.jpg"))) == 3
    assert "sample_00000.jpg " in (tmp_path / "sample" / "train.txt").read_text()


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    data = DetectionData.of("made", ["cat"], [ImageRecord(tmp_path / "a.jpg", 1, (4, 4), Targets.empty())])
    for call in (lambda: write_labels(data, tmp_path, "tsv", "train"), lambda: make_sample(tmp_path / "new", kind="tsv")):
        with pytest.raises(ValueError, match="label format 'tsv': expected one of coco, voc, yolo"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", WRITERS)
def test_every_writer_writes_an_image_without_objects(tmp_path: Path, kind: str) -> None:
    records = [
        ImageRecord(tmp_path / "a.jpg", 1, (40, 40), Targets.empty()),
        ImageRecord(tmp_path / "b.jpg", 2, (40, 40), Targets.of(torch.tensor([[1.0, 2, 30, 40]]), torch.tensor([0]))),
    ]
    writer(kind).write(DetectionData.of("made", ["cat"], records), tmp_path, "train")
    assert any(path.is_file() for path in tmp_path.rglob("*"))


def test_the_formats_are_listed_without_torch() -> None:
    code = "import sys; from detkit.data.writers import WRITERS; assert 'torch' not in sys.modules; print(*WRITERS)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == list(WRITERS)
    assert DetectOptions.__dataclass_fields__["labels_format"].default in WRITERS


def test_labelimg_finds_the_classes_of_yolo_labels(tmp_path: Path) -> None:
    names = ("a.png", "sub/b.png", "other/Classes.png", "other/c.png")
    records = [ImageRecord(image_folder(tmp_path, "yolo", "train") / name, name, (40, 40), boxes(1)) for name in names]
    for record in records:
        record.path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40)).save(record.path)
    data = DetectionData.of("made", ["cat", " dög"], records)
    write_labels(data, tmp_path, "yolo", "train")
    labels = tmp_path / "labels" / "train"
    for folder in (labels, labels / "sub"):  # where labelImg looks for them
        assert (folder / "classes.txt").read_text("utf-8").strip("\n").split("\n") == ["cat", " dög"]
    assert sorted(path.name for path in (labels / "other").iterdir()) == ["Classes.txt", "c.txt"]
    for path in (tmp_path, labels, labels / "sub"):
        read = read_source(SourceConfig(path=str(path)))
        assert len(read.records) == len(read.records.boxes) == (1 if path.name == "sub" else 4)
        assert len(read.class_names) == 2
        assert read.report.summary() == []


def test_class_names_that_no_list_of_lines_holds_are_only_in_the_description(tmp_path: Path) -> None:
    data = DetectionData.of("made", ["cat", "a\nb"], [ImageRecord(tmp_path / "images/train/a.jpg", 1, (40, 40), boxes(1))])
    write_labels(data, tmp_path, "yolo", "train")
    assert [path.name for path in (tmp_path / "labels" / "train").iterdir()] == ["a.txt"]


def boxes(count: int) -> Targets:
    return Targets.of(torch.tensor([[1.0, 2, 30, 40]]).repeat(count, 1), torch.zeros(count, dtype=torch.long))


def test_thin_boxes_survive_whole_pixels(tmp_path: Path) -> None:
    boxes = torch.tensor([[10.2, 5, 10.4, 20], [39.7, 39.8, 40, 40], [3.0, 3, 3.4, 3.2], [1.0, 2, 30, 40]])
    path = image_folder(tmp_path, "voc", "train") / "a.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(path)
    record = ImageRecord(path, 1, (40, 40), Targets.of(boxes, torch.zeros(4, dtype=torch.long)))
    write_labels(DetectionData.of("made", ["cat"], [record]), tmp_path, "voc", "train", WriteOptions(whole_pixels=True))
    data = read_source(SourceConfig(path=str(tmp_path), split="train"))
    assert data.records.boxes.tolist() == [[10, 5, 12, 20], [38, 38, 40, 40], [3, 3, 5, 5], [1, 2, 30, 40]]
    assert data.report.summary() == []


READABLE = [kind for kind in WRITERS if kind in {reader.kind for reader in READERS}]
"""Formats whose labels can be read."""

NAMES = [
    *("a", "a b", " lead", "trail ", "two.dots", "x.jpg", "x.xml", "é", "日本"),
    *("-1", "a 1", "b -1", "100%20", "a&b<c>", "q'\"", "#h", "~", "c:d", "b\\s"),
]


def named(folder: Path, kind: str, names: list[str]) -> DetectionData:
    images = image_folder(folder, kind, "train")
    images.mkdir(parents=True)
    targets = Targets.of(torch.tensor([[1.0, 2, 20, 25]]), torch.tensor([0]))
    records = []
    for number, name in enumerate(names):
        Image.new("RGB", (40, 30)).save(images / f"{name}.jpg")
        records.append(ImageRecord(images / f"{name}.jpg", number, (30, 40), targets))
    return DetectionData.of("made", ["cat"], records)


@pytest.mark.parametrize("kind", READABLE)
def test_images_of_any_name_are_read_back(tmp_path: Path, kind: str) -> None:
    write_labels(named(tmp_path, kind, NAMES), tmp_path, kind, "train")
    data = read_source(SourceConfig(path=str(tmp_path), split="train"))
    assert {record.path.stem for record in data.records if len(record.targets) == 1} == set(NAMES)
    assert data.report.totals() == {}


@pytest.mark.parametrize("kind", ["voc", "yolo", "labelme"])
@pytest.mark.parametrize("name", [".hidden", "new\nline", "tab\tx", "\x1b[31mred"])
def test_names_that_could_not_be_read_back_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    data = named(tmp_path, kind, ["a", name])
    with pytest.raises(ValueError, match="of an image of this name could not be read back; rename it, or write coco") as error:
        write_labels(data, tmp_path, kind, "train")
    assert str(error.value).isprintable()
