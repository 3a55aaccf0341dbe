"""Reading the image of a record: a whole file, or a window of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.data.media.images import read_image
from detkit.data.records import ImageRecord
from detkit.ops.windows import Window
from detkit.structures import Size, Targets


def read_record(record: ImageRecord, read: Callable[[Path], Any] = read_image) -> Any:
    """Read a record's image, ``(H, W, 3)`` uint8 RGB, upright.

    Args:
        record: The record.
        read: Reads a file: all pixels, or the regions of a large image.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it cannot be read, or is smaller than the record's window.
    """
    image = read(record.path)
    return image if record.window is None else cut_window(image, record.window, record.path)


def cut_window(image: Any, window: Window, path: str | Path) -> NDArray[np.uint8]:
    """Return a window of the image at ``path``, ``(H, W, 3)``.

    Raises:
        ValueError: If the image is smaller than the window.
    """
    x1, y1, x2, y2 = window
    if x2 > image.shape[1] or y2 > image.shape[0]:
        raise ValueError(
            f"{path}: its labels are for at least {x2} x {y2} pixels, but the image has {image.shape[1]} x {image.shape[0]}; "
            "was it replaced or rotated after the labels were read?"
        )
    return np.ascontiguousarray(image[y1:y2, x1:x2])


def whole_image_targets(size: Size, labels: Tensor) -> Targets:
    """Return targets for labels of a whole image: ``(N,)`` labels, each with the box of the image."""
    box = torch.tensor([[0.0, 0.0, size[1], size[0]]])
    return Targets.of(box.repeat(len(labels), 1), labels)
