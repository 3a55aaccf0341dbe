"""A small data set on disk in any format, into which faults are planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.data import DetectionData, ImageRecord, Records
from detkit.data.writers import image_folder, write_labels
from detkit.structures import Targets

SIZE = (48, 64)
Rows = list[list[float]]
Make = Callable[..., Path]


def rows_of(image: int) -> Rows:
    """One cat and one dog; a row is ``x1 y1 x2 y2 label``."""
    return [[4 + image % 4, 4, 20 + image % 4, 30, 0], [30, 6, 58, 40 + image % 5, 1]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that writes a data set: clean, except for rows that are added to the first training images."""

    def write(kind: str, added: Sequence[Rows] = (), name: str = "data") -> Path:
        folder = tmp_path / name
        for part, count in (("train", 12), ("val", 4)):
            root = image_folder(folder, kind, part)
            root.mkdir(parents=True, exist_ok=True)
            records = []
            for number in range(count):
                path = root / f"{part}{number}.png"
                pixels = np.random.default_rng([number, len(part)]).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(path)
                rows = torch.tensor([*rows_of(number), *(added[number] if part == "train" and number < len(added) else [])])
                records.append(ImageRecord(path, f"{part}{number}", SIZE, Targets.of(rows[:, :4].float(), rows[:, 4].long())))
            write_labels(DetectionData.of("made", ["cat", "dog"], Records.of(records)), folder, kind, part)
        return folder

    return write
