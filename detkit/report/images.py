"""Thumbnails and crops of images as ``data:`` addresses, made in threads and within a given number of bytes."""

from __future__ import annotations

import base64
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from detkit.arrays import ImageArray

Box = tuple[float, float, float, float]
Reader = Callable[[Any], ImageArray]
"""Returns the image of a key as ``(H, W, 3)`` uint8 RGB; raises OSError or ValueError if it cannot be read."""

QUALITY = 72
"""Quality of WebP, of 100."""
MAX_BYTES = 20_000_000
"""Limit of all images of a page, in bytes of its file."""
CONTEXT, LEAST_REGION = 0.6, 72.0
"""Surroundings shown around a box on each side, as a fraction of its longer side; the smallest side of a crop in pixels of the image."""


@dataclass(frozen=True)
class Wanted:
    """An image or a part of one to show.

    Attributes:
        key: The image, for the reader.
        region: The part, ``x1 y1 x2 y2`` in pixels of the image; None for all of it.
        max_side: Its longer side in the page's file, in pixels; smaller images are not enlarged.
    """

    key: Hashable
    region: Box | None = None
    max_side: int = 256


@dataclass(frozen=True)
class Thumbnail:
    """An image as it is in a page.

    Attributes:
        uri: Its ``data:`` address.
        width: Its width in pixels.
        height: Its height in pixels.
        region: The part of the original that it shows, ``x1 y1 x2 y2`` in pixels of the original.
    """

    uri: str
    width: int
    height: int
    region: Box


@dataclass(frozen=True)
class Thumbnails:
    """The thumbnails of a page.

    Attributes:
        images: One of each request, in order; None where it was left out or could not be read.
        failed: Why images could not be read, by key.
        left_out: Number of requests beyond the limit of bytes.
        size: Bytes of all in the page's file.
    """

    images: tuple[Thumbnail | None, ...]
    failed: dict[Hashable, str]
    left_out: int
    size: int


def thumbnails(requests: Sequence[Wanted], read: Reader, max_bytes: int = MAX_BYTES) -> Thumbnails:
    """Read, crop, shrink and encode images; each is read once, and the first requests go first where not all fit.

    Args:
        requests: The images, most important first.
        read: Reads an image by its key; called in several threads.
        max_bytes: Limit of the bytes of all.
    """
    by_key: dict[Hashable, list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        by_key[request.key].append(index)
    images: list[Thumbnail | None] = [None] * len(requests)
    failed: dict[Hashable, str] = {}
    size = left_out = 0
    for key, made in _made(by_key, requests, read):
        if isinstance(made, str):
            failed[key] = made
            continue
        for index, image in zip(by_key[key], made, strict=True):
            if size + len(image.uri) > max_bytes:
                left_out += 1
            else:
                images[index], size = image, size + len(image.uri)
        if left_out:  # what follows is less important, and left out as well
            max_bytes = size
    return Thumbnails(tuple(images), failed, len(requests) - sum(image is not None for image in images) - _count(by_key, failed), size)


def encode(image: ImageArray, max_side: int, region: Box | None = None) -> Thumbnail:
    """Return an image, ``(H, W, 3)`` uint8 RGB, or a part of it, as it is in a page."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = _inside(region or (0.0, 0.0, width, height), width, height)
    part = image[y1:y2, x1:x2]
    scale = min(1.0, max_side / max(part.shape[:2]))
    if scale < 1:
        sides = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        part = cv2.resize(np.ascontiguousarray(part), sides, interpolation=cv2.INTER_AREA).astype(np.uint8)
    _, data = cv2.imencode(".webp", cv2.cvtColor(part, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    uri = "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode("ascii")
    return Thumbnail(uri, part.shape[1], part.shape[0], (float(x1), float(y1), float(x2), float(y2)))


def region_around(boxes: Sequence[Box]) -> Box:
    """Return the region of an image that shows boxes with their surroundings; it may reach over the image's border."""
    x1, y1 = min(box[0] for box in boxes), min(box[1] for box in boxes)
    x2, y2 = max(box[2] for box in boxes), max(box[3] for box in boxes)
    side = max(x2 - x1, y2 - y1)
    half_width, half_height = (max(length / 2 + CONTEXT * side, LEAST_REGION / 2) for length in (x2 - x1, y2 - y1))
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def _made(by_key: dict[Hashable, list[int]], requests: Sequence[Wanted], read: Reader) -> Iterator[tuple[Hashable, list[Thumbnail] | str]]:
    """Yield the thumbnails of each image in order, or why it cannot be read; few images are in memory at a time."""

    def work(key: Hashable) -> list[Thumbnail] | str:
        try:
            image = read(key)
            return [encode(image, requests[index].max_side, requests[index].region) for index in by_key[key]]
        except (OSError, ValueError) as error:
            return str(error)

    keys = list(by_key)
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(keys), 4 * workers):
            part = keys[start : start + 4 * workers]
            yield from zip(part, pool.map(work, part), strict=True)


def _inside(region: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return whole pixels of a region inside an image, at least one."""
    x1, y1 = min(max(int(region[0]), 0), width - 1), min(max(int(region[1]), 0), height - 1)
    return x1, y1, max(min(int(np.ceil(region[2])), width), x1 + 1), max(min(int(np.ceil(region[3])), height), y1 + 1)


def _count(by_key: dict[Hashable, list[int]], failed: dict[Hashable, str]) -> int:
    return sum(len(by_key[key]) for key in failed)
