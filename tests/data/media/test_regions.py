"""Windows of image files have the pixels of the whole image; large TIFF files are decoded in parts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detkit.data.media import regions, tiff_layout
from detkit.data.media.image_regions import ArrayRegions, ImageRegions
from detkit.data.media.images import read_image
from detkit.data.media.limits import STREAMED, VARIABLE, TooManyPixelsError
from detkit.data.media.regions import DecodedRegions, open_large, open_regions, reduced
from detkit.data.media.tiff_regions import TiffRegions
from detkit.ops.windows import Window

tifffile = pytest.importorskip("tifffile")

RANDOM = np.random.default_rng(0)
PIXELS = np.kron(RANDOM.integers(0, 256, (11, 13, 4)), np.ones((8, 8, 1))).astype(np.uint8)[:85, :101]
WIDE = PIXELS[:, :, :3].astype(np.uint16) * 211 + 3
PLANES = np.moveaxis(PIXELS[:, :, :3], -1, 0)

FILES = {
    "strips": (PIXELS[:, :, :3], {"photometric": "rgb", "rowsperstrip": 7}),
    "one long strip": (PIXELS[:, :, :3], {"photometric": "rgb", "rowsperstrip": 85}),
    "deflate": (PIXELS[:, :, :3], {"photometric": "rgb", "rowsperstrip": 16, "compression": "zlib", "predictor": True}),
    "tiles in BigTIFF": (PIXELS[:, :, :3], {"photometric": "rgb", "tile": (32, 48), "compression": "zlib", "bigtiff": True}),
    "big endian": (PIXELS[:, :, :3], {"photometric": "rgb", "rowsperstrip": 9, "byteorder": ">"}),
    "planes": (PLANES, {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 85}),
    "tiled planes": (PLANES, {"photometric": "rgb", "planarconfig": "separate", "tile": (32, 32)}),
    "alpha": (PIXELS, {"photometric": "rgb", "extrasamples": ["unassalpha"], "rowsperstrip": 10}),
    "16 bit": (WIDE, {"photometric": "rgb", "rowsperstrip": 10, "byteorder": ">", "compression": "zlib"}),
    "16 bit planes": (np.moveaxis(WIDE, -1, 0), {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 10}),
    "16 bit gray": (WIDE[:, :, 0], {"photometric": "miniswhite", "tile": (16, 16)}),
    "float": ((PIXELS[:, :, 0] / 255).astype(np.float32), {"photometric": "minisblack", "rowsperstrip": 10}),
}


def check_windows(path: Path, count: int = 12) -> TiffRegions:
    """Compare windows, some of which reach over the border, with the whole image."""
    whole, opened = read_image(path), open_regions(path)
    assert isinstance(opened, TiffRegions)
    assert opened.size == whole.shape[:2]
    assert opened.shape == whole.shape
    height, width = opened.size
    for _ in range(count):
        x1, x2 = sorted(RANDOM.integers(-5, width + 6, 2).tolist())
        y1, y2 = sorted(RANDOM.integers(-5, height + 6, 2).tolist())
        expected = whole[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
        np.testing.assert_array_equal(opened.read(Window(x1, y1, x2, y2)), expected)
    np.testing.assert_array_equal(opened[3:50, :], whole[3:50])
    return opened


@pytest.mark.parametrize("name", FILES)
def test_windows_of_a_tiff_equal_the_image(tmp_path: Path, name: str) -> None:
    pixels, options = FILES[name]
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    check_windows(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits"])
def test_windows_of_what_pillow_compresses(tmp_path: Path, compression: str) -> None:
    Image.fromarray(PIXELS[:, :, :3]).save(tmp_path / "a.tif", compression=compression, tiffinfo={278: 16})
    check_windows(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_are_upright(tmp_path: Path, orientation: int) -> None:
    Image.fromarray(PIXELS[:, :, :3]).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={278: 16, 274: orientation})
    check_windows(tmp_path / "a.tif", 6)


def test_only_the_strips_of_a_window_are_decoded(tmp_path: Path) -> None:
    """What follows a window may be damaged, and a row of windows decodes each strip once."""
    tifffile.imwrite(tmp_path / "a.tif", np.tile(PIXELS[:, :, :3], (8, 1, 1)), photometric="rgb", rowsperstrip=64, compression="zlib")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with open(tmp_path / "a.tif", "rb") as file:
        layout = tiff_layout.read_layout(file)
    assert layout is not None
    start, length = layout.offsets[5], layout.lengths[5]
    data[start : start + length] = bytes(length)
    (tmp_path / "a.tif").write_bytes(data)
    opened = open_regions(tmp_path / "a.tif")
    assert opened.read(Window(0, 0, 50, 300)).shape == (300, 50, 3)
    with pytest.raises(ValueError, match=r"a\.tif: the image is damaged or truncated"):
        opened.read(Window(0, 300, 50, 400))


def test_other_formats_are_decoded_whole_when_a_window_is_read(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[:, :, :3]).save(tmp_path / "a.png")
    opened = open_regions(tmp_path / "a.png")
    assert isinstance(opened, DecodedRegions)
    assert opened._pixels is None
    np.testing.assert_array_equal(opened.read(Window(5, 6, 50, 60)), PIXELS[6:60, 5:50, :3])
    opened.release()
    assert opened._pixels is None
    one_strip = Image.fromarray(PIXELS[:, :, :3])
    one_strip.save(tmp_path / "b.tif", compression="tiff_lzw", tiffinfo={278: 85})
    assert isinstance(open_regions(tmp_path / "b.tif"), TiffRegions)


@pytest.mark.parametrize(("name", "options"), [("a.jpg", {"quality": 90}), ("a.png", {})])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_windows_of_decoded_files_equal_the_image(tmp_path: Path, name: str, options: dict[str, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    for pixels in (PIXELS[:, :, :3], PIXELS[:, :, 0], PIXELS) if name == "a.png" else (PIXELS[:, :, :3], PIXELS[:, :, 0]):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif, **options)
        whole, opened = read_image(tmp_path / name), open_regions(tmp_path / name)
        assert opened.size == whole.shape[:2]
        for window in (Window(0, 0, 20, 30), Window(-5, 40, 50, 200), Window(60, 60, 85, 85), Window(200, 0, 220, 10)):
            expected = ArrayRegions(whole).read(window)
            np.testing.assert_array_equal(opened.read(window), expected)


def test_small_images_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[:, :, :3], photometric="rgb")
    assert isinstance(open_large(tmp_path / "a.tif"), np.ndarray)
    monkeypatch.setattr(regions, "LARGE_PIXELS", 100)
    assert isinstance(open_large(tmp_path / "a.tif"), ImageRegions)


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TIFF that is read in parts may be larger, but not of any size; other files keep the limit."""
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[:, :, :3], photometric="rgb")
    Image.fromarray(PIXELS[:, :, :3]).save(tmp_path / "a.png")
    pixels = 85 * 101
    monkeypatch.setenv(VARIABLE, str(pixels - 1))
    monkeypatch.setattr(regions, "LARGE_PIXELS", 100)
    assert open_large(tmp_path / "a.tif").shape == (85, 101, 3)
    with pytest.raises(TooManyPixelsError, match=r"--tiles 640, which reads a TIFF in parts, or raise the limit with --max-pixels"):
        open_large(tmp_path / "a.png")
    monkeypatch.setenv(VARIABLE, str(pixels // STREAMED))
    needed = -(-pixels // STREAMED)
    with pytest.raises(TooManyPixelsError, match=rf"too many pixels .* for tiles\); raise the limit with --max-pixels {needed}"):
        open_large(tmp_path / "a.tif")


@pytest.mark.parametrize("factor", [1, 2, 7, 200])
def test_reduction_averages_blocks(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "_BAND_PIXELS", 500)
    pixels = PIXELS[:, :, :3]
    result = reduced(ArrayRegions(pixels), Window(3, 0, 101, 80), factor)
    part = pixels[0:80, 3:101]
    assert result.shape == (-(-80 // factor), -(-98 // factor), 3)
    for y, x in ((0, 0), (len(result) - 1, result.shape[1] - 1)):
        block = part[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor].reshape(-1, 3)
        np.testing.assert_allclose(result[y, x], block.mean(0), atol=0.5001)


@pytest.mark.filterwarnings("ignore:Metadata Warning")
def test_broken_directories_are_refused_or_give_one_line(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[:, :, :3], photometric="rgb", rowsperstrip=7)
    data = (tmp_path / "a.tif").read_bytes()
    for length in range(0, 240, 7):
        (tmp_path / "b.tif").write_bytes(data[:length])
        assert TiffRegions.open(tmp_path / "b.tif") is None
    messages = []
    for position in range(240):
        broken = bytearray(data)
        broken[position] ^= 0xFF
        (tmp_path / "b.tif").write_bytes(broken)
        opened = TiffRegions.open(tmp_path / "b.tif")
        try:
            if opened is not None and opened.size[0] * opened.size[1] < 1e6:
                opened.read(Window(0, 0, 20, 20))
        except ValueError as error:
            messages.append(str(error))
    assert messages
    assert all(message.startswith(str(tmp_path / "b.tif")) and "\n" not in message for message in messages)


MEASURE = """
import resource, sys
from detkit.data.media.regions import open_regions, reduced
from detkit.ops.windows import Window
image = open_regions(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
height, width = image.size
for y in range(0, height - 640, 512):
    for x in range(0, width - 640, 512):
        image.read(Window(x, y, x + 640, y + 640))
assert reduced(image, Window(0, 0, width, height), 8).shape == (height // 8, width // 8, 3)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
@pytest.mark.parametrize("options", [{"rowsperstrip": 32}, {"tile": (256, 256)}])
def test_a_large_tiff_takes_little_memory(tmp_path: Path, options: dict[str, object]) -> None:
    """Its 6,000 x 8,000 pixels take 144 MB; a band of windows and the buffers of the decoder remain."""
    pixels = np.tile(RANDOM.integers(0, 256, (100, 80, 3), dtype=np.uint8), (60, 100, 1))
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", compression="zlib", **options)
    run = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path / "a.tif")], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 120e6
