"""The training of a run as its files record it: losses, evaluations, drawn batches, config and results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detkit.training.folder import RunFolder
from detkit.training.loggers.metrics_file import read_rows

_BATCHES = "train_batch_*.jpg"


@dataclass(frozen=True)
class StageCurves:
    """Numbers of one stage over its steps.

    Attributes:
        name: Name of the stage.
        records: Rows of losses, as in :class:`~detkit.training.hooks.Record`.
        evaluations: Steps and metrics of its evaluations.
    """

    name: str
    records: Sequence[Mapping[str, Any]]
    evaluations: Sequence[tuple[int, Mapping[str, float | None]]]


@dataclass(frozen=True)
class TrainingFacts:
    """A training, as its folder records it.

    Attributes:
        folder: The folder.
        stages: Curves of each stage.
        batches: Files of the drawn training batches.
        config: The config as nested values; empty if it is missing.
        set_by: What set each value that is not a default, by dotted key.
        results: The content of ``results.json``.
    """

    folder: Path
    stages: Sequence[StageCurves]
    batches: Sequence[Path] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    set_by: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_run(cls, path: Path, set_by: Mapping[str, str] | None = None) -> TrainingFacts:
        """Read the files of a run; what is missing or damaged is left out."""
        folder = RunFolder(path)
        config, results = _read_json(folder.config), _read_json(folder.results)
        names = [str(stage.get("name", "")) for stage in config.get("stages", ())] if isinstance(config.get("stages"), list) else []
        batches = sorted(folder.images.glob(_BATCHES)) if folder.images.is_dir() else []
        return cls(path, _stages(folder.metrics, names), batches, config, set_by or {}, results)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _stages(path: Path, names: Sequence[str]) -> list[StageCurves]:
    """Return the rows of a metrics file by stage."""
    rows: dict[int, tuple[list[Mapping[str, Any]], list[tuple[int, Mapping[str, float | None]]]]] = {}
    for row in read_rows(path):
        records, evaluations = rows.setdefault(int(row.get("stage") or 0), ([], []))
        if isinstance(row.get("evaluation"), dict):
            evaluations.append((int(row["step"]), row["evaluation"]))
        elif isinstance(row.get("losses"), dict):
            records.append(row)
    return [StageCurves(names[index] if index < len(names) else f"stage {index + 1}", *rows[index]) for index in sorted(rows)]
