"""Packing a checkpoint to half its size, for distribution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detkit.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from detkit.checkpoint.header import make_header
from detkit.checkpoint.operating_points import HEADER_FIELD


def pack(
    source: str | Path,
    output: str | Path,
    *,
    min_score: float | None = None,
    metrics: Mapping[str, float] | None = None,
    model_json: str | None = None,
) -> tuple[int, int]:
    """Write a checkpoint with its weights rounded to half precision.

    Norms, biases and other tensors of one dimension stay in float32: they are small, and some hold large sums. The header keeps the model
    config, the class names, the metrics and the operating points. The training config, with the folders of its author, is omitted. A
    model that loads the file runs in float32.

    Args:
        source: The checkpoint.
        output: The file to write.
        min_score: Suggested minimum score of detections to show, used where none is given; None: that of ``source``, if it has one.
        metrics: Measured results, such as ``{"AP": 0.41}``; None: those of ``source``.
        model_json: The model config to write instead of that of ``source``; it may differ in settings without tensors.

    Returns:
        The sizes of both files in bytes, ``source`` first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a detkit checkpoint, a value is too large for half precision, or ``output`` is ``source``.
    """
    source, output = Path(source), Path(output)
    if output.exists() and source.samefile(output):
        raise ValueError(f"{output}: expected an output file other than the source checkpoint; choose another name")
    checkpoint = load_checkpoint(source)
    tensors = {name: _halved(tensor, f"{source}: {name}") for name, tensor in checkpoint.tensors.items()}
    suggested = checkpoint.header.get("min_score") if min_score is None else min_score
    more: dict[str, Any] = {} if suggested is None else {"min_score": suggested}
    more |= {key: checkpoint.header[key] for key in (HEADER_FIELD,) if checkpoint.header.get(key) is not None}
    measured = checkpoint.header.get("metrics") if metrics is None else metrics
    save_checkpoint(output, tensors, make_header(model_json or checkpoint.model_json, checkpoint.class_names, metrics=measured, **more))
    return source.stat().st_size, output.stat().st_size


def _halved(tensor: Tensor, name: str) -> Tensor:
    if not tensor.is_floating_point() or tensor.ndim < 2:
        return tensor
    halved = tensor.half()
    if not bool(torch.isfinite(halved).all()):
        raise ValueError(f"{name}: {float(tensor.abs().max()):.3g} is too large for half precision, whose maximum is 65504")
    return halved
