"""The one image reader, used by training, evaluation and detection alike."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from detkit.data.exif import header_orientation, stored_orientation, turn
from detkit.data.tiff import is_tiff, is_white_zero, pillow_misreads, read_tiff
from detkit.structures import Size

IMAGE_ENDINGS: tuple[str, ...] = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff"),
    *(".webp", ".gif", ".ppm", ".pgm", ".jp2", ".avif"),
)
"""Endings, in lower case, by which images are found in a folder."""

Pixels = npt.NDArray[np.uint8]

_UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, OverflowError, MemoryError)
"""What Pillow's decoders raise on broken files."""

_FAINT = 4096
"""Sixteen-bit images whose values all lie below come from a camera of twelve bits or fewer, and show next to nothing."""

_LOGGER = logging.getLogger(__name__)

_VIDEOS = ((4, b"ftypisom"), (4, b"ftypmp4"), (4, b"ftypM4V"), (4, b"ftypqt"), (0, b"\x1aE\xdf\xa3"), (8, b"AVI "))

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftypheic", "a HEIC image: convert it to JPEG or PNG first"),
    (4, b"ftypheix", "a HEIC image: convert it to JPEG or PNG first"),
    (4, b"ftypmif1", "a HEIF image: convert it to JPEG or PNG first"),
    *((place, start, "a video: detkit detect looks at its frames; to train on them, save them as images") for place, start in _VIDEOS),
    (0, b"%PDF", "a PDF: save its pages as images first"),
    (0, b"<svg", "an SVG drawing: save it as PNG first"),
    (0, b"<?xml", "XML text"),
    (0, b"<!DOCTYPE html", "a web page: the download of the image failed, fetch it again"),
    (0, b"<html", "a web page: the download of the image failed, fetch it again"),
    (0, b"version https://git-lfs", "a Git LFS pointer: run `git lfs pull` to get the image itself"),
    (0, b"PK\x03\x04", "a zip archive: unpack it first"),
)


def read_image(path: str | Path) -> Pixels:
    """Read a image as ``(H, W, 3)`` uint8 RGB, upright: the EXIF orientation is applied, once.

    Gray is repeated over the three channels. What is transparent is laid over white, as a viewer shows it. Sixteen bits
    are scaled from 0..65535 to 0..255, and floats from 0..1. CMYK is converted without a color profile. Of an animation
    or a file of several pages the first image is taken.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is a folder, empty, cut off, damaged, or not a image; the message names it and says what to do.
    """
    return decode_image(_bytes_of(path), str(path))


def decode_image(data: bytes, name: str = "image") -> Pixels:
    """The image in the bytes of a file, as :func:`read_image` gives it; ``name`` is what messages call it.

    Raises:
        ValueError: the bytes are empty, cut off, damaged, or not a image.
    """
    try:
        header = _opened(data, name)
    except ValueError:
        if is_tiff(data):
            return _from_tiff(data, name)
        raise
    if pillow_misreads(header):
        return _from_tiff(data, name)
    if header.format in ("JPEG", "MPO"):
        _check_end_of_jpeg(data, name)
        image = _decoded_by_opencv(data) if header.mode in ("RGB", "L") else None
        if image is not None and image.shape[:2] == (header.height, header.width):
            return turn(image, stored_orientation(header))
    return rgb_of(header, name)


def rgb_of(image: Image.Image, name: str = "image") -> Pixels:
    """A image opened with PIL, as :func:`read_image` gives it: ``(H, W, 3)`` uint8 RGB, upright.

    Raises:
        ValueError: the image has no pixels, is damaged, or its values have no plain meaning as colors.
    """
    if 0 in image.size:
        raise ValueError(f"{name}: expected a image with pixels, got one of {image.width} x {image.height}")
    try:
        image.load()
        orientation = stored_orientation(image)  # after loading, because Pillow turns a TIFF upright itself and then says so
        return turn(_as_rgb(image, name), orientation)
    except _ImageError as error:
        raise ValueError(str(error)) from None
    except _UNREADABLE as error:
        raise ValueError(f"{name}: the image is damaged or cut off ({error}); fetch or export the file again") from None


def image_size(path: str | Path) -> Size:
    """``(height, width)`` of the image that :func:`read_image` would give; pixels are not decoded.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is a folder, empty, or not a image.
    """
    size, orientation = stored_size(path)
    return (size[1], size[0]) if orientation >= 5 else size


def stored_size(path: str | Path) -> tuple[Size, int]:
    """``(height, width)`` as the pixels lie in the file, and the EXIF orientation, 1 to 8, that turns them upright.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is a folder, empty, or not a image.
    """
    try:
        with _open(path) as header:
            return _stored(header)
    except (*_UNREADABLE, Image.DecompressionBombError):
        data = _bytes_of(path)
    if is_tiff(data):
        return _from_tiff(data, str(path)).shape[:2], 1
    return _stored(_opened(data, str(path)))


def _stored(header: Image.Image) -> tuple[Size, int]:
    tags = getattr(header, "tag_v2", None)
    if tags is not None and header.format == "TIFF":  # Pillow gives the size of a TIFF as it is once turned
        return (int(tags[257]), int(tags[256])), header_orientation(header)
    return (header.height, header.width), header_orientation(header)


