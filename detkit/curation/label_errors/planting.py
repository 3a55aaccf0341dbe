"""Wrong labels made from right ones: boxes that are moved, classes that are exchanged, boxes that are removed."""

from __future__ import annotations

import numpy as np

from detkit.arrays import Floats, Integers

MOVES = (0.15, 0.6)
"""Smallest and largest shift of a box, as a fraction of its sides; its sides change by up to half of that."""


def moved(boxes: Floats, size: tuple[int, int], random: np.random.Generator, amounts: tuple[float, float] = MOVES) -> Floats:
    """Return boxes that are shifted in random directions and resized, inside their image."""
    sides = boxes[:, 2:] - boxes[:, :2]
    amount, angle = random.uniform(*amounts, (len(boxes), 1)), random.uniform(0, 2 * np.pi, len(boxes))
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2 + amount * sides * np.stack([np.cos(angle), np.sin(angle)], 1)
    half = sides * np.exp(random.uniform(-0.5, 0.5, sides.shape) * amount) / 2
    limits = np.array([size[1], size[0]], np.float32)
    low, high = np.clip(centers - half, 0, limits - 1), np.clip(centers + half, 1, limits)
    result: Floats = np.concatenate([low, np.maximum(high, low + 1)], 1).astype(np.float32)
    return result


def exchanged(labels: Integers, classes: Integers, random: np.random.Generator) -> Integers:
    """Return for each label another of the given classes, which are sorted and include it; unchanged if there is no other."""
    if len(classes) < 2:
        return labels
    drawn = random.integers(0, len(classes) - 1, len(labels))
    index = np.searchsorted(classes, labels)
    return classes[drawn + (drawn >= index)]
