"""Copy of a checkpoint with other operating points."""

from __future__ import annotations

from pathlib import Path

from detkit.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoints


def recalibrate(source: str | Path, output: str | Path, points: OperatingPoints) -> None:
    """Write a checkpoint with the weights and the header of another, and other operating points.

    A minimum score that :func:`~detkit.checkpoint.pack` wrote is left out, as it would have precedence over the points.

    Args:
        source: The checkpoint.
        output: The file to write; it must not exist.
        points: The operating points.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        FileExistsError: If ``output`` exists.
        ValueError: If ``source`` is not a detkit checkpoint.
    """
    check_new(output)
    checkpoint = load_checkpoint(source)
    header = {key: value for key, value in checkpoint.header.items() if key != "min_score"}
    save_checkpoint(output, checkpoint.tensors, {**header, HEADER_FIELD: points.to_dict()})


def check_new(output: str | Path) -> None:
    """Check that a file does not exist yet.

    Raises:
        FileExistsError: If it does.
    """
    if Path(output).exists():
        raise FileExistsError(f"{output}: expected a new file, as calibration never overwrites one; choose another name")
