"""The sources of proposals that can be named, behind one protocol."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from detkit.proposals.config import Mode, ProposalsConfig, SelectiveSearchConfig
from detkit.registry import Registry
from detkit.structures import Proposals

Image = NDArray[np.uint8]

BACKENDS = Registry(
    "proposal backend",
    "detkit.proposals",
    {
        "detkit": "detkit.proposals.backends:SelectiveSearch",
        "opencv": "detkit.proposals.backends:OpenCV",
        "selectivesearch": "detkit.proposals.backends:SelectiveSearchPackage",
    },
)
"""By name, classes without arguments that follow :class:`Backend`."""

OUR_VERSION = 3
"""Goes up whenever the same image and settings give other boxes: what was remembered before is then made anew."""


class Backend(Protocol):
    """Gives the proposals of one image; it can be pickled, to be sent to other processes."""

    @property
    def version(self) -> str:
        """Names the backend and whatever its results depend on besides the image and the config: its release, a checkpoint's hash."""

    def __call__(self, image: Image, config: ProposalsConfig, threads: int | None = None) -> Proposals:
        """All proposals, best first, in the pixels of the ``(H, W, 3)`` uint8 RGB image; those unwanted are left out later.

        Args:
            image: The image, at least one pixel.
            config: ``mode`` and ``seed`` are looked at where they mean something.
            threads: How many may be used; as many as torch has unless given.
        """


class SelectiveSearch:
    """Selective search as :func:`detkit.proposals.selective_search` does it."""

    @property
    def version(self) -> str:
        """The number that goes up when results change."""
        return f"detkit {OUR_VERSION}"

    def __call__(self, image: Image, config: ProposalsConfig, threads: int | None = None) -> Proposals:
        """See :class:`Backend`."""
        from detkit.proposals.search import selective_search

        return selective_search(image, config=SelectiveSearchConfig.of(config.mode, seed=config.seed), threads=threads)


class OpenCV:
    """The implementation in OpenCV's ``ximgproc``, whose random ranking cannot be seeded.

    Raises:
        ImportError: this OpenCV was built without it.
    """

    def __init__(self) -> None:
        import cv2

        if not hasattr(cv2, "ximgproc") or not hasattr(cv2.ximgproc, "segmentation"):
            raise ImportError(
                f"proposal backend opencv: cv2.ximgproc is not in this OpenCV ({cv2.__version__}); it comes with the package "
                "opencv-contrib-python, which takes the place of opencv-python and opencv-python-headless"
            )

    @property
    def version(self) -> str:
        """OpenCV's."""
        import cv2

        return f"opencv {cv2.__version__}"

    def __call__(self, image: Image, config: ProposalsConfig, threads: int | None = None) -> Proposals:
        """See :class:`Backend`."""
        import cv2

        search: Any = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()  # type: ignore[attr-defined]
        search.setBaseImage(np.ascontiguousarray(image[..., ::-1]))
        prepare = {
            "single": search.switchToSingleStrategy,
            "fast": search.switchToSelectiveSearchFast,
            "quality": search.switchToSelectiveSearchQuality,
        }
        prepare[config.mode]()
        return _in_order(np.asarray(search.process(), dtype=np.float32).reshape(-1, 4))


_SCALES: dict[Mode, tuple[float, ...]] = {"single": (500.0,), "fast": (500.0, 1000.0), "quality": (200.0, 500.0, 1000.0, 2000.0)}
"""The package has no modes: ``single`` is the scale of its own example, the others join several, two and four as the paper's do."""


class SelectiveSearchPackage:
    """The package ``selectivesearch`` on PyPI; its histograms and its neighbors are not those of the paper.

    Its boxes come in the order of merging, last first: the package itself ranks nothing.

    Raises:
        ImportError: it is not installed.
    """

    def __init__(self) -> None:
        try:
            importlib.import_module("selectivesearch")
        except ModuleNotFoundError as error:
            raise ImportError(f"proposal backend selectivesearch: {error}; install it: pip install selectivesearch") from None

    @property
    def version(self) -> str:
        """The package's."""
        return f"selectivesearch {metadata.version('selectivesearch')}"

    def __call__(self, image: Image, config: ProposalsConfig, threads: int | None = None) -> Proposals:
        """See :class:`Backend`."""
        from selectivesearch import selective_search

        found = []
        for scale in _SCALES[config.mode]:
            _, regions = selective_search(image, scale=scale, sigma=0.8, min_size=20)
            # Corners are inclusive there: a region of one pixel has a width of 0.
            boxes = np.array([region["rect"] for region in regions[::-1]], dtype=np.float32).reshape(-1, 4)
            found.append(boxes + np.array([0, 0, 1, 1], dtype=np.float32))
        longest = max(map(len, found))
        turns = [boxes[place : place + 1] for place in range(longest) for boxes in found]
        return _in_order(np.concatenate(turns))


def _in_order(boxes: NDArray[np.float32]) -> Proposals:
    """Proposals of ``(N, 4)`` boxes ``x y width height`` that are ordered already, without duplicates."""
    boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    first = np.sort(np.unique(boxes, axis=0, return_index=True)[1]) if len(boxes) else np.zeros(0, np.int64)
    scores = 1 / np.arange(1, len(first) + 1, dtype=np.float32)
    return Proposals(torch.from_numpy(boxes[first]), torch.from_numpy(scores))
