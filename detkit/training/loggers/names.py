"""Names of a run's numbers in TensorBoard, CSV files and experiment trackers."""

from __future__ import annotations

from collections.abc import Mapping

from detkit.training.hooks import Record


def record_numbers(record: Record) -> dict[str, float]:
    """Return the losses, the learning rate and the speed of a record by their names."""
    losses = {f"losses/{name}": value for name, value in record.losses.items()}
    return losses | {f"run/{name}": getattr(record, name) for name in ("lr", "gradient_norm", "core_minutes", "seconds")}


def evaluation_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of an evaluation by their names."""
    return {f"validation/{name}": value for name, value in numbers.items()}
