"""What ends a run says all that is needed to find out why: a loss that is not finite, a batch too small for its norms."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.checkpoint import write_text

if TYPE_CHECKING:
    from torch import Tensor

    from detkit.data.loader import SampleBatch


class NotFiniteError(RuntimeError):
    """A loss or a gradient is infinite or not a number; the weights were not moved by it."""


@contextmanager
def norms_explained(images: Sequence[Tensor]) -> Iterator[None]:
    """Within it, a batch norm that has one value a channel to learn from is told in our words.

    Args:
        images: ``(3, H, W)`` each, the batch in this process.

    Raises:
        ValueError: a map of the batch has one cell in all.
    """
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # PyTorch's words; it has no type for it
            raise
        shapes = ", ".join(f"{image.shape[-1]}x{image.shape[-2]}" for image in images)
        raise ValueError(
            f"a batch norm cannot learn from one number a channel: of this process's {len(images)} image ({shapes}) a map of one cell is "
            "left; expected two images or more (loader.batch_size), larger ones (model.preprocess), or norms that stay as they are "
            "(model.backbone.norm=frozen)"
        ) from error


def bad_terms(losses: Sequence[Mapping[str, Tensor]], norm: Tensor) -> dict[str, float]:
    """What is not finite, with its value: the loss terms of any batch, else the gradient's norm, else a loss of another process."""
    values = [(name, float(value.detach())) for terms in losses for name, value in terms.items()]
    terms = {name: value for name, value in values if not math.isfinite(value)}
    return terms or ({"a loss of another process": math.nan} if math.isfinite(norm) else {"the gradient's norm": float(norm)})


def not_finite(step: int, terms: Mapping[str, float], batches: Sequence[SampleBatch], lr: float, path: Path) -> NotFiniteError:
    """Write the batch to ``path`` for a replay and make the error that names step, term, images and rate.

    Args:
        step: Steps made before.
        terms: What is not finite, with its value.
        batches: The images of the step in this process.
        lr: The learning rate.
        path: A JSON file.
    """
    what = ", ".join(f"{name} = {value}" for name, value in terms.items())
    columns = [zip(batch.paths, batch.image_ids, batch.seeds, strict=True) for batch in batches]
    rows = [{"path": path, "image_id": image_id, "seed": seed} for column in columns for path, image_id, seed in column]
    write_text(path, json.dumps({"step": step, "lr": lr, "terms": {k: str(v) for k, v in terms.items()}, "samples": rows}, indent=1))
    files = ", ".join(path for batch in batches for path in batch.paths)
    return NotFiniteError(
        f"step {step}: not finite: {what}; images: {files}; learning rate {lr:.3g}; the weights were not moved and the last checkpoint is "
        f"good; the batch is listed in {path}; try a lower optimizer.lr, a longer schedule.warmup_steps or training.clip_grad_norm=10"
    )
