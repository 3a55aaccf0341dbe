"""Selective search for object recognition (Uijlings, van de Sande, Gevers and Smeulders, IJCV 2013)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from detkit.arrays import ImageArray
from detkit.proposals.color_spaces import COLOR_SPACES, segmentation_values
from detkit.proposals.grouping import group
from detkit.proposals.limits import within_limits
from detkit.proposals.region_features import region_features, texture_bins
from detkit.proposals.search_config import Mode, SelectiveSearchConfig
from detkit.proposals.segmentation import SegmentationGraph
from detkit.structures import Proposals


def selective_search(
    image: ImageArray, mode: Mode = "fast", *, config: SelectiveSearchConfig | None = None, threads: int | None = None
) -> Proposals:
    """Return the boxes of possible objects, best first, without duplicates.

    The rank of a box is the position of its region in the hierarchy, counted from the end, times a random number seeded by
    ``config.seed`` (section 3.3): large regions tend to rank first. The result depends only on the image and the config.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, of any size.
        mode: ``single``, ``fast`` or ``quality``; ignored if ``config`` is given.
        config: The settings; by default ``SelectiveSearchConfig.of(mode)``.
        threads: Number of threads; by default as many as torch uses.

    Raises:
        ValueError: If the image has another shape or type, or the mode does not exist.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"selective search: expected a (H, W, 3) uint8 RGB image, got {image.shape} {image.dtype}")
    config = config or SelectiveSearchConfig.of(mode)
    small = _shrunk(image, config.max_pixels)
    hierarchies = _hierarchies(small, config, threads or torch.get_num_threads())
    boxes, values = _ranked(hierarchies, config.seed)
    scale = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]] * 2)
    boxes = boxes * scale
    kept = within_limits(torch.from_numpy(boxes), config).numpy()
    scores = 1 / (1 + values[kept])
    return Proposals(torch.from_numpy(boxes[kept].astype(np.float32)), torch.from_numpy(scores.astype(np.float32)))


def _shrunk(image: ImageArray, max_pixels: int) -> ImageArray:
    height, width = image.shape[:2]
    factor = min(1.0, (max_pixels / (height * width)) ** 0.5)
    if factor == 1.0:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class _ColoredImage:
    """An image in one color space, ready to be segmented at any scale."""

    values: ImageArray
    graph: SegmentationGraph
    bins: NDArray[np.int8]


def _hierarchies(image: ImageArray, config: SelectiveSearchConfig, threads: int) -> list[NDArray[np.int32]]:
    """Return the boxes in the order of merging, for every color space, scale and strategy."""

    def prepare(name: str) -> _ColoredImage:
        colored = np.ascontiguousarray(COLOR_SPACES[name](image))
        return _ColoredImage(colored, SegmentationGraph(segmentation_values(name, colored)), texture_bins(colored))

    def search(colored: _ColoredImage, k: float) -> list[NDArray[np.int32]]:
        labels, count = colored.graph.regions(k, min_size=int(k))
        regions = region_features(labels, count, colored.values, colored.bins)
        return [group(regions, strategy.uses, labels.size) for strategy in config.strategies]

    with ThreadPoolExecutor(threads) as pool:
        jobs = list(product(pool.map(prepare, config.color_spaces), config.scales))
        return [boxes for hierarchies in pool.map(search, *zip(*jobs, strict=True)) for boxes in hierarchies]


def _ranked(hierarchies: list[NDArray[np.int32]], seed: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return all boxes, best first, and their sort values; of equal boxes the best is kept."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([np.arange(len(boxes), 0, -1) * rng.random(len(boxes)) for boxes in hierarchies])
    boxes = np.concatenate(hierarchies)
    order = np.argsort(values, kind="stable")
    boxes, values = boxes[order], values[order]
    packed = boxes.astype(np.int64) @ np.array([1, 1 << 16, 1 << 32, 1 << 48], dtype=np.int64)
    unique = np.sort(np.unique(packed, return_index=True)[1])
    return boxes[unique], values[unique]
