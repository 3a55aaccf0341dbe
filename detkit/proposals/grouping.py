"""Hierarchical grouping: the two most similar neighbors become one region, until one is left (IJCV 2013, algorithm 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.ops.threads import compiled
from detkit.proposals.region_features import Regions


@compiled(fastmath=True)
def _overlap(one: Any, other: Any) -> Any:
    """Histogram intersection."""
    total = np.float32(0)
    for place in range(len(one)):
        total += min(one[place], other[place])
    return total


@compiled(fastmath=False)
def _similarity(one: Any, other: Any, sizes: Any, boxes: Any, color_spaces: Any, textures: Any, uses: Any, area: Any) -> Any:
    """Sum of the similarities in use (equations 1 to 5); ``uses`` are flags for color, texture, size and fill."""
    total = np.float32(0)
    if uses[0]:
        total += _overlap(color_spaces[one], color_spaces[other])
    if uses[1]:
        total += _overlap(textures[one], textures[other])
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
def _absorb(one: Any, other: Any, merged: Any, sizes: Any, boxes: Any, color_spaces: Any, textures: Any) -> Any:
    """Describe the region ``merged`` that ``one`` and ``other`` make (equations 2 and 3)."""
    sizes[merged] = sizes[one] + sizes[other]
    share = np.float32(sizes[one] / sizes[merged])
    for place in range(2):
        boxes[merged, place] = min(boxes[one, place], boxes[other, place])
        boxes[merged, place + 2] = max(boxes[one, place + 2], boxes[other, place + 2])
    for place in range(color_spaces.shape[1]):
        color_spaces[merged, place] = share * color_spaces[one, place] + (1 - share) * color_spaces[other, place]
    for place in range(textures.shape[1]):
        textures[merged, place] = share * textures[one, place] + (1 - share) * textures[other, place]


@compiled(fastmath=False)
def _group(count: Any, sizes: Any, boxes: Any, color_spaces: Any, textures: Any, edges: Any, edge_count: Any, uses: Any, area: Any) -> Any:
    """Fill the arrays from ``count`` on, in the order of merging; gives the number of regions in the end."""
    similarities = np.empty(len(edges), dtype=np.float32)
    for edge in range(edge_count):
        similarities[edge] = _similarity(edges[edge, 0], edges[edge, 1], sizes, boxes, color_spaces, textures, uses, area)
    seen = np.full(len(sizes), -1, dtype=np.int32)
    touching = np.empty(len(sizes), dtype=np.int32)
    while edge_count > 0:
        best = _most_similar(similarities, edge_count)
        one, other, merged = edges[best, 0], edges[best, 1], count
        _absorb(one, other, merged, sizes, boxes, color_spaces, textures)
        found, kept = 0, 0
        for edge in range(edge_count):
            left, right = edges[edge, 0], edges[edge, 1]
            mine, theirs = left in (one, other), right in (one, other)
            if not mine and not theirs:
                edges[kept, 0], edges[kept, 1], similarities[kept] = left, right, similarities[edge]
                kept += 1
            elif mine != theirs:
                neighbor = right if mine else left
                if seen[neighbor] != merged:
                    seen[neighbor] = merged
                    touching[found] = neighbor
                    found += 1
        for place in range(found):
            edges[kept, 0], edges[kept, 1] = touching[place], merged
            similarities[kept] = _similarity(touching[place], merged, sizes, boxes, color_spaces, textures, uses, area)
            kept += 1
        edge_count = kept
        count += 1
    return count


def group(regions: Regions, uses: tuple[bool, bool, bool, bool], area: int) -> NDArray[np.int32]:
    """``(2 n - 1, 4)`` boxes of the first regions and of every merged one, in the order of merging.

    Args:
        regions: The first regions.
        uses: Whether color, texture, size and fill count toward similarity.
        area: Pixels of the image.
    """
    count = len(regions.sizes)
    total = max(2 * count - 1, count)

    def grown(values: NDArray[np.generic]) -> NDArray[np.generic]:
        room = np.empty((total, *values.shape[1:]), dtype=values.dtype)
        room[:count] = values
        return room

    boxes = grown(regions.boxes)
    color_spaces = grown(regions.color_spaces) if uses[0] else np.empty((total, 0), np.float32)
    textures = grown(regions.textures) if uses[1] else np.empty((total, 0), np.float32)
    edges = regions.neighbors.copy()
    end = _group(count, grown(regions.sizes), boxes, color_spaces, textures, edges, len(edges), np.array(uses), np.float32(area))
    return np.asarray(boxes[:end], dtype=np.int32)
