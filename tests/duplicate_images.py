"""Photographs of different things, data sets of image files, and copies as people make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from detkit.arrays import ImageArray
from detkit.curation.parts import LabeledParts, of_data
from detkit.data import DetectionData
from detkit.data.media.images import image_size
from detkit.data.records import ImageRecord
from detkit.structures import Targets

SIDE = 96


def is_detailed(image: ImageArray) -> bool:
    """Return whether most blocks of an image show details."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    details = gray - cv2.GaussianBlur(gray, (0, 0), 3)
    return bool((details.reshape(8, SIDE // 8, 8, SIDE // 8).std(axis=(1, 3)) > 2).mean() > 0.6)


@cache
def photographs() -> tuple[ImageArray, ...]:
    """Regions of the photographs of scikit-image that do not overlap and show more than one color: more than 200 different images."""
    from skimage import data

    images = []
    for name in (
        "astronaut",
        "cat",
        "coffee",
        "rocket",
        "retina",
        "immunohistochemistry",
        "hubble_deep_field",
        "camera",
        "brick",
        "grass",
        "gravel",
    ):
        try:
            image = getattr(data, name)()
        except Exception:  # one that must be downloaded
            continue
        image = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image
        for y in range(0, image.shape[0] - SIDE + 1, SIDE):
            for x in range(0, image.shape[1] - SIDE + 1, SIDE):
                region = np.ascontiguousarray(image[y : y + SIDE, x : x + SIDE])
                if is_detailed(region):
                    images.append(cv2.resize(region, (2 * SIDE, 2 * SIDE - 32), interpolation=cv2.INTER_CUBIC))
    return tuple(images)


def save(path: Path, image: ImageArray, quality: int = 95) -> Path:
    """Write an RGB image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else [])
    return path


def dataset(parts: Mapping[str, list[Path]], name: str) -> LabeledParts:
    """Return a data set of images without objects."""
    data = {
        part: DetectionData.of(
            name, ("thing",), [ImageRecord(path, number, image_size(path), Targets.empty()) for number, path in enumerate(paths)]
        )
        for part, paths in parts.items()
    }
    return of_data(name, data)


def _small(image: ImageArray) -> ImageArray:
    return cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _cropped(image: ImageArray) -> ImageArray:
    return np.ascontiguousarray(image[3:-3, 3:-3])


CHANGES: tuple[Callable[[ImageArray], ImageArray], ...] = (
    lambda image: image,
    _small,
    lambda image: np.ascontiguousarray(image[:, ::-1]),
    lambda image: np.ascontiguousarray(_small(image)[:, ::-1]),
    lambda image: _small(_cropped(image)),
    lambda image: np.ascontiguousarray(np.rot90(image)),
    lambda image: np.clip(image.astype(int) + 20, 0, 255).astype(np.uint8),
)
"""Copies as people make them; each is also compressed again."""
