"""Checkpoints of half the size, for passing on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detkit.checkpoint.checkpoint import load_checkpoint, make_header, save_checkpoint


def pack(
    source: str | Path,
    output: str | Path,
    *,
    min_score: float | None = None,
    metrics: Mapping[str, float] | None = None,
    model_json: str | None = None,
) -> tuple[int, int]:
    """Write a checkpoint with its weights in half precision, rounded to the nearest; gives both files' bytes.

    Norms, biases and whatever else has one dimension stay in float32: they are small, and some sum up large numbers. The header keeps the
    model's config, the class names and the metrics. What the training was told, with the folders of whoever trained, is left out.
    A model that loads the file runs in float32.

    Args:
        source: The checkpoint.
        output: The file to write.
        min_score: From which score on its detections are worth showing, for whoever does not say; none: what ``source`` says, if it does.
        metrics: How good it is, such as ``{"AP": 0.41}``; none: what ``source`` says.
        model_json: The model config to write in the place of that of ``source``, which it may differ from in what has no tensors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint of ours, or a number is too large for half precision, or would be written over itself.
    """
    source, output = Path(source), Path(output)
    if output.exists() and source.samefile(output):
        raise ValueError(f"{output}: expected another name than that of the checkpoint that is read")
    found = load_checkpoint(source)
    tensors = {name: _halved(tensor, f"{source}: {name}") for name, tensor in found.tensors.items()}
    shown = found.header.get("min_score") if min_score is None else min_score
    more: dict[str, Any] = {} if shown is None else {"min_score": shown}
    told = found.header.get("metrics") if metrics is None else metrics
    save_checkpoint(output, tensors, make_header(model_json or found.model_json, found.class_names, metrics=told, **more))
    return source.stat().st_size, output.stat().st_size


def _halved(tensor: Tensor, name: str) -> Tensor:
    if not tensor.is_floating_point() or tensor.ndim < 2:
        return tensor
    halved = tensor.half()
    if not bool(torch.isfinite(halved).all()):
        raise ValueError(f"{name}: {float(tensor.abs().max()):.3g} is too large for half precision, which ends at 65504")
    return halved