def _open(file: str | Path | IO[bytes]) -> ImageFile.ImageFile:
    """``Image.open``, without a warning of 89 megapixels and more, which are read as any others; it raises from 179 on."""
    # Once a process, at its first image, and behind all filters, so that what a program says of this warning holds. Around each
    # image, ``catch_warnings`` would mix up the filters of threads that read ahead, and let every other warning be shown anew.
    if all(row[2] is not Image.DecompressionBombWarning for row in warnings.filters):
        warnings.simplefilter("ignore", Image.DecompressionBombWarning, append=True)
    return Image.open(file)


def _bytes_of(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such image file; check the path") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: expected a image file, got a folder; name a file in it") from None
    except OSError as error:
        raise ValueError(f"{path}: the file cannot be read ({error.strerror or error}); check its permissions and its disk") from None


def _opened(data: bytes, name: str) -> ImageFile.ImageFile:
    if not data:
        raise ValueError(f"{name}: the file is empty (0 bytes); fetch or export the image again")
    try:
        return _open(io.BytesIO(data))
    except UnidentifiedImageError:
        kind = _kind_of(data)
        raise ValueError(f"{name}: not a image that can be read: {kind}") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name}: the image has too many pixels to be read whole ({error}); cut it into tiles first") from None
    except _UNREADABLE as error:
        raise ValueError(f"{name}: the image is damaged or cut off ({error}); fetch or export the file again") from None


def _kind_of(data: bytes) -> str:
    for offset, signature, kind in _SIGNATURES:
        if data[offset : offset + len(signature)].lower() == signature.lower():
            return f"it is {kind}"
    if not any(data):
        return f"its {len(data)} bytes are all zero; the copy failed, fetch or export the file again"
    return f"it begins with {data[:8]!r}; expected JPEG, PNG, TIFF, WebP, BMP or GIF"


def _check_end_of_jpeg(data: bytes, name: str) -> None:
    """Refuse a JPEG that was cut off: the decoders would fill the rest with gray and say nothing.

    An end marker cannot occur within the compressed pixels, where 0xFF is always followed by zero or a restart marker;
    it can before them, in an embedded thumbnail, so where the file does not end with one, the last scan is searched.
    """
    end = b"\xff\xd9"
    if end not in data[-64:] and data.find(end, max(data.rfind(b"\xff\xda"), 0)) < 0:
        raise ValueError(f"{name}: the JPEG is cut off after {len(data)} bytes; fetch or export the file again")


def _decoded_by_opencv(data: bytes) -> Pixels | None:
    """RGB as stored, not turned; None if OpenCV cannot read it. The same pixels as Pillow's in two thirds of the time."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), np.uint8)


class _ImageError(Exception):
    """A image that decodes but whose values have no plain meaning as colors."""


def _from_tiff(data: bytes, name: str) -> Pixels:
    """What Pillow does not read: colors and alpha as for other files."""
    try:
        values, orientation = read_tiff(data)
    except ValueError as error:
        raise ValueError(f"{name}: a TIFF that cannot be read ({error}); save it with 8 or 16 bits as gray or RGB") from None
    channels = values.shape[2]
    color_spaces = values[:, :, : 1 if channels < 3 else 3]
    if channels in (2, 4):
        alpha = values[:, :, -1:]
        color_spaces = color_spaces * alpha + (1 - alpha)
    return turn(np.rint(np.broadcast_to(color_spaces, (*color_spaces.shape[:2], 3)) * 255).astype(np.uint8), orientation)


def _as_rgb(image: Image.Image, name: str) -> Pixels:
    convert = _CONVERSIONS.get(image.mode)
    if convert is not None:
        values, zero = np.asarray(image), "white" if is_white_zero(image) else "black"
        gray = convert(values, name)
        if image.mode != "F" and 0 < (high := int(values.max())) < _FAINT:
            _warn_of_faint(name, high, zero)
        if zero == "white":
            gray = 255 - gray
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, (255, 255, 255, 255))
        return np.array(Image.alpha_composite(white, above).convert("RGB"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


@cache  # one line a file, not one an epoch
def _warn_of_faint(name: str, high: int, zero: str) -> None:
    _LOGGER.warning("%s: its values run to %d of 65535: it is read as nearly %s; scale the values to 16 bits", name, high, zero)


def _grey_from_integers(values: npt.NDArray[np.generic], name: str) -> Pixels:
    """Sixteen bits to eight: 65535 becomes 255 and what lies between is rounded."""
    wide = values.astype(np.int64)
    low, high = int(wide.min()), int(wide.max())
    if low < 0 or high > 65535:
        raise _ImageError(f"{name}: its gray values run from {low} to {high}; expected 0 to 65535; save it with 8 or 16 bits")
    return ((wide * 255 + 32767) // 65535).astype(np.uint8)


def _grey_from_floats(values: npt.NDArray[np.generic], name: str) -> Pixels:
    numbers = values.astype(np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    if not (low >= 0 and high <= 1):
        raise _ImageError(f"{name}: its floating-point values run from {low:g} to {high:g}; expected 0 to 1; save it with 8 or 16 bits")
    return np.rint(numbers * 255).astype(np.uint8)


_CONVERSIONS: dict[str, Callable[[npt.NDArray[np.generic], str], Pixels]] = {
    "I;16": _grey_from_integers,
    "I;16B": _grey_from_integers,
    "I;16L": _grey_from_integers,
    "I;16N": _grey_from_integers,
    "I": _grey_from_integers,
    "F": _grey_from_floats,
}
