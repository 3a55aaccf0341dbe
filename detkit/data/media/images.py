"""The image reader, shared by training, evaluation and detection."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from detkit.arrays import ImageArray
from detkit.data.media.colors import ImageValuesError, to_rgb
from detkit.data.media.endings import check_jpeg_end, seems_whole
from detkit.data.media.exif import apply_orientation, exif_orientation, header_orientation
from detkit.data.media.files import check_regular, read_regular
from detkit.data.media.limits import MAX_PIXELS, TooManyPixelsError, advice, max_pixels
from detkit.data.media.signatures import describe_bytes
from detkit.data.media.tiff import is_tiff, pillow_misreads, read_tiff
from detkit.data.storage.files import is_stored, read_stored
from detkit.structures import Size

IMAGE_EXTENSIONS: tuple[str, ...] = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff"),
    *(".webp", ".gif", ".ppm", ".pgm", ".jp2", ".avif"),
)
"""File extensions, in lower case, by which images are found in a folder."""

_UNREADABLE = Exception
"""What Pillow's decoders raise on broken files: RuntimeError, struct.error, AttributeError and others, which no list holds for long."""

_HUGE, _HUGE_BYTES = 1 << 26, 1 << 20
"""Pixels, and bytes of the file, from which an image is decoded right into its array."""


def read_image(path: str | Path) -> ImageArray:
    """Read an image as ``(H, W, 3)`` uint8 RGB, upright: the EXIF orientation is applied, once.

    Gray is repeated over the three channels. Transparent pixels are composited over white, as in a viewer. 16-bit values
    are scaled from 0..65535 to 0..255, floats from 0..1. CMYK is converted without a color profile. Of an animation
    or a multi-page file the first image is read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a folder, empty, truncated, damaged, or not an image; the message names it and what to do.
    """
    image = _read_huge(Path(path))
    return decode_image(_read_bytes(path), str(path)) if image is None else image


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
        return apply_orientation(to_rgb(image, name, whole), orientation)
    except ImageValuesError as error:
        raise ValueError(str(error)) from None
    except _UNREADABLE as error:
        raise _damaged(name, error) from None


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
    file = io.BytesIO(read_stored(path)) if is_stored(path) else path
    try:
        with open_header(file) as header:
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
    if is_stored(path):
        return read_stored(path)
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


def _read_huge(path: Path) -> ImageArray | None:
    """Decode a huge opaque JPEG or PNG of 8 bits with the memory of its pixels alone; None for all other files.

    The usual way keeps the bytes of the file and decodes to a copy, which takes twice as much.
    """
    if not path.is_file() or path.stat().st_size < _HUGE_BYTES:
        return None
    try:
        import cv2

        with open_header(path) as header:
            size, orientation = (header.height, header.width), header_orientation(header)
            plain = header.format in ("JPEG", "PNG") and header.mode in ("RGB", "L") and "transparency" not in header.info
            if not plain or size[0] * size[1] < _HUGE or header.fp is None or not seems_whole(header.fp, header.format):
                return None
        if header.format == "JPEG":
            check_jpeg_end(_read_bytes(path), str(path))
        pixels = np.empty((*size, 3), np.uint8)
        image = cv2.imread(str(path), pixels, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except _UNREADABLE:  # the usual way reports what is wrong
        return None
    return apply_orientation(pixels, orientation) if image is not None and np.shares_memory(image, pixels) else None


def _decode_with_opencv(data: bytes) -> ImageArray | None:
    """Decode to RGB as stored, or return None if OpenCV cannot, or is not installed; Pillow's pixels in two thirds of the time."""
    try:
        import cv2
    except ModuleNotFoundError:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _decode_tiff(data: bytes, name: str) -> ImageArray:
    """Decode a TIFF that Pillow does not read, with colors and alpha treated as in other files."""
    try:
        return apply_orientation(*read_tiff(data, name))
    except TooManyPixelsError:
        raise
    except ValueError as error:
        raise ValueError(f"{name}: a TIFF that cannot be read ({error}); save it with 8 or 16 bits as gray or RGB") from None
