"""One checkpoint out of several of one model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from detkit.checkpoint.checkpoint import Checkpoint, load_checkpoint, make_header, save_checkpoint


def average(sources: Sequence[str | Path], output: str | Path) -> list[str]:
    """Write the mean of the weights of checkpoints of one model, the uniform soup of Wortsman et al. (arXiv:2203.05482, section 2).

    It is often better than each of them where they began from the same weights: fine-tunings with other seeds or rates, or the ends of
    several cycles of one training. Where they did not, it is worth nothing: measure it. Statistics of norms are averaged too; whole
    numbers, such as counts of steps, are the first's, and so is the model's config. Metrics and suggested scores, being those of others,
    are left out.

    Args:
        sources: Two or more.
        output: The file to write.

    Returns:
        The keys of the model's config in which another differs from the first: choices that no weight depends on, such as the greatest
        overlap.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there are fewer than two, one is no checkpoint of ours, or they differ in their classes or in the shapes of their
            weights.
    """
    if len(sources) < 2:
        raise ValueError(f"expected two checkpoints or more, got {len(sources)}")
    first = load_checkpoint(sources[0])
    sums = {name: tensor.double() for name, tensor in first.tensors.items() if tensor.is_floating_point()}
    config, others = json.loads(first.model_json), set[str]()
    for source in sources[1:]:
        found = load_checkpoint(source)
        _check_alike(first, found, str(sources[0]), str(source))
        others |= set(_differing(config, json.loads(found.model_json)))
        for name, total in sums.items():
            total += found.tensors[name]
    means = {name: (total / len(sources)).float() for name, total in sums.items()}
    save_checkpoint(
        output,
        {**first.tensors, **means},
        make_header(first.model_json, first.class_names, averaged_from=[Path(source).name for source in sources]),
    )
    return sorted(others)


def _check_alike(first: Checkpoint, other: Checkpoint, name: str, other_name: str) -> None:
    if first.class_names != other.class_names:
        raise ValueError(f"{other_name}: its classes are not those of {name}; only detectors of the same classes have a mean")
    mine, theirs = (_shapes(found.tensors) for found in (first, other))
    if mine != theirs:
        place = min(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
        told = [str(shapes.get(place, "not there")) for shapes in (theirs, mine)]
        raise ValueError(f"{other_name}: {place} is {told[0]}, in {name} {told[1]}; only checkpoints of the same model have a mean")


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _differing(mine: Any, theirs: Any, key: str = "") -> Iterator[str]:
    """The keys under which two configs hold different values."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for name in mine.keys() | theirs.keys():
            yield from _differing(mine.get(name), theirs.get(name), f"{key}.{name}" if key else name)
    elif mine != theirs:
        yield key
