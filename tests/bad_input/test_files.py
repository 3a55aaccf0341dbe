"""Files that are none, or of another kind than they seem: named on the command line, or among labels and images."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detkit.bulk.listing import _images_in
from detkit.cli import special_files
from detkit.cli.main import main
from detkit.cli.special_files import check_words
from detkit.data import SourceConfig, read_source
from detkit.data.mask_pixels import mask_pixels
from detkit.data.media.images import read_image
from detkit.evaluation.files import evaluate_coco_files
from detkit.printable import printable_message

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


def coco() -> dict[str, Any]:
    images = [{"id": number, "file_name": f"{number}.png", "height": 24, "width": 32} for number in (1, 2)]
    boxes = [{"id": number, "image_id": number, "category_id": 1, "bbox": [2, 2, 9, 9]} for number in (1, 2)]
    return {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder of two images and their COCO labels."""
    for number in (1, 2):
        Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "labels.json").write_text(json.dumps(coco()))
    return tmp_path


@needs_pipes
@pytest.mark.parametrize(
    "words",
    [
        ("info", "PIPE"),
        ("train", "quickstart", "data=PIPE"),
        ("detect", "--model", "PIPE"),
        ("evaluate", "--annotations", "PIPE", "--results", "results.json"),
        ("data", "merge-results", "PIPE"),
        ("models", "import", "PIPE", "--model", "yolox_s", "--output", "o.safetensors"),
    ],
    ids=lambda words: words[0],
)
def test_a_named_pipe_is_refused_at_once(words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    assert main([word.replace("PIPE", str(pipe)) for word in words]) == 2
    assert f"{pipe}: expected a file, got a named pipe" in capsys.readouterr().err


@needs_pipes
def test_labels_in_a_named_pipe_are_refused_in_python_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.json")
    with pytest.raises(ValueError, match=r"labels\.json: expected a file, got a named pipe"):
        read_source(SourceConfig(path=str(tmp_path / "labels.json")))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev")
def test_devices_are_refused_and_files_that_a_shell_opens_are_not() -> None:
    with pytest.raises(ValueError, match="/dev/zero: expected a file, got a device; name a file"):
        check_words(["/dev/zero"])
    check_words([["/dev/null", "data=/dev/fd/0", None, 3, "a\0b"], "/dev/video0"])


def test_cameras_by_path_are_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    monkeypatch.setattr(special_files, "check_regular", checked.append)
    check_words(["/dev/video0", "/dev/stdin", "/dev/zero", "a=/dev/random"])
    assert sorted(checked) == ["/dev/random", "/dev/zero", "a=/dev/random"]


def test_an_image_that_links_to_itself_is_one_that_cannot_be_read(data: Path) -> None:
    (data / "1.png").unlink()
    (data / "1.png").symlink_to("1.png")
    records = read_source(SourceConfig(path=str(data))).records
    assert [Path(path).name for path in records.paths] == ["2.png"]


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (gzip.compress(json.dumps(coco()).encode()), "compressed by gzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (json.dumps(coco()).encode() + b"\0" * 512, "zero bytes follow"),
        (b'{"id": 1}\n{"id": 2}\n', "each line is a JSON document"),
        (json.dumps(coco()).encode("utf-16"), "save it as UTF-8"),
        (json.dumps(coco()).encode()[:-9], "may be truncated"),
    ],
    ids=["gzip", "lfs", "html", "zeros", "lines", "utf-16", "cut"],
)
def test_a_file_that_is_not_json_is_named_for_what_it_is(data: Path, content: bytes, advice: str) -> None:
    (data / "labels.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"labels\.json: not valid JSON .*{advice}"):
        read_source(SourceConfig(path=str(data)))


def test_a_class_needs_more_than_spaces_for_a_name(data: Path) -> None:
    (data / "labels.json").write_text(json.dumps({**coco(), "categories": [{"id": 1, "name": "  "}]}))
    with pytest.raises(ValueError, match=r"labels\.json: category id 1, name '  '"):
        read_source(SourceConfig(path=str(data)))


def test_an_empty_description_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("")
    with pytest.raises(ValueError, match=r"data\.yaml is empty"):
        read_source(SourceConfig(path=str(tmp_path)))


def test_errors_of_the_system_name_the_file_and_what_to_do(tmp_path: Path) -> None:
    assert printable_message(PermissionError(13, "Permission denied", "a/b")) == (
        "a/b: Permission denied; check its permissions, or use another path"
    )
    assert printable_message(OSError(18, "Invalid cross-device link", "a", None, "b")) == "a -> b: Invalid cross-device link"
    assert printable_message(OSError("the camera is gone")) == "the camera is gone"
    assert printable_message(MemoryError("Unable to allocate 3 GiB")).startswith("not enough memory: Unable to allocate 3 GiB; use smaller")
    assert printable_message(MemoryError()).startswith("not enough memory; use")


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ({"size": [24, 32], "counts": [0, 100]}, "run lengths of 24 x 32 pixels"),
        ({"size": [24, 32], "counts": [10, -5, 763]}, "run lengths of 24 x 32 pixels"),
        ({"size": [24, 32], "counts": [2**62, 2**62]}, "run lengths of 24 x 32 pixels"),
        ({"size": [24, 32], "counts": [[1]]}, "run lengths"),
        ({"size": [24, 32], "counts": "~~"}, "run lengths of 24 x 32 pixels"),
        ({"size": [24, 32]}, "run lengths"),
        ({"size": [10**6, 10**6], "counts": [0, 10**12]}, "an image of 32 x 24 pixels"),
        ({"size": 7, "counts": [0, 7]}, "an image of 32 x 24 pixels"),
        ([[1, 2, 3]], "polygon of a mask"),
        ([["a", 2, 3, 4, 5, 6]], "polygon of a mask"),
    ],
)
def test_a_mask_that_cannot_be_drawn_is_one_sentence_with_its_image(data: Path, segmentation: Any, reason: str) -> None:
    content = coco()
    content["annotations"][0]["segmentation"] = segmentation
    (data / "labels.json").write_text(json.dumps(content))
    record = read_source(SourceConfig(path=str(data))).records[0]
    with pytest.raises(ValueError, match=rf"1\.png: .*{reason}"):
        mask_pixels(record.targets.segmentations, 1, record.size, str(record.path))


