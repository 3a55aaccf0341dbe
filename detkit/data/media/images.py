"""The image reader, shared by training, evaluation and detection."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from detkit.arrays import ImageArray
from detkit.data.media.endings import check_jpeg_end, seems_whole
from detkit.data.media.exif import apply_orientation, exif_orientation, header_orientation
from detkit.data.media.files import check_regular, read_regular
from detkit.data.media.limits import MAX_PIXELS, TooManyPixelsError, advice, max_pixels
from detkit.data.media.signatures import describe_bytes
from detkit.data.media.tiff import is_tiff, is_white_zero, pillow_misreads, read_tiff
from detkit.structures import Size

IMAGE_EXTENSIONS: tuple[str, ...] = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff"),
    *(".webp", ".gif", ".ppm", ".pgm", ".jp2", ".avif"),
)
"""File extensions, in lower case, by which images are found in a folder."""

_UNREADABLE = Exception
"""What Pillow's decoders raise on broken files: RuntimeError, struct.error, AttributeError and others, which no list holds for long."""

_FAINT = 4096
"""16-bit images with all values below this come from a camera of 12 bits or fewer, and appear almost black."""

_HUGE = 1 << 27
"""Pixels from which PNG is decoded by OpenCV: Pillow needs seven bytes a pixel, four of its own and three of the result."""

_log = logging.getLogger(__name__)


def read_image(path: str | Path) -> ImageArray:
    """Read an image as ``(H, W, 3)`` uint8 RGB, upright: the EXIF orientation is applied, once.

    Gray is repeated over the three channels. Transparent pixels are composited over white, as in a viewer. 16-bit values
    are scaled from 0..65535 to 0..255, floats from 0..1. CMYK is converted without a color profile. Of an animation
    or a multi-page file the first image is read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a folder, empty, truncated, damaged, or not an image; the message names it and what to do.
    """
    return decode_image(_read_bytes(path), str(path))


def decode_image(data: bytes, name: str = "image", *, whole: bool = True) -> ImageArray:
    """Decode the bytes of an image file as :func:`read_image` does; messages refer to it as ``name``.

    Args:
        data: The bytes.
        name: The file.
        whole: Whether the bytes are of a whole image; of a part of one, no warning says that it is dark.

    Raises:
        ValueError: If the bytes are empty, truncated, damaged, or not an image.
    """
    try:
        header = _open_bytes(data, name)
    except ValueError:
        if is_tiff(data):
            return _decode_tiff(data, name)
        raise
    if pillow_misreads(header):
        return _decode_tiff(data, name)
    if header.format in ("JPEG", "MPO"):
        check_jpeg_end(data, name)
        image = _decode_with_opencv(data) if header.mode in ("RGB", "L") else None
        if image is not None and image.shape[:2] == (header.height, header.width):
            return apply_orientation(image, exif_orientation(header))
    if header.format == "PNG" and header.width * header.height > _HUGE:
        image = _decode_huge_png(data, header)
        if image is not None:
            return image
    return pil_to_rgb(header, name, whole=whole)


def pil_to_rgb(image: Image.Image, name: str = "image", *, whole: bool = True) -> ImageArray:
    """Convert a PIL image to the format of :func:`read_image`: ``(H, W, 3)`` uint8 RGB, upright.

    Args:
        image: The image.
        name: Its name in messages.
        whole: As for :func:`decode_image`.

    Raises:
        ValueError: If the image has no pixels, is damaged, or has values that cannot be interpreted as colors.
    """
    if 0 in image.size:
        raise ValueError(f"{name}: expected an image with pixels, got one of {image.width} x {image.height}")
    try:
        image.load()
        orientation = exif_orientation(image)  # after loading, because Pillow rotates a TIFF itself and then resets the orientation
        return apply_orientation(_to_rgb(image, name, whole), orientation)
    except _ImageError as error:
        raise ValueError(str(error)) from None
    except _UNREADABLE as error:
        raise _damaged(name, error) from None


