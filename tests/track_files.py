"""Generated labels and results of tracks in MOTChallenge's format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CLASSES = (1, 1, 1, 2, 7, 8, 12, 3)


def write_rows(path: Path, rows: list[tuple[float, ...]]) -> Path:
    """Write lines of numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(f"{value:.10g}" for value in row) + "\n" for row in rows), "utf-8")
    return path


def sequence(seed: int, frames: int = 60, objects: int = 8) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Return labels of several classes, some not to be evaluated, and results with misses, false alarms and changes of ids."""
    random = np.random.default_rng(seed)
    labels, results = [], []
    for number in range(1, objects + 1):
        first = int(random.integers(1, frames // 2))
        last = min(frames, first + int(random.integers(5, frames)))
        corner, speed, size = random.uniform(0, 300, 2), random.normal(0, 4, 2), random.uniform(20, 60, 2)
        kind, counts, track = random.choice(CLASSES), random.choice([1, 1, 1, 0]), number + 100
        for frame in range(first, last + 1):
            corner = corner + speed
            labels.append((frame, number, *corner, *size, counts, kind, 1))
            track = int(random.integers(1, 200)) * 1000 + number if random.random() < 0.05 else track
            if random.random() > 0.2:
                box = (*(corner + random.normal(0, 6, 2)), *(size + random.normal(0, 3, 2)))
                results.append((frame, track, *box, random.random(), -1, -1, -1))
    for number in range(40):
        results.append((int(random.integers(1, frames + 1)), 900_000 + number, *random.uniform(0, 300, 2), 30, 30, 0.5, -1, -1, -1))
    return labels, results
