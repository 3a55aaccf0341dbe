"""Settings with which exported files run: what all runtimes check in the same words."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from detkit.inference.exported.metadata import ExportMetadata
from detkit.inference.runtime import check_max_detections, check_threads

_CHECKPOINT = "use the checkpoint that it was exported from"


def check_options(path: Path, device: str, precision: str, max_detections: int | None, others: Sequence[str] = ()) -> None:
    """Check how an exported file is to be run.

    Args:
        path: The file, for messages.
        device: Name of the device, or ``auto``.
        precision: Name of the precision, or ``auto``.
        max_detections: Maximum number of detections per image; None: as the file states.
        others: Precisions in which the runtime can run a file that was written in fp32.

    Raises:
        ValueError: If the file cannot run so.
    """
    if device not in ("auto", "cpu"):
        raise ValueError(f"{path}: device {str(device)!r}: an exported file runs on the CPU; {_CHECKPOINT}")
    if precision not in ("auto", "fp32", *others):
        also = "".join(f" or in {name}" for name in others)
        expected = f"an exported file runs in the precision that it was written in{also}"
        raise ValueError(f"{path}: precision {precision!r}: {expected}; {_CHECKPOINT}")
    if max_detections is not None:
        check_max_detections(max_detections)


def check_batch_size(path: Path, metadata: ExportMetadata, batch_size: int | None) -> None:
    """Check the number of images that are to run together.

    Raises:
        ValueError: If the file takes another number.
    """
    if metadata.batch_size is not None and batch_size not in (None, metadata.batch_size):
        raise ValueError(
            f"{path}: batch_size: the file has a fixed batch size of {metadata.batch_size}; export it again with another --batch-size"
        )


def thread_count(threads: int | None = None) -> int:
    """Return the number of threads: the given one, else torch's where it is loaded, else ``$OMP_NUM_THREADS``; 0: the library's choice.

    Raises:
        ValueError: If the given number is not positive.
    """
    if threads is not None:
        return check_threads(threads)
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    named = os.environ.get("OMP_NUM_THREADS", "")
    return int(named) if named.isdigit() else 0
