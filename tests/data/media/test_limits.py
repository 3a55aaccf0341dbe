"""Images that would take too much memory or never end are refused before they are decoded, in one sentence that names them."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detkit.data.media import files, limits
from detkit.data.media.files import files_below, read_regular
from detkit.data.media.images import image_size, read_image
from detkit.data.media.limits import MAX_PIXELS, VARIABLE, TooManyPixelsError, max_pixels, set_max_pixels


def tiff(path: Path, size: tuple[int, int], **options: object) -> Path:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(path, np.zeros(size, np.float32), compression="zlib", **options)
    return path


def test_a_small_tiff_of_a_huge_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "10000")
    path = tiff(tmp_path / "a.tif", (200, 100))
    for read in (read_image, image_size):
        with pytest.raises(ValueError, match=r"a\.tif: the image has too many pixels to be read whole .*, or raise the limit"):
            read(path)
    monkeypatch.setenv(VARIABLE, "20000")
    assert read_image(path).shape == (200, 100, 3)
    monkeypatch.delenv(VARIABLE)
    assert read_image(path).shape == (200, 100, 3)  # Pillow has its own limit again


def test_the_limit_of_pillow_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "a.png"
    Image.new("L", (200, 100)).save(path)
    monkeypatch.setenv(VARIABLE, "10000")
    with pytest.raises(ValueError, match=f"a.png: the image has too many pixels .* raise the limit with --max-pixels .*{VARIABLE}"):
        read_image(path)
    set_max_pixels(20_000)
    assert read_image(path).shape == (100, 200, 3)
    monkeypatch.delenv(VARIABLE)
    assert max_pixels() == MAX_PIXELS
    assert read_image(path).shape == (100, 200, 3)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("value", ["0", "-3", "many", "1e9"])
def test_a_wrong_limit_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ValueError, match=f"{VARIABLE}: expected a number of pixels above 0, got"):
        max_pixels()
    with pytest.raises(ValueError, match="above 0"):
        set_max_pixels(0)


def test_a_tiff_with_a_wrong_height_is_refused_at_once(tmp_path: Path) -> None:
    """A file of a few kilobytes that states 18 million rows."""
    path = tiff(tmp_path / "a.tif", (24, 36))
    data = bytearray(path.read_bytes())
    entry = next(place for place in range(0, len(data) - 12, 2) if struct.unpack_from("<HHI", data, place)[0::2] == (257, 1))
    struct.pack_into("<HHII", data, entry, 257, 4, 1, 4_000_000)
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(ValueError, match=r"a\.tif: .*(damaged|truncated|strips)"):
        read_image(path)
    assert time.process_time() - start < 2


def test_a_tiff_whose_values_take_too_many_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((100, 100, 4), np.float64), compression="zlib", photometric="rgb", extrasamples=["unassalpha"])
    monkeypatch.setenv(VARIABLE, "10000")
    with pytest.raises(ValueError, match="its values take 320,000 bytes, of at most 80,000"):
        read_image(path)


@pytest.mark.parametrize("mode", ["RGB", "F"])
def test_an_orientation_of_a_wrong_type_counts_as_upright(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.tif"
    Image.new(mode, (36, 24)).save(path, tiffinfo={274: 1})
    data = bytearray(path.read_bytes())
    entry = next(place for place in range(0, len(data) - 12, 2) if struct.unpack_from("<HHI", data, place) == (274, 3, 1))
    struct.pack_into("<HHII", data, entry, 274, 3, 0, 0)
    path.write_bytes(data)
    assert image_size(path) == (24, 36)
    assert read_image(path).shape == (24, 36, 3)


@pytest.mark.parametrize(
    "error", [RuntimeError("boom\nboom"), AttributeError("x"), struct.error("y"), ZeroDivisionError(), AssertionError("z")]
)
def test_whatever_a_decoder_raises_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    path = tmp_path / "a.gif"
    Image.new("RGB", (4, 4)).save(path)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Image, "open", fail)
    for read in (image_size, read_image):
        with pytest.raises(ValueError, match=r"a\.gif: the image is damaged or truncated \(.*\); download or export the file again$"):
            read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    os.mkfifo(path)
    for read in (image_size, read_image, read_regular):
        with pytest.raises(ValueError, match=r"a\.jpg: expected a file, got a named pipe; remove it"):
            read(path)  # type: ignore[operator]


def test_a_file_may_have_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"x" * 100)
    assert len(read_regular(path, 100)) == 100
    with pytest.raises(ValueError, match="a.yaml: the file has 100 bytes; expected at most 99"):
        read_regular(path, 99)


def test_too_many_files_are_no_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").touch()
    assert len(list(files_below(tmp_path, 5))) == 5
    with pytest.raises(ValueError, match="there are more than 4 files below it; name the folder of the data"):
        list(files_below(tmp_path, 4))
    assert files.MOST_FILES > 1_000_000


def test_the_error_names_both_sizes() -> None:
    with pytest.raises(TooManyPixelsError, match=r"a\.png: .*\(20,000 x 10,000, of at most 178,956,970\).*DETKIT_MAX_PIXELS=200000000"):
        limits.check_pixels((10_000, 20_000), "a.png")
