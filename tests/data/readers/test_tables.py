"""CSV tables: three forms, delimiters and quotes, images without objects, lists of classes, and rows that are wrong."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from detkit.data import DetectionData, SourceConfig, read_source, splits_of
from detkit.data.readers import recognize
from detkit.data.readers.tables import table

TENSORFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
OPEN_IMAGES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"


def image_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 80), (9, 9, 9)).save(path)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def read(path: Path, **fields: Any) -> DetectionData:
    return read_source(SourceConfig(path=str(path), **fields))


@pytest.fixture(params=[50_000, 2])
def rows_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_BLOCK", request.param)


@pytest.mark.usefixtures("rows_at_once")
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_form_of_tensorflow(tmp_path: Path, delimiter: str, encoding: str) -> None:
    for name in ("a.jpg", "ä, b.jpg", "c.jpg"):
        image_file(tmp_path / "images" / name)
    text = io.StringIO(newline="")
    rows = csv.writer(text, delimiter=delimiter)
    rows.writerow(TENSORFLOW.strip().split(","))
    rows.writerow(("a.jpg", 100, 80, "dog", 10.5, 20, 50, 60.25))
    text.write("\r\n  \n")
    rows.writerow(("ä, b.jpg", 100, 80, ' "big"; cat ', 1, 2, 30, 40))
    rows.writerow(("a.jpg", 100, 80, "cow", " 3", 4, 5, 6))
    rows.writerow(("c.jpg", 100, 80, "", "", "", "", ""))
    path = write(tmp_path / ("labels.tsv" if delimiter == "\t" else "labels.csv"), text.getvalue(), encoding)
    for source in (path, tmp_path):
        assert recognize(source).kind == "csv"
        data = read(source)
        assert data.class_names == ('"big"; cat', "cow", "dog")
        assert_allclose(data.records.boxes, [[10.5, 20, 50, 60.25], [3, 4, 5, 6], [1, 2, 30, 40]])
        assert data.records.labels.tolist() == [2, 1, 0]
        assert data.records.image_ids == ("a.jpg", "ä, b.jpg", "c.jpg")
        assert data.records.lengths.tolist() == [2, 1, 0]
        assert Path(data.image_root) == tmp_path / "images"
        assert data.report.totals() == {}


def test_other_orders_and_names_of_columns(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    path = write(tmp_path / "t.csv", "note,X2,Y1,X1,Y2,Label,Image_Path\nx,50,20,10,60,dog,a.jpg\n")
    data = read(path)
    assert_allclose(data.records.boxes, [[10, 20, 50, 60]])
    assert data.report.totals() == {}


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_the_form_of_open_images(tmp_path: Path, extension: str) -> None:
    for name in ("0a", "0b"):
        image_file(tmp_path / "train" / f"{name}{extension}")
    rows = '0a,xclick,/m/01,1,0.1,0.5,0.25,0.75,0,1,0,0,0\n0b,x,/m/02,1,"0,2",1,0,0.5,0,0,1,1,0\n0b,x,/m/01,1,0,1,0,1,-1,-1,-1,-1,1\n'
    write(tmp_path / "train-annotations-bbox.csv", OPEN_IMAGES + rows)
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("train",)
    data = read(tmp_path, split="train")
    assert data.class_names == ("/m/01", "/m/02")
    assert_allclose(data.records.boxes, [[10, 20, 50, 60], [20, 0, 100, 40], [0, 0, 100, 80]])
    assert data.records.is_crowd.tolist() == [False, True, False]
    assert data.records.image_ids == ("0a", "0b")
    assert data.report.totals() == {"depiction": 2}
    write(tmp_path / "class-descriptions-boxable.csv", '/m/02,Zebra\n/m/00,"Ant, small"\n/m/01,Bee\n')
    data = read(tmp_path)
    assert data.class_names == ("Zebra", "Ant, small", "Bee")
    assert data.records.labels.tolist() == [2, 0, 2]
    (tmp_path / "class-descriptions-boxable.csv").rename(tmp_path / "oidv6-class-descriptions.csv")
    assert read(tmp_path).class_names == ("Bee", "Zebra")


def test_the_form_of_keras_retinanet(tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/b.jpg"):
        image_file(tmp_path / name)
    path = write(tmp_path / "annotations.csv", "a.jpg,,,,,\nsub/b.jpg,1,2,30,40,dog\nsub/b.jpg,5,6,7,8,cat\n")
    data = read(path)
    assert data.records.lengths.tolist() == [0, 2]
    assert_allclose(data.records.boxes, [[1, 2, 30, 40], [5, 6, 7, 8]])
    assert data.class_names == ("cat", "dog")
    write(tmp_path / "classes.csv", "dog,1\nowl,0\ncat,10\n")
    assert read(path).class_names == ("owl", "dog", "cat")


def test_splits_and_a_list_of_classes(tmp_path: Path) -> None:
    for part, name in (("train", "dog"), ("test", "cat")):
        image_file(tmp_path / part / "a.jpg")
        write(tmp_path / part / "_annotations.csv", f"{TENSORFLOW}a.jpg,100,80,{name},1,2,3,4\n")
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("test", "train")
    assert read(tmp_path, split="train").class_names == ("cat", "dog")
    write(tmp_path / "classes.txt", "dog\nowl\ncat\n")
    assert recognize(tmp_path).kind == "csv"  # not YOLO, for which the list would be enough if there were label files
    data = read(tmp_path, split="test")
    assert (data.class_names, data.records.labels.tolist()) == (("dog", "owl", "cat"), [2])
    assert Path(data.records.paths[0]).parent.name == "test"


@pytest.mark.parametrize("images", ["images/train", "train", "images"])
def test_files_named_like_splits(tmp_path: Path, images: str) -> None:
    image_file(tmp_path / images / "a.jpg")
    for part in ("train", "test"):
        write(tmp_path / "data" / f"{part}_labels.csv", f"{TENSORFLOW}a.jpg,100,80,dog,1,2,3,4\n")
        (tmp_path / "data" / f"{part}_labels.csv").rename(tmp_path / f"{part}_labels.csv")
    assert splits_of(SourceConfig(path=str(tmp_path))) == ("test", "train")
    assert Path(read(tmp_path, split="train").records.paths[0]) == tmp_path / images / "a.jpg"


def test_sizes_that_are_no_sizes_are_taken_from_the_image(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        image_file(tmp_path / name)
    path = write(tmp_path / "t.csv", f"{TENSORFLOW}a.jpg,0,,dog,1,2,3,4\nb.jpg,100,80,dog,1,2,3,4\nb.jpg,nan,1e99,dog,1,2,3,4\n")
    data = read(path)
    assert len(data.records.boxes) == 3
    assert data.report.totals() == {"missing_size": 1}


WRONG = {
    "a word": (f"{TENSORFLOW}a.jpg,100,80,dog,x,2,3,4\n", "row 2: expected numbers for the corners of the box, got 'x'"),
    "a blank corner": (f"{TENSORFLOW}\na.jpg,100,80,dog,1,2,,4\n", "row 3: expected numbers for the corners of the box, got ''"),
    "no class": (f"{TENSORFLOW}a.jpg,100,80, ,1,2,3,4\n", "row 2: a box without a class; expected its class"),
    "no image": (f"{TENSORFLOW}a.jpg,100,80,dog,1,2,3,4\n ,100,80,dog,1,2,3,4\n", "row 3: no image; expected the name of a file"),
    "few fields": (f"{TENSORFLOW}a.jpg,100,80,dog,1,2,3\n", r"row 2: expected 8 fields, got 7: \['a\.jpg'"),
    "open quote": (f'{TENSORFLOW}a.jpg,100,80,"dog,1,2,3,4\n', "not readable as CSV"),
    "long field": (f"{TENSORFLOW}{'a' * 200_000},100,80,dog,1,2,3,4\n", "row 2: not readable as CSV"),
    "two sizes": (f"{TENSORFLOW}a.jpg,100,80,dog,1,2,3,4\na.jpg,80,100,dog,1,2,3,4\n", "row 3: it states the size 80x100"),
    "no rows": (TENSORFLOW, "it lists no images; expected at least one"),
    "not finite": (f"{TENSORFLOW}a.jpg,100,80,dog,nan,2,3,4\n", "not a finite number"),
    "thousands": (f"{TENSORFLOW}a.jpg,100,80,dog,'1,2,3,4\n", "row 2: expected numbers for the corners of the box"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tables(tmp_path: Path, name: str) -> None:
    text, message = WRONG[name]
    image_file(tmp_path / "a.jpg")
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    path = write(tmp_path / "t.csv", f"{TENSORFLOW}a.jpg,100,80,Fußgänger,1,2,3,4\n", "latin-1")
    with pytest.raises(ValueError, match=r"t\.csv: not a text file in UTF-8 .* save it as UTF-8"):
        read(path)


def test_tables_of_two_units_are_refused(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    write(tmp_path / "one.csv", f"{TENSORFLOW}a.jpg,100,80,dog,1,2,3,4\n")
    write(tmp_path / "two.csv", f"{OPEN_IMAGES}a.jpg,,dog,1,0,1,0,1,,,,,\n")
    with pytest.raises(ValueError, match=r"two\.csv: expected a table like the others in its folder"):
        read(tmp_path)


def test_unknown_tables_are_no_labels(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    write(tmp_path / "t.csv", "filename,label\na.jpg,dog\n")
    with pytest.raises(ValueError, match=r"no labels in a known format; .*t\.csv begins with 'filename,label'; expected the header"):
        read(tmp_path)


def test_many_rows_are_read_in_blocks(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    boxes = np.random.default_rng(0).uniform((0, 0, 41, 40), (40, 40, 81, 80), (3_000, 4))
    rows = "".join(f"a.jpg,100,80,dog,{','.join(map(repr, row))}\n" for row in boxes.tolist())
    data = read(write(tmp_path / "t.csv", TENSORFLOW + rows))
    assert_allclose(data.records.boxes, boxes, rtol=1e-6)


def test_an_image_whose_folder_has_a_zero_byte_is_missing(tmp_path: Path) -> None:
    image_file(tmp_path / "a.jpg")
    image_file(tmp_path / "b.jpg")
    rows = "a.jpg,100,80,dog,1,2,3,4\nb.jpg,100,80,dog,1,2,3,4\nx\0y/c.jpg,100,80,dog,1,2,3,4\n"
    assert read(write(tmp_path / "t.csv", TENSORFLOW + rows)).report.totals() == {"missing_image": 1}
