"""Averaging several checkpoints of one model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from detkit.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from detkit.checkpoint.header import make_header


def average(sources: Sequence[str | Path], output: str | Path) -> list[str]:
    """Write the mean of the weights of several checkpoints, the uniform soup of Wortsman et al. (arXiv:2203.05482, section 2).

    The mean is often better than each checkpoint if all started from the same weights: fine-tuning runs with other seeds or learning
    rates, or the ends of several cycles of one run. Otherwise it is useless: evaluate it. Norm statistics are averaged too. Integer
    tensors, such as step counts, and the model config are those of the first checkpoint. Metrics and suggested scores are omitted,
    because they are not those of the mean.

    Args:
        sources: Two or more checkpoints.
        output: The file to write.

    Returns:
        The keys of the model config in which another checkpoint differs from the first: settings that no weight depends on, such as the
        IoU threshold of NMS.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If there are fewer than two checkpoints, one is not a detkit checkpoint, or they differ in their classes or in the
            shapes of their weights.
    """
    if len(sources) < 2:
        raise ValueError(f"expected at least two checkpoints, got {len(sources)}")
    first = load_checkpoint(sources[0])
    sums = {name: tensor.double() for name, tensor in first.tensors.items() if tensor.is_floating_point()}
    config, differing = json.loads(first.model_json), set[str]()
    for source in sources[1:]:
        other = load_checkpoint(source)
        _check_same_model(first, other, str(sources[0]), str(source))
        differing |= set(_differing_keys(config, json.loads(other.model_json)))
        for name, total in sums.items():
            total += other.tensors[name]
    means = {name: (total / len(sources)).float() for name, total in sums.items()}
    save_checkpoint(
        output,
        {**first.tensors, **means},
        make_header(first.model_json, first.class_names, averaged_from=[Path(source).name for source in sources]),
    )
    return sorted(differing)


def _check_same_model(first: Checkpoint, other: Checkpoint, name: str, other_name: str) -> None:
    if first.class_names != other.class_names:
        raise ValueError(f"{other_name}: its classes differ from those of {name}; only detectors with the same classes can be averaged")
    first_shapes, other_shapes = (_shapes(checkpoint.tensors) for checkpoint in (first, other))
    if first_shapes != other_shapes:
        key = min(key for key in first_shapes.keys() | other_shapes.keys() if first_shapes.get(key) != other_shapes.get(key))
        expected, got = (str(shapes.get(key, "missing")) for shapes in (first_shapes, other_shapes))
        raise ValueError(f"{other_name}: {key} is {got}, in {name} {expected}; only checkpoints of the same model can be averaged")


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _differing_keys(first: Any, other: Any, key: str = "") -> Iterator[str]:
    """Yield the keys in which two configs differ."""
    if isinstance(first, dict) and isinstance(other, dict):
        for name in first.keys() | other.keys():
            yield from _differing_keys(first.get(name), other.get(name), f"{key}.{name}" if key else name)
    elif first != other:
        yield key
