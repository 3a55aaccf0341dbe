"""Whether a detector has learned the labels that it is asked to judge, as far as its file states its training data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detkit.curation.parts import LabeledParts
from detkit.data import DataConfig
from detkit.inference.sources import source_metadata

_ADVICE = "for more, train on one half of the data and judge the other, or use a detector that was trained on other data"


def memory_warnings(model: str | Path, parts: LabeledParts) -> tuple[str, ...]:
    """Return lines of warning if a detector was trained on these very data, or if its file does not state its training data.

    A detector that was trained on wrong labels has learned some of them, and supports them.
    """
    trained = training_data(source_metadata(model))
    if trained is None:
        return (f"{model}: its file does not state its training data; a detector that was trained on these labels finds fewer errors",)
    data, split = Path(parts.name), trained.train.split
    if not _same(trained.train.path, data):
        return ()
    learned = "all of its images" if split is None and len(parts.parts) == 1 else f"the part {split or 'train'}"
    return (f"{model}: it was trained on {learned} of {parts.name}, and has learned some of the wrong labels; {_ADVICE}",)


def training_data(metadata: Mapping[str, Any]) -> DataConfig | None:
    """Return the data that the header of a checkpoint, or an exported file, states; None if it states none."""
    try:
        experiment = json.loads(metadata.get("experiment") or "null")
        return (
            None if experiment is None or not experiment["data"]["train"]["path"] else DataConfig.from_json(json.dumps(experiment["data"]))
        )
    except (ValueError, TypeError, LookupError):
        return None


def _same(trained: str, data: Path) -> bool:
    """Return whether two paths are one folder or file, or one is inside the other."""
    first, second = (Path(os.path.realpath(path)) for path in (trained, data))
    return first == second or first.is_relative_to(second) or second.is_relative_to(first)
