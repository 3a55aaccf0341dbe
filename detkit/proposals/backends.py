"""Named proposal backends with a common protocol."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from detkit.arrays import ImageArray
from detkit.proposals.search_config import Mode, SelectiveSearchConfig
from detkit.registry import Registry
from detkit.structures import Proposals

BACKENDS = Registry(
    "proposal backend",
    "detkit.proposals",
    {
        "detkit": "detkit.proposals.backends:SelectiveSearch",
        "opencv": "detkit.proposals.backends:OpenCV",
        "selectivesearch": "detkit.proposals.backends:SelectiveSearchPackage",
    },
)
"""Backend classes by name; each implements :class:`Backend` and is constructed without arguments."""

ALGORITHM_VERSION = 3
"""Incremented whenever the same image and settings give different boxes, which invalidates cached proposals."""


class SearchSettings(Protocol):
    """The settings that a backend may read from a config."""

    @property
    def mode(self) -> Mode:
        """Thoroughness of the search."""

    @property
    def seed(self) -> int:
        """Random seed of the ranking."""


class Backend(Protocol):
    """Computes the proposals of one image; picklable, so that it can be sent to other processes."""

    @property
    def version(self) -> str:
        """Name and version of everything the proposals depend on besides image and settings, such as a release or a checkpoint's hash."""

    def __call__(self, image: ImageArray, settings: SearchSettings, threads: int | None = None) -> Proposals:
        """Return all proposals, best first, in the pixels of the image; they are filtered later.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, at least one pixel.
            settings: Mode and seed, used where the backend has them.
            threads: Maximum number of threads; by default as many as torch uses.
        """


class SelectiveSearch:
    """detkit's own selective search, see :func:`detkit.proposals.selective_search`."""

    @property
    def version(self) -> str:
        """See :data:`ALGORITHM_VERSION`."""
        return f"detkit {ALGORITHM_VERSION}"

    def __call__(self, image: ImageArray, settings: SearchSettings, threads: int | None = None) -> Proposals:
        """See :class:`Backend`."""
        from detkit.proposals.search import selective_search

        return selective_search(image, config=SelectiveSearchConfig.of(settings.mode, seed=settings.seed), threads=threads)


class OpenCV:
    """Selective search of OpenCV's ``ximgproc``, whose random ranking cannot be seeded.

    Raises:
        ImportError: If OpenCV was built without it.
    """

    def __init__(self) -> None:
        import cv2

        if not hasattr(cv2, "ximgproc") or not hasattr(cv2.ximgproc, "segmentation"):
            raise ImportError(
                f"proposal backend opencv: OpenCV {cv2.__version__} has no cv2.ximgproc; install opencv-contrib-python in place of "
                "opencv-python and opencv-python-headless"
            )

    @property
    def version(self) -> str:
        """Version of OpenCV."""
        import cv2

        return f"opencv {cv2.__version__}"

    def __call__(self, image: ImageArray, settings: SearchSettings, threads: int | None = None) -> Proposals:
        """See :class:`Backend`."""
        import cv2

        contributed: Any = cv2
        search = contributed.ximgproc.segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(np.ascontiguousarray(image[..., ::-1]))
        prepare = {
            "single": search.switchToSingleStrategy,
            "fast": search.switchToSelectiveSearchFast,
            "quality": search.switchToSelectiveSearchQuality,
        }
        prepare[settings.mode]()
        return _ranked(np.asarray(search.process(), dtype=np.float32).reshape(-1, 4))


_SCALES: dict[Mode, tuple[float, ...]] = {"single": (500.0,), "fast": (500.0, 1000.0), "quality": (200.0, 500.0, 1000.0, 2000.0)}
"""Scales of each mode, which the package lacks: ``single`` is the one of its example, the others have as many as in the paper."""


class SelectiveSearchPackage:
    """Selective search of the PyPI package ``selectivesearch``, whose histograms and neighbors differ from those of the paper.

    The package does not rank its boxes; they are returned in the order of merging, last first.

    Raises:
        ImportError: If the package is not installed.
    """

    def __init__(self) -> None:
        try:
            importlib.import_module("selectivesearch")
        except ModuleNotFoundError as error:
            raise ImportError(f"proposal backend selectivesearch: {error}; install it: pip install selectivesearch") from None

    @property
    def version(self) -> str:
        """Version of the package."""
        return f"selectivesearch {metadata.version('selectivesearch')}"

    def __call__(self, image: ImageArray, settings: SearchSettings, threads: int | None = None) -> Proposals:
        """See :class:`Backend`."""
        from selectivesearch import selective_search

        per_scale = []
        for scale in _SCALES[settings.mode]:
            _, regions = selective_search(image, scale=scale, sigma=0.8, min_size=20)
            # The package has inclusive corners: a region of one pixel has a width of 0.
            boxes = np.array([region["rect"] for region in regions[::-1]], dtype=np.float32).reshape(-1, 4)
            per_scale.append(boxes + np.array([0, 0, 1, 1], dtype=np.float32))
        longest = max(map(len, per_scale))
        interleaved = [boxes[index : index + 1] for index in range(longest) for boxes in per_scale]
        return _ranked(np.concatenate(interleaved))


def _ranked(boxes: NDArray[np.float32]) -> Proposals:
    """Convert ranked boxes ``(N, 4)``, ``x y width height``, to proposals without duplicates."""
    boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    first = np.sort(np.unique(boxes, axis=0, return_index=True)[1]) if len(boxes) else np.zeros(0, np.int64)
    scores = 1 / np.arange(1, len(first) + 1, dtype=np.float32)
    return Proposals(torch.from_numpy(boxes[first]), torch.from_numpy(scores))
