"""Error messages for unreadable images: they name the file and the remedy."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image

from detkit.data import SourceConfig, image_size, read_image, read_source


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()[:100, :150]).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()[:100, :150]).save(buffer, "PNG")
    return buffer.getvalue()


def tiff(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric="minisblack", planarconfig="contig" if values.ndim == 3 else None)
    return buffer.getvalue()


def jpeg_with_thumbnail() -> bytes:
    """Return a JPEG whose EXIF block contains a complete small JPEG, including its end marker."""
    thumbnail = jpeg()
    whole = jpeg()
    block = b"Exif\x00\x00" + thumbnail
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + whole[2:]


def huge_png() -> bytes:
    """Return an image of 60,000 x 60,000 pixels in less than a hundred bytes."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 4) + b"IDAT0000" + struct.pack(">I", zlib.crc32(b"IDAT0000"))


CASES = {
    "truncated jpeg": (jpeg()[:2000], "the JPEG is truncated after 2000 bytes; download or export the file again"),
    "truncated progressive jpeg": (jpeg(progressive=True)[:-700], "the JPEG is truncated"),
    "truncated jpeg with a complete thumbnail": (jpeg_with_thumbnail()[:-900], "the JPEG is truncated"),
    "jpeg header only": (jpeg()[:40], "the image is damaged or truncated|not a readable image"),
    "truncated png": (png()[:20_000], "the image is damaged or truncated"),
    "zero bytes": (b"", r"the file is empty \(0 bytes\); download or export the image again"),
    "only zeros": (bytes(5000), "its 5000 bytes are all zero; the copy failed"),
    "text": (b"hello world, this is no image", "not a readable image: it begins with b'hello wo'; expected JPEG, PNG"),
    "web page": (b"<!DOCTYPE html><html>404</html>", "it is a web page: the download of the image failed"),
    "heic": (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "it is a HEIC image: convert it to JPEG or PNG first"),
    "pdf": (b"%PDF-1.7 ...", "it is a PDF: save its pages as images first"),
    "git lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "run `git lfs pull`"),
    "too many pixels": (huge_png(), "the image has too many pixels to be read whole"),
    "float tiff out of range": (tiff(np.full((5, 6), 300.0, np.float32)), "floating-point values are from 300 to 300; expected 0 to 1"),
    "many channels": (tiff(np.zeros((6, 8, 7), np.uint8)), "a TIFF that cannot be read .*save it with 8 or 16 bits as gray or RGB"),
    "negative grays": (tiff(np.full((5, 6), -3, np.int16)), "its gray values are from -3 to -3; expected 0 to 65535"),
}


@pytest.mark.parametrize("name", CASES)
def test_errors_name_the_file_and_the_remedy(name: str, tmp_path: Path) -> None:
    data, message = CASES[name]
    path = tmp_path / "photo of a cat.jpg"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_image, image_size])
def test_missing_file(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg: no such image file; check the path"):
        read(tmp_path / "nowhere.jpg")


@pytest.mark.parametrize("read", [read_image, image_size])
def test_folder(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected an image file, got a folder; name a file in it"):
        read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"hello world", bytes(100)])
def test_size_of_other_files(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.jpg: "):
        image_size(path)


def webp() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()[:100, :150]).save(buffer, "WEBP")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "extension"),
    [(jpeg()[:-300], "jpg"), (jpeg_with_thumbnail()[:-900], "jpg"), (png()[:-300], "png"), (webp()[:-300], "webp")],
)
def test_truncated_images_are_reported_by_the_reader(data: bytes, extension: str, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat]\n")
    (folder / f"cut.{extension}").write_bytes(data)
    (folder / "whole.jpg").write_bytes(jpeg())
    for name in ("cut", "whole"):
        (folder / f"{name}.txt").write_text("0 .5 .5 .5 .5\n")
    read = read_source(SourceConfig(path=str(tmp_path), split="train"))
    assert [Path(path).name for path in read.records.paths] == ["whole.jpg"]
    (line,) = read.report.summary()
    assert f"the file cannot be read: 1 (cut.{extension}; such as" in line.replace("images/", "", 1)
    assert "truncated" in line


@pytest.mark.parametrize("ending", [b"", b"\0" * 40, b"appended by a camera" * 30])
@pytest.mark.parametrize("data", [jpeg(), jpeg_with_thumbnail(), png(), webp()])
def test_sizes_of_whole_images_with_an_appendix(data: bytes, ending: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(data + ending)
    assert image_size(tmp_path / "a.jpg") == read_image(tmp_path / "a.jpg").shape[:2]
