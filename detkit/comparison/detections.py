"""Detections of a comparison in compressed files: exact, and a few hundred kilobytes for a hundred images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.checkpoint import atomic_write
from detkit.evaluation.mask_runs import Runs
from detkit.npz import read_npz

Table = NDArray[np.float64]
"""``(N, 7)``: image number, x, y, width, height, score, category id, as :meth:`detkit.evaluation.evaluator.Evaluator.table` returns."""


def write_detections(path: Path, table: Table, masks: Sequence[Runs] | None = None) -> None:
    """Write detections; boxes and scores are stored as 32-bit floats if these are exact, as they are for boxes of a detector.

    Args:
        path: The file.
        table: The detections.
        masks: Their masks as compressed run lengths; None if they have none.
    """
    corners = table[:, 1:5].copy()
    corners[:, 2:] += corners[:, :2]
    arrays: dict[str, Any] = {
        "image": table[:, 0].astype(np.int64).astype(np.int32),
        "category": table[:, 6].astype(np.int64),
        "score": _small(table[:, 5]),
    }
    single = corners.astype(np.float32)
    sides = single[:, 2:].astype(np.float64) - single[:, :2].astype(np.float64)
    exact = np.array_equal(np.concatenate([single[:, :2].astype(np.float64), sides], axis=1), table[:, 1:5])
    arrays |= {"corners": single} if exact else {"boxes": table[:, 1:5]}
    if masks is not None:
        texts = [str(mask["counts"]).encode() for mask in masks]
        arrays["mask_counts"] = np.frombuffer(b"".join(texts), np.uint8)
        arrays["mask_lengths"] = np.array([len(text) for text in texts], np.int32)
        arrays["mask_sizes"] = np.array([mask["size"] for mask in masks], np.int32).reshape(-1, 2)
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)


def read_detections(path: Path) -> Table:
    """Read what :func:`write_detections` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged.
    """
    try:
        arrays = read_npz(path)
        if "corners" in arrays:
            corners = arrays["corners"].astype(np.float64)
            boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        else:
            boxes = arrays["boxes"]
        return np.column_stack([arrays["image"], boxes, arrays["score"], arrays["category"]]).astype(np.float64)
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: expected detections of a comparison, got a damaged file ({error}); remove it, and compare again"
        ) from None


def read_masks(path: Path) -> list[Runs] | None:
    """Read the masks that :func:`write_detections` wrote, in the order of the detections; None if there are none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged.
    """
    arrays = read_npz(path)
    if "mask_counts" not in arrays:
        return None
    text, ends = arrays["mask_counts"].tobytes(), np.cumsum(arrays["mask_lengths"])
    starts = ends - arrays["mask_lengths"]
    rows = zip(arrays["mask_sizes"].tolist(), starts.tolist(), ends.tolist(), strict=True)
    return [{"size": size, "counts": text[start:end].decode("ascii")} for size, start, end in rows]


def _small(values: NDArray[np.float64]) -> NDArray[np.floating]:
    single = values.astype(np.float32)
    return single if np.array_equal(single.astype(np.float64), values) else values
