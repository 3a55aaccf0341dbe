"""The images that words name, shard by shard."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import fsspec
import pytest

from detkit.bulk import Shard, list_images
from detkit.bulk.listing import row_name
from detkit.cli.inputs import image_files
from detkit.data.media.extensions import is_video

ALL = Shard(0, 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with images in nested folders, and other files."""
    for name in ("in/b.jpg", "in/a.PNG", "in/.hidden.jpg", "in/notes.doc", "in/clip.mp4", "in/deep/c.jpg", "in/deep/d.tiff", "in[1]/e.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["in"],
        ["./in/"],
        ["in/**/*.jpg"],
        ["in/*"],
        ["in[1]/*.jpg"],
        ["in/b.jpg", "in", "in/deep"],
        ["in/missing.jpg", "in/a.PNG"],
        ["in/notes.doc"],
    ],
)
def test_the_images_are_those_of_detect_without_videos(folder: Path, words: list[str]) -> None:
    expected = sorted({path.as_posix() for path in image_files(words) if not is_video(path)})
    assert list(list_images(words, ALL).paths) == expected
    assert sorted(path for index in range(3) for path in list_images(words, Shard(index, 3)).paths) == expected


def test_absolute_paths_and_the_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_images([str(folder / "in")], ALL).paths == [str(folder / "in/a.PNG"), str(folder / "in/b.jpg")]
    monkeypatch.chdir(folder / "in")
    assert list_images(["."], ALL).paths == ["a.PNG", "b.jpg"]


def test_the_digest_is_that_of_all_images_in_any_order(folder: Path) -> None:
    Path("one.txt").write_text("a.jpg\nb.jpg\n\nc.jpg\n")
    Path("two.txt").write_text("\ufeffc.jpg\r\na.jpg\r\nb.jpg", "utf-8")
    Path("three.txt").write_text("c.jpg\na.jpg\nd.jpg")
    one = [list_images(["one.txt"], Shard(index, 2)) for index in range(2)]
    assert {(row.count, row.digest) for row in one} == {(3, one[0].digest)}
    assert list_images(["two.txt"], ALL).digest == one[0].digest
    assert list_images(["three.txt"], ALL).digest != one[0].digest
    assert list_images(["two.txt"], ALL).paths == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    "word", ["a.jpg", "./a", "a//b", "a/./b", "a/.", "a/b/.", "a/", "a/../b", "a/.b", "..a/b", "/a/b", "//a", "a\\b", "."]
)
def test_lists_have_the_paths_of_pathlib(folder: Path, word: str) -> None:
    Path("list.txt").write_text(word)
    assert list_images(["list.txt"], ALL).paths == [str(Path(word))]


def test_repeated_images_are_listed_once(folder: Path) -> None:
    Path("twice.txt").write_text("a.jpg\n./a.jpg\nb.jpg\na.jpg\n")
    listing = list_images(["twice.txt"], ALL)
    assert (listing.paths, listing.count) == (["a.jpg", "b.jpg"], 4)


def test_addresses(folder: Path) -> None:
    Path("web.txt").write_text("https://user:word@example.org/a.jpg\ns3://bucket/b.jpg\n")
    listing = list_images(["web.txt"], ALL)
    assert listing.paths == ["https://user:word@example.org/a.jpg", "s3://bucket/b.jpg"]
    assert [row_name(path) for path in listing.paths] == ["https://***@example.org/a.jpg", "s3://bucket/b.jpg"]


def test_a_list_in_object_storage(folder: Path) -> None:
    with fsspec.open("memory://bulk/list.txt", "wb") as file:
        file.write(b"memory://bulk/a.jpg\nmemory://bulk/b.jpg\n")
    assert list_images(["memory://bulk/list.txt"], ALL).paths == ["memory://bulk/a.jpg", "memory://bulk/b.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_names_that_are_not_utf_8_are_escaped(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")
    Path(path).write_bytes(b"")
    (listed,) = list_images([str(tmp_path)], ALL).paths
    assert listed == path
    assert row_name(listed).endswith("caf\\udce9.jpg")


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["in/clip.mp4"], ValueError, "expected images, got the video in/clip.mp4"),
        (["0"], ValueError, "expected images, got the camera or stream 0"),
        (["rtsp://a:b@host/x"], ValueError, r"the camera or stream rtsp://\*\*\*@host/x"),
        (["ftp://host/x.jpg"], ValueError, "expected an address that begins with s3://"),
        (["in/*.bmp"], FileNotFoundError, "the pattern matches no file"),
        (["no.jpg", "none.jpg"], FileNotFoundError, "no such image: no.jpg, none.jpg; give files"),
        (["empty"], ValueError, "the folder has no images"),
        (["empty.txt"], ValueError, "the list has no images"),
    ],
)
def test_errors(folder: Path, words: list[str], error: type[Exception], message: str) -> None:
    Path("empty").mkdir()
    Path("empty.txt").write_text("\n")
    with pytest.raises(error, match=message):
        list_images(words, ALL)
