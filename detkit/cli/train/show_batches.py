"""``detkit train --show-batches``: write the first batches as images, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.report import count

if TYPE_CHECKING:
    from detkit.experiment import Experiment

FOLDER = "train_batches"
"""Where the sheets go without ``--output``."""


def show_batches(config: Experiment, number: int, folder: Path, device: str) -> int:
    """Write the batches and print the files."""
    from detkit.experiment.first_batches import first_batches

    for index, inputs in enumerate(first_batches(config, number, device), start=1):
        files = inputs.draw(folder, f"batch_{index}")
        height, width = inputs.images[0].shape[-2:]
        boxes = sum(map(len, inputs.targets))
        images = f"{count(len(inputs.images), 'image')} of {width} x {height} pixels"
        print(f"{', '.join(map(str, files))}: {images}, {count(boxes, 'box', 'boxes')}")
    return 0