@needs_pipes
def test_a_list_of_images_has_those_that_cannot_be_read_too(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    assert sorted(Path(path).name for path in _images_in(str(tmp_path))) == ["loop.png", "pipe.png"]


def test_a_damaged_image_is_not_called_another_format(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[20] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"photo\.png: .*it begins as PNG, and is damaged or truncated"):
        read_image(path)


@needs_pipes
@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow")
def test_shards_whose_files_are_gone_cut_or_pipes_are_refused(data: Path, tmp_path: Path) -> None:
    from detkit.bulk.merge import check_shards
    from detkit.data.shards.writer import write_shards

    shards = tmp_path / "shards"
    write_shards({"": read_source(SourceConfig(path=str(data)))}, shards, 1)
    tar, table = next(shards.glob("*.tar")), next(shards.glob("*.parquet"))
    content = tar.read_bytes()
    tar.write_bytes(content[:700])
    with pytest.raises(ValueError, match=rf"{tar.name}: expected a file of [0-9,]+ bytes, got 700 bytes"):
        read_source(SourceConfig(path=str(shards)))
    tar.unlink()
    with pytest.raises(ValueError, match=rf"{tar.name}: .* got no such file"):
        read_source(SourceConfig(path=str(shards)))
    tar.write_bytes(content)
    table.unlink()
    os.mkfifo(table)
    with pytest.raises(ValueError, match="named pipe"):
        read_source(SourceConfig(path=str(shards)))
    assert "named pipe" in check_shards(shards).problems[0]


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow")
def test_labels_that_name_a_shard_which_is_not_listed_are_refused(data: Path, tmp_path: Path) -> None:
    from detkit.data.shards.writer import write_shards

    shards = tmp_path / "shards"
    write_shards({"": read_source(SourceConfig(path=str(data)))}, shards, 1)
    manifest = json.loads((shards / "shards.json").read_text())
    manifest["splits"][""]["shards"] = []
    (shards / "shards.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"images\.parquet: it names shards from 0 to 0 of 0"):
        read_source(SourceConfig(path=str(shards)))


def test_half_a_character_in_a_class_name_is_one_sentence_with_the_file(data: Path) -> None:
    truth, results = data / "truth.json", data / "results.json"
    truth.write_text(json.dumps({**coco(), "categories": [{"id": 1, "name": "\ud800"}]}))
    results.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": [2, 2, 9, 9], "score": 0.5}]))
    with pytest.raises(ValueError, match=r"truth\.json: a name has half of a character"):
        evaluate_coco_files(truth, results)


@pytest.mark.parametrize("row", [{"rbbox": [9, 9, 4, 4, float("inf")]}, {"attributes": {"rotation": float("inf")}}])
def test_a_turned_box_of_no_angle_is_read_or_counted(data: Path, row: dict[str, Any]) -> None:
    content = coco()
    content["annotations"][0] |= row
    (data / "labels.json").write_text(json.dumps(content))
    assert np.isfinite(read_source(SourceConfig(path=str(data))).records.boxes).all()


def test_outlines_without_a_box_are_numbers_or_refused(data: Path) -> None:
    content = coco()
    content["annotations"][0] |= {"bbox": None, "segmentation": [1, 2, 9, 2, 9, 9]}
    (data / "labels.json").write_text(json.dumps(content))
    assert read_source(SourceConfig(path=str(data))).records.boxes[0].tolist() == [1, 2, 9, 9]
    content["annotations"][0]["segmentation"] = [["a", 2, 9, 2, 9, 9]]
    (data / "labels.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"labels\.json: annotation 1 .*expected 6 numbers"):
        read_source(SourceConfig(path=str(data)))
