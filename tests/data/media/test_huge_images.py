"""Huge JPEG and PNG files are decoded right into their array, with the same pixels and errors as all others."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from detkit.data.media import images
from detkit.data.media.images import decode_image, read_image

PHOTO = skimage.data.chelsea()[:201, :300]


@pytest.fixture(autouse=True)
def all_are_huge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_HUGE", 1)
    monkeypatch.setattr(images, "_HUGE_BYTES", 1)


def refuse(*args: Any, **kwargs: Any) -> None:
    pytest.fail("the bytes of the file were read")


@pytest.mark.parametrize("name", ["a.jpg", "ä b.png"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("gray", [False, True])
def test_pixels_are_those_of_the_bytes(name: str, orientation: int, gray: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(PHOTO[:, :, 0] if gray else PHOTO).save(tmp_path / name, exif=exif)
    expected = decode_image((tmp_path / name).read_bytes())
    monkeypatch.setattr(images, "decode_image", refuse)
    np.testing.assert_array_equal(read_image(tmp_path / name), expected)


def test_the_pixels_are_not_copied(tmp_path: Path) -> None:
    Image.fromarray(np.repeat(np.repeat(PHOTO, 4, 0), 4, 1)).save(tmp_path / "a.png")
    tracemalloc.start()
    pixels = read_image(tmp_path / "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * pixels.nbytes


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "CMYK"])
def test_other_images_are_read_as_usual(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(PHOTO).convert(mode).save(path)
    np.testing.assert_array_equal(read_image(path), decode_image(path.read_bytes()))


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_damaged_files_have_the_usual_error(name: str, tmp_path: Path) -> None:
    Image.fromarray(PHOTO).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=f"{name}: .*truncated"):
        read_image(tmp_path / name)
    (tmp_path / name).write_bytes(b"not an image")
    with pytest.raises(ValueError, match=f"{name}: not a readable image"):
        read_image(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")
