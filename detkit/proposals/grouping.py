"""Hierarchical grouping: merge the two most similar neighbors until one region is left (IJCV 2013, algorithm 1)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detkit.accelerate.threads import compiled
from detkit.proposals.region_features import Regions


class _Features(NamedTuple):
    """The columns of :class:`Regions` that merging extends; numba takes named tuples."""

    sizes: Any
    boxes: Any
    colors: Any
    textures: Any


@compiled(fastmath=True)
def _intersection(one: Any, other: Any) -> Any:
    """Return the intersection of two histograms."""
    total = np.float32(0)
    for index in range(len(one)):
        total += min(one[index], other[index])
    return total


@compiled(fastmath=False)
def _similarity(one: Any, other: Any, regions: Any, uses: Any, area: Any) -> Any:
    """Return the sum of the enabled similarities (equations 1 to 5); ``uses`` flags color, texture, size and fill."""
    sizes, boxes, colors, textures = regions
    total = np.float32(0)
    if uses[0]:
        total += _intersection(colors[one], colors[other])
    if uses[1]:
        total += _intersection(textures[one], textures[other])
    together = np.float32(sizes[one] + sizes[other])
    if uses[2]:
        total += 1 - together / area
    if uses[3]:
        width = max(boxes[one, 2], boxes[other, 2]) - min(boxes[one, 0], boxes[other, 0])
        height = max(boxes[one, 3], boxes[other, 3]) - min(boxes[one, 1], boxes[other, 1])
        total += 1 - (np.float32(width) * np.float32(height) - together) / area
    return total


@compiled(fastmath=False)
def _most_similar(similarities: Any, count: Any) -> Any:
    best = 0
    for edge in range(1, count):
        if similarities[edge] > similarities[best]:
            best = edge
    return best


@compiled(fastmath=False)
def _absorb(one: Any, other: Any, merged: Any, regions: Any) -> Any:
    """Compute the features of the region ``merged`` of ``one`` and ``other`` (equations 2 and 3)."""
    sizes, boxes, colors, textures = regions
    sizes[merged] = sizes[one] + sizes[other]
    weight = np.float32(sizes[one] / sizes[merged])
    for axis in range(2):
        boxes[merged, axis] = min(boxes[one, axis], boxes[other, axis])
        boxes[merged, axis + 2] = max(boxes[one, axis + 2], boxes[other, axis + 2])
    for index in range(colors.shape[1]):
        colors[merged, index] = weight * colors[one, index] + (1 - weight) * colors[other, index]
    for index in range(textures.shape[1]):
        textures[merged, index] = weight * textures[one, index] + (1 - weight) * textures[other, index]


@compiled(fastmath=False)
def _group(count: Any, regions: Any, edges: Any, uses: Any, area: Any) -> Any:
    """Append the merged regions to the arrays from row ``count`` on, in the order of merging; return the final count."""
    edge_count = len(edges)
    similarities = np.empty(len(edges), dtype=np.float32)
    for edge in range(edge_count):
        similarities[edge] = _similarity(edges[edge, 0], edges[edge, 1], regions, uses, area)
    seen = np.full(len(regions.sizes), -1, dtype=np.int32)
    touching = np.empty(len(regions.sizes), dtype=np.int32)
    while edge_count > 0:
        best = _most_similar(similarities, edge_count)
        one, other, merged = edges[best, 0], edges[best, 1], count
        _absorb(one, other, merged, regions)
        neighbor_count, kept = 0, 0
        for edge in range(edge_count):
            left, right = edges[edge, 0], edges[edge, 1]
            left_merged, right_merged = left in (one, other), right in (one, other)
            if not left_merged and not right_merged:
                edges[kept, 0], edges[kept, 1], similarities[kept] = left, right, similarities[edge]
                kept += 1
            elif left_merged != right_merged:
                neighbor = right if left_merged else left
                if seen[neighbor] != merged:
                    seen[neighbor] = merged
                    touching[neighbor_count] = neighbor
                    neighbor_count += 1
        for index in range(neighbor_count):
            edges[kept, 0], edges[kept, 1] = touching[index], merged
            similarities[kept] = _similarity(touching[index], merged, regions, uses, area)
            kept += 1
        edge_count = kept
        count += 1
    return count


def group(regions: Regions, uses: tuple[bool, bool, bool, bool], area: int) -> NDArray[np.int32]:
    """Return the boxes ``(2 n - 1, 4)`` of the initial and of all merged regions, in the order of merging.

    Args:
        regions: The initial regions.
        uses: Whether color, texture, size and fill count toward the similarity.
        area: Area of the image in pixels.
    """
    count = len(regions.sizes)
    total = max(2 * count - 1, count)

    def padded(values: NDArray[np.generic]) -> NDArray[np.generic]:
        array = np.empty((total, *values.shape[1:]), dtype=values.dtype)
        array[:count] = values
        return array

    boxes = padded(regions.boxes)
    colors = padded(regions.colors) if uses[0] else np.empty((total, 0), np.float32)
    textures = padded(regions.textures) if uses[1] else np.empty((total, 0), np.float32)
    features = _Features(padded(regions.sizes), boxes, colors, textures)
    end = _group(count, features, regions.neighbors.copy(), np.array(uses), np.float32(area))
    return np.asarray(boxes[:end], dtype=np.int32)
