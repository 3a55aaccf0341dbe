"""The image reader returns upright 8-bit RGB for every kind of file."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import pytest
import skimage.data
import tifffile
from PIL import Image, ImageOps, features

from detkit.data import decode_image, image_size, read_image
from detkit.data.media.exif import apply_orientation, orient_boxes
from detkit.data.media.images import stored_size

COLOR = (200, 30, 60)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str = "RGB", color: Any = COLOR) -> Image.Image:
    return Image.new("RGB", (8, 6), color).convert(mode) if mode not in ("RGBA", "LA") else Image.new(mode, (8, 6), color)


def sixteen_bit(*, gray: bool) -> np.ndarray:
    """Return 6 x 8 pixels of 16 bits, with 257 times COLOR, or 257 times 100 for gray."""
    if gray:
        return np.full((6, 8), 100 * 257, np.uint16)
    return np.broadcast_to(np.array(COLOR, np.uint16) * 257, (6, 8, 3)).copy()


def as_tiff(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(skimage.data.astronaut()[:120, 60:140])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(photograph: Image.Image, kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photograph, kind, exif=exif)
    expected = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert expected.shape == ((80, 120, 3) if orientation >= 5 else (120, 80, 3))
    decoded = decode_image(data)
    np.testing.assert_array_equal(decoded, expected)
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable
    path = tmp_path / "image"
    path.write_bytes(data)
    assert image_size(path) == expected.shape[:2]
    assert stored_size(path) == ((120, 80), orientation)


def test_orientation_in_xmp_is_applied_as_by_pillow(photograph: Image.Image) -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = encoded(photograph, "JPEG", xmp=packet)
    np.testing.assert_array_equal(decode_image(data), np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))))


@pytest.mark.parametrize("value", [0, 9, 77])
def test_invalid_orientations_count_as_upright(photograph: Image.Image, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert decode_image(encoded(photograph, "JPEG", exif=exif)).shape == (120, 80, 3)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def rotated_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
ORIENTATION_CHUNKS = {
    "exif": png_chunk(b"eXIf", rotated_exif().tobytes().removeprefix(b"Exif\0\0")),
    "xmp": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    "raw profile": png_chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n40\n" + rotated_exif().tobytes().hex().encode())
    ),
}


@pytest.mark.parametrize("kind", ORIENTATION_CHUNKS)
@pytest.mark.parametrize("after_pixels", [False, True])
def test_png_orientation_is_found_before_and_after_the_pixels(
    photograph: Image.Image, kind: str, after_pixels: bool, tmp_path: Path
) -> None:
    plain = encoded(photograph, "PNG")
    position = plain.index(b"IEND" if after_pixels else b"IDAT") - 4
    data = plain[:position] + ORIENTATION_CHUNKS[kind] + plain[position:]
    (tmp_path / "a.png").write_bytes(data)
    assert decode_image(data).shape == (80, 120, 3)
    assert image_size(tmp_path / "a.png") == (80, 120)
    assert stored_size(tmp_path / "a.png") == ((120, 80), 6)


EXIF_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", *(("AVIF",) if features.check("avif") else ()))


@pytest.mark.parametrize(
    ("kind", "with_exif"),
    [*((kind, True) for kind in EXIF_FORMATS), *((kind, False) for kind in (*EXIF_FORMATS, "GIF", "BMP", "JPEG2000"))],
)
def test_sizes_are_read_without_decoding(
    photograph: Image.Image, kind: str, with_exif: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(photograph, kind, **({"exif": rotated_exif()} if with_exif else {}))
    if kind == "PNG":  # as written by ImageMagick
        position = data.index(b"IEND") - 4
        data = data[:position] + png_chunk(b"tEXt", b"date:create\x002026-01-01") + data[position:]
    (tmp_path / "image").write_bytes(data)

    def load(self: Image.Image) -> None:
        raise AssertionError("the pixels are decoded")

    monkeypatch.setattr(type(Image.open(io.BytesIO(data))), "load", load)
    assert image_size(tmp_path / "image") == ((80, 120) if with_exif else (120, 80))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_follow_their_pixels(orientation: int) -> None:
    stored = np.zeros((20, 30, 1), np.uint8)
    stored[3:9, 5:25] = 1
    upright = apply_orientation(stored, orientation)[:, :, 0]
    x1, y1, x2, y2 = orient_boxes(np.array([[5.0, 3.0, 25.0, 9.0]]), orientation, (20, 30))[0].astype(int)
    expected = np.zeros_like(upright)
    expected[y1:y2, x1:x2] = 1
    np.testing.assert_array_equal(upright, expected)


WHITE_HALF = tuple(round(value * 128 / 255 + 255 * 127 / 255) for value in COLOR)
GRAY = (100, 100, 100)

FILES: dict[str, tuple[bytes, tuple[int, int, int], int]] = {
    "progressive jpeg": (encoded(plain(), "JPEG", progressive=True, quality=95), COLOR, 2),
    "gray jpeg": (encoded(plain("L", GRAY), "JPEG"), GRAY, 1),
    "cmyk jpeg": (encoded(plain("CMYK"), "JPEG", quality=95), COLOR, 2),
    "cmyk tiff": (encoded(plain("CMYK"), "TIFF"), COLOR, 1),
    "ycbcr tiff": (encoded(plain("YCbCr"), "TIFF"), COLOR, 2),
    "lzw tiff": (encoded(plain(), "TIFF", compression="tiff_lzw"), COLOR, 0),
    "webp": (encoded(plain(), "WEBP", lossless=True), COLOR, 0),
    "bmp": (encoded(plain(), "BMP"), COLOR, 0),
    "ppm": (encoded(plain(), "PPM"), COLOR, 0),
    "palette png": (encoded(plain().quantize(4), "PNG"), COLOR, 0),
    "palette gif": (encoded(plain().quantize(4), "GIF"), COLOR, 0),
    "gray png": (encoded(plain("L", GRAY), "PNG"), GRAY, 0),
    "one bit png": (encoded(plain("1", (255, 255, 255)), "PNG"), (255, 255, 255), 0),
    "half transparent png": (encoded(plain("RGBA", (*COLOR, 128)), "PNG"), WHITE_HALF, 1),
    "transparent webp": (encoded(plain("RGBA", (*COLOR, 0)), "WEBP"), (255, 255, 255), 0),
    "opaque png with alpha": (encoded(plain("RGBA", (*COLOR, 255)), "PNG"), COLOR, 0),
    "gray with alpha": (encoded(plain("LA", (100, 128)), "PNG"), (177, 177, 177), 1),
    "transparent color": (encoded(plain(), "PNG", transparency=COLOR), (255, 255, 255), 0),
    "16 bit gray png": (cv2.imencode(".png", sixteen_bit(gray=True))[1].tobytes(), GRAY, 0),
    "16 bit gray pgm": (cv2.imencode(".pgm", sixteen_bit(gray=True))[1].tobytes(), GRAY, 0),
    "16 bit gray tiff": (as_tiff(sixteen_bit(gray=True)), GRAY, 0),
    "16 bit gray tiff, big-endian": (as_tiff(sixteen_bit(gray=True), byteorder=">"), GRAY, 0),
    "16 bit gray tiff, zero is white": (as_tiff(65535 - sixteen_bit(gray=True), photometric="miniswhite"), GRAY, 0),
    "16 bit color png": (cv2.imencode(".png", sixteen_bit(gray=False)[:, :, ::-1])[1].tobytes(), COLOR, 0),
    "16 bit color tiff": (as_tiff(sixteen_bit(gray=False), photometric="rgb"), COLOR, 0),
    "16 bit color tiff in planes": (
        as_tiff(np.moveaxis(sixteen_bit(gray=False), 2, 0), photometric="rgb", planarconfig="separate"),
        COLOR,
        0,
    ),
    "float gray tiff": (as_tiff((sixteen_bit(gray=True) / 65535).astype(np.float32)), GRAY, 0),
    "float color tiff": (as_tiff((sixteen_bit(gray=False) / 65535).astype(np.float32), photometric="rgb"), COLOR, 0),
}


NEEDS_PILLOW_13 = pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="Pillow before 13 cannot read what it writes here")


@pytest.mark.parametrize("name", [pytest.param(name, marks=NEEDS_PILLOW_13 if name == "ycbcr tiff" else ()) for name in FILES])
def test_colors_of_every_kind_of_file(name: str, tmp_path: Path) -> None:
    data, color, tolerance = FILES[name]
    path = tmp_path / "image"
    path.write_bytes(data)
    image = read_image(path)
    assert (image.shape, image.dtype) == ((6, 8, 3), np.uint8)
    assert np.abs(image.astype(int) - color).max() <= tolerance, image[0, 0]
    assert image_size(path) == (6, 8)


def test_inverted_adobe_cmyk() -> None:
    """Photoshop's CMYK JPEGs store 255 - ink, marked by an Adobe segment; without the segment the ink itself is stored."""
    data = encoded(plain("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    assert np.abs(decode_image(data).astype(int) - COLOR).max() <= 2


def test_sixteen_bits_are_scaled_not_truncated() -> None:
    ramp = np.linspace(0, 65535, 256 * 6).reshape(6, 256).astype(np.uint16)
    decoded = decode_image(cv2.imencode(".png", ramp)[1].tobytes())[:, :, 0]
    np.testing.assert_array_equal(decoded, np.rint(ramp / 257.0).astype(np.uint8))
    assert (decoded.min(), decoded.max()) == (0, 255)


def test_faint_sixteen_bit_images_are_warned_about_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ramp = np.linspace(0, 4095, 256 * 6).reshape(6, 256).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "twelve.png"), ramp)
    for _ in range(2):
        assert read_image(tmp_path / "twelve.png").max() == 16
    assert caplog.messages == [
        f"{tmp_path / 'twelve.png'}: its largest value is 4095 of 65535, so it is read as nearly black; scale the values to 16 bits"
    ]
    caplog.clear()
    assert decode_image(as_tiff(ramp, photometric="miniswhite"), "negative.tif").min() == 239
    assert "negative.tif: its largest value is 4095 of 65535, so it is read as nearly white;" in caplog.text
    caplog.clear()
    for values in (ramp * 2, ramp * 0):
        decode_image(cv2.imencode(".png", values)[1].tobytes(), "other.png")
    assert caplog.messages == []


