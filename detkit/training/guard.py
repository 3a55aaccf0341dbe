"""A loss that is not finite ends the run, and says all that is needed to find out why."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.checkpoint import write_text

if TYPE_CHECKING:
    from torch import Tensor

    from detkit.data.loader import SampleBatch


class NotFiniteError(RuntimeError):
    """A loss or a gradient is infinite or not a number; the weights were not moved by it."""


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
        f"good; the batch is listed in {path}; try a lower optimizer.lr, a longer schedule.warmup_steps or training.clip_norm=10"
    )