def load_plain(path: str | Path) -> tuple[Image.Image, int] | None:
    """Return the decoded image of an opaque JPEG or PNG of 8 bits, as stored, and its orientation; None for other files.

    :func:`read_image` needs half as much memory again.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or is no image.
    """
    data = _read_bytes(path)
    header = _open_bytes(data, str(path))
    if header.format not in ("JPEG", "MPO", "PNG") or header.mode not in ("RGB", "L") or "transparency" in header.info:
        return None
    if header.format != "PNG":
        check_jpeg_end(data, str(path))
    orientation = header_orientation(header)
    try:
        header.load()
    except _UNREADABLE as error:
        raise _damaged(str(path), error) from None
    return header, orientation


def image_size(path: str | Path) -> Size:
    """Return the ``(height, width)`` that :func:`read_image` would return, without decoding pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a folder, empty, truncated, or not an image.
    """
    size, orientation = stored_size(path)
    return (size[1], size[0]) if orientation >= 5 else size


def stored_size(path: str | Path) -> tuple[Size, int]:
    """Return ``(height, width)`` of the stored pixels, and the EXIF orientation, 1 to 8, that makes them upright.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a folder, empty, truncated, or not an image.
    """
    check_regular(path)
    try:
        with open_header(path) as header:
            stored = _header_size(header)
            whole = header.fp is None or seems_whole(header.fp, header.format)
    except _UNREADABLE:
        data = _read_bytes(path)
    else:
        if not whole:
            read_image(path)
        return stored
    if is_tiff(data):
        return _decode_tiff(data, str(path)).shape[:2], 1
    header = _open_bytes(data, str(path))
    try:
        return _header_size(header)
    except _UNREADABLE as error:
        raise _damaged(str(path), error) from None


def _header_size(header: Image.Image) -> tuple[Size, int]:
    tags = getattr(header, "tag_v2", None)
    if tags is not None and header.format == "TIFF":  # Pillow returns the size of a TIFF after rotation
        return (int(tags[257]), int(tags[256])), header_orientation(header)
    return (header.height, header.width), header_orientation(header)


def open_header(file: str | Path | IO[bytes], formats: tuple[str, ...] | None = None) -> ImageFile.ImageFile:
    """Call ``Image.open``, by default for all formats, without its warning for images of half the limit; it raises above the limit."""
    # The filter is added once per process, at the first image and after all other filters, so that a program's own filters for this
    # warning take precedence. ``catch_warnings`` around each image would interfere with the filters of threads that read ahead, and
    # would show every other warning again.
    if all(row[2] is not Image.DecompressionBombWarning for row in warnings.filters):
        warnings.simplefilter("ignore", Image.DecompressionBombWarning, append=True)
    _limit_pillow(max_pixels())
    return Image.open(file, formats=formats)


_pillows_limit: list[int | None] = []
"""Pillow's own limit, while another one is set."""


def _limit_pillow(limit: int) -> None:
    """Make Pillow refuse images of more than ``limit`` pixels; with the usual limit it keeps its own."""
    if limit != MAX_PIXELS:
        if not _pillows_limit:
            _pillows_limit.append(Image.MAX_IMAGE_PIXELS)
        Image.MAX_IMAGE_PIXELS = -(-limit // 2)  # it raises an error at twice this number
    elif _pillows_limit:
        Image.MAX_IMAGE_PIXELS = _pillows_limit.pop()


def _read_bytes(path: str | Path) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such image file; check the path") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: expected an image file, got a folder; name a file in it") from None
    except OSError as error:
        raise ValueError(f"{path}: the file cannot be read ({error.strerror or error}); check its permissions and its disk") from None


def _open_bytes(data: bytes, name: str) -> ImageFile.ImageFile:
    if not data:
        raise ValueError(f"{name}: the file is empty (0 bytes); download or export the image again")
    try:
        return open_header(io.BytesIO(data))
    except UnidentifiedImageError:
        description = describe_bytes(data)
        raise ValueError(f"{name}: not a readable image: {description}") from None
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"{name}: the image has too many pixels to be read whole ({error}); {advice()}") from None
    except _UNREADABLE as error:
        raise _damaged(name, error) from None