def test_large_images_are_read_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(encoded(plain(), "PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8 * 6 - 1)
    with warnings.catch_warnings(record=True) as caught:
        assert image_size(tmp_path / "a.png") == read_image(tmp_path / "a.png").shape[:2] == (6, 8)
        before = list(warnings.filters)
        image_size(tmp_path / "a.png")
        assert warnings.filters == before
    assert caught == []
    with pytest.warns(Image.DecompressionBombWarning):  # the program asked for the warning
        read_image(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", (8 * 6 - 1) // 2)
    with pytest.raises(ValueError, match="a.png: the image has too many pixels to be read whole"):
        read_image(tmp_path / "a.png")


def test_first_image_of_animations_and_pages() -> None:
    frames = [plain(), plain(color=(0, 0, 255)).copy()]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert np.abs(decode_image(data)[0, 0].astype(int) - COLOR).max() <= 3, kind


def test_jpeg_equals_pillow_exactly(photograph: Image.Image) -> None:
    for options in ({"quality": 90}, {"quality": 75, "progressive": True}, {"quality": 90, "subsampling": 0}):
        data = encoded(photograph, "JPEG", **options)
        np.testing.assert_array_equal(decode_image(data), np.array(Image.open(io.BytesIO(data))))


def test_bytes_after_the_end_of_a_jpeg_are_ignored(photograph: Image.Image) -> None:
    data = encoded(photograph, "JPEG")
    np.testing.assert_array_equal(decode_image(data + b"\x00" * 3000), decode_image(data))


def test_real_photographs_equal_pillow(shared: Path) -> None:
    for path in sorted((shared / "data" / "coco_sample" / "images").glob("*.jpg"))[:12]:
        expected = np.array(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        np.testing.assert_array_equal(read_image(path), expected)
        assert image_size(path) == expected.shape[:2]
