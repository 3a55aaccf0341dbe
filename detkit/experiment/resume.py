"""Going on with a run: which of its settings may have changed since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from detkit.config import ConfigError, apply_overrides, load_config
from detkit.experiment.config import Experiment
from detkit.training.folder import RunFolder

_FREE = (
    "output",
    "evaluation.",
    "data.train.fetch",
    "data.val.fetch",
    "distillation.fetch",
    "loader.workers",
    "loader.prefetch",
    "loader.cache_megabytes",
    "loader.start_method",
    "training.steps",
    "training.epochs",
    "training.budget",
    "training.early_stopping",
    "training.evaluations",
    "training.log_every",
    "training.save_minutes",
)
"""What may differ when a run goes on: none of it changes the steps already made, or what a step does."""


def run_config(folder: RunFolder) -> Experiment:
    """The config that a run was started with.

    Raises:
        FileNotFoundError: the folder has none.
    """
    return load_config(folder.config, Experiment)


def resumed_config(folder: RunFolder, config_file: str | None, overrides: Sequence[str], repeats: bool = False) -> Experiment:
    """The config to go on with: the run's own, or a file's, with the overrides.

    Raises:
        ConfigError: it would make the run go on differently.
    """
    config = run_config(folder) if config_file is None else load_config(config_file, Experiment)
    config = apply_overrides(config, overrides)
    check_same(folder, config, repeats)
    return config


def check_same(folder: RunFolder, config: Experiment, repeats: bool = False) -> None:
    """Complain if a config would make a run go on differently; one that ``repeats`` a stage alone may change the numbers of stages.

    Raises:
        ConfigError: names each key that differs, with both values.
    """
    old, new = (_flat(json.loads(item.to_json())) for item in (run_config(folder), config))
    free = (*_FREE, "stages") if repeats else _FREE
    keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and not key.startswith(free))
    if keys:
        told = ", ".join(f"{key} = {new.get(key)} (the run's: {old.get(key)})" for key in keys[:6])
        raise ConfigError(
            f"resume {folder.path}: a resumed run goes on exactly, so these cannot change: {told}; leave them out, or start a new run with "
            f"weights={folder.last}"
        )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: item for name, inner in value.items() for key, item in _flat(inner, f"{prefix}{name}.").items()}
    return {prefix.rstrip("."): value}