def _damaged(name: str, error: Exception) -> ValueError:
    detail = " ".join(str(error).split())[:300] or type(error).__name__
    return ValueError(f"{name}: the image is damaged or truncated ({detail}); download or export the file again")


def _decode_huge_png(data: bytes, header: Image.Image) -> ImageArray | None:
    """Decode an opaque PNG of 8 bits with less memory than Pillow, or return None."""
    if header.mode not in ("RGB", "L") or "transparency" in header.info or not seems_whole(io.BytesIO(data), "PNG"):
        return None
    image = _decode_with_opencv(data)
    whole = image is not None and image.shape[:2] == (header.height, header.width)
    return apply_orientation(image, header_orientation(header)) if whole and image is not None else None


def _decode_with_opencv(data: bytes) -> ImageArray | None:
    """Decode to RGB as stored, or return None if OpenCV cannot, or is not installed; Pillow's pixels in two thirds of the time."""
    try:
        import cv2
    except ModuleNotFoundError:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), np.uint8)


class _ImageError(Exception):
    """An image that decodes, but whose values cannot be interpreted as colors."""


def _decode_tiff(data: bytes, name: str) -> ImageArray:
    """Decode a TIFF that Pillow does not read, with colors and alpha treated as in other files."""
    try:
        return apply_orientation(*read_tiff(data, name))
    except TooManyPixelsError:
        raise
    except ValueError as error:
        raise ValueError(f"{name}: a TIFF that cannot be read ({error}); save it with 8 or 16 bits as gray or RGB") from None


def _to_rgb(image: Image.Image, name: str, whole: bool) -> ImageArray:
    convert = _CONVERSIONS.get(image.mode)
    if convert is not None:
        values, zero = np.asarray(image), "white" if is_white_zero(image) else "black"
        gray = convert(values, name)
        if whole and image.mode != "F" and 0 < (high := int(values.max())) < _FAINT:
            _warn_of_faint(name, high, zero)
        if zero == "white":
            gray = 255 - gray
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        foreground = image.convert("RGBA")
        white = Image.new("RGBA", foreground.size, (255, 255, 255, 255))
        return np.array(Image.alpha_composite(white, foreground).convert("RGB"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


@cache  # once per file, not once per epoch
def _warn_of_faint(name: str, high: int, zero: str) -> None:
    _log.warning("%s: its largest value is %d of 65535, so it is read as nearly %s; scale the values to 16 bits", name, high, zero)


def _gray_from_integers(values: NDArray[np.generic], name: str) -> ImageArray:
    """Scale 16 bits to 8: 65535 becomes 255, and values in between are rounded."""
    wide = values.astype(np.int64)
    low, high = int(wide.min()), int(wide.max())
    if low < 0 or high > 65535:
        raise _ImageError(f"{name}: its gray values are from {low} to {high}; expected 0 to 65535; save it with 8 or 16 bits")
    return ((wide * 255 + 32767) // 65535).astype(np.uint8)


def _gray_from_floats(values: NDArray[np.generic], name: str) -> ImageArray:
    numbers = values.astype(np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    if not (low >= 0 and high <= 1):
        raise _ImageError(f"{name}: its floating-point values are from {low:g} to {high:g}; expected 0 to 1; save it with 8 or 16 bits")
    return np.rint(numbers * 255).astype(np.uint8)


_CONVERSIONS: dict[str, Callable[[NDArray[np.generic], str], ImageArray]] = {
    "I;16": _gray_from_integers,
    "I;16B": _gray_from_integers,
    "I;16L": _gray_from_integers,
    "I;16N": _gray_from_integers,
    "I": _gray_from_integers,
    "F": _gray_from_floats,
}
