"""Errors that end a run, with the facts needed to find the cause: non-finite losses, too little memory, too small batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from detkit.checkpoint.atomic import write_json

if TYPE_CHECKING:
    from detkit.data.loader import SampleBatch


class NotFiniteError(RuntimeError):
    """A loss or gradient is infinite or NaN; the weights were not updated with it."""


@contextmanager
def explain_norm_errors(images: Sequence[Tensor]) -> Iterator[None]:
    """Replace PyTorch's error about a batch norm with one value per channel by one that says what to do.

    Args:
        images: The batch of this process, each ``(3, H, W)``.

    Raises:
        ValueError: If a feature map of the batch has one cell in total.
    """
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # PyTorch's message; the error has no type of its own
            raise
        shapes = ", ".join(f"{image.shape[-1]}x{image.shape[-2]}" for image in images)
        raise ValueError(
            f"a batch norm cannot be trained on one value per channel: a feature map of this process's batch of {len(images)} image "
            f"({shapes}) has a single cell; expected two or more images (loader.batch_size), larger images (model.preprocess), or frozen "
            "norms (model.backbone.norm=frozen)"
        ) from error


@contextmanager
def explain_out_of_memory(images: Sequence[Tensor], device: torch.device, accumulation_steps: int) -> Iterator[None]:
    """Replace PyTorch's error about a device's memory with one line that says what to change.

    Args:
        images: The batch of this process, each ``(3, H, W)``.
        device: Where the step runs.
        accumulation_steps: Batches per step, ``training.accumulation_steps``.

    Raises:
        RuntimeError: If the device runs out of memory.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        height, width = (max(image.shape[axis] for image in images) for axis in (-2, -1))
        count = len(images)
        smaller = (
            f"loader.batch_size={count // 2} with training.accumulation_steps={2 * accumulation_steps} makes the same steps"
            if count > 1
            else "smaller images (model.preprocess) or training.precision=bf16 need less"
        )
        raise RuntimeError(
            f"out of memory on {device}: a batch of {count} image{'s' * (count > 1)} per process, up to {width}x{height} pixels, "
            f"training.accumulation_steps={accumulation_steps}; {smaller}, and loader.batch_size=auto finds the largest batch that fits"
        ) from error


def non_finite_terms(losses: Sequence[Mapping[str, Tensor]], norm: Tensor) -> dict[str, float]:
    """Return what is not finite, with its value: loss terms of any batch, else the gradient norm, else a loss of another process."""
    values = [(name, float(value.detach())) for terms in losses for name, value in terms.items()]
    terms = {name: value for name, value in values if not math.isfinite(value)}
    return terms or ({"a loss of another process": math.nan} if math.isfinite(norm) else {"the gradient norm": float(norm)})


def non_finite_error(step: int, terms: Mapping[str, float], batches: Sequence[SampleBatch], lr: float, path: Path) -> NotFiniteError:
    """Write the batch to ``path`` for a replay, and return the error that names step, terms, images and learning rate.

    Args:
        step: Steps made before.
        terms: The non-finite terms with their values.
        batches: The images of the step in this process.
        lr: The learning rate.
        path: A JSON file.
    """
    listed = ", ".join(f"{name} = {value}" for name, value in terms.items())
    columns = [zip(batch.paths, batch.image_ids, batch.seeds, strict=True) for batch in batches]
    rows = [{"path": path, "image_id": image_id, "seed": seed} for column in columns for path, image_id, seed in column]
    write_json(path, {"step": step, "lr": lr, "terms": {k: str(v) for k, v in terms.items()}, "samples": rows})
    files = ", ".join(path for batch in batches for path in batch.paths)
    return NotFiniteError(
        f"step {step}: not finite: {listed}; images: {files}; learning rate {lr:.3g}; the weights were not updated and the last "
        f"checkpoint is valid; the batch is listed in {path}; try a lower optimizer.lr, a longer schedule.warmup_steps or "
        "training.clip_grad_norm=10"
    )
