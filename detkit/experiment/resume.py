"""Checks before a run is resumed: which settings may differ from the original run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from detkit.config import ConfigError, apply_overrides, load_config
from detkit.experiment.config import Experiment
from detkit.training.folder import RunFolder

_CHANGEABLE = (
    "output",
    "evaluation.",
    "data.check",
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
    "training.copy_to",
    "training.early_stopping",
    "training.evaluations",
    "training.log_every",
    "training.loggers",
    "training.save_minutes",
)
"""Keys, or prefixes of keys, that may differ in a resumed run: none changes the steps already made, or the effect of a step."""


def run_config(folder: RunFolder) -> Experiment:
    """Read the config that a run was started with.

    Raises:
        FileNotFoundError: If the folder has none.
    """
    return load_config(folder.config, Experiment)


def resumed_config(folder: RunFolder, base: Experiment | None, overrides: Sequence[str], repeats: bool = False) -> Experiment:
    """Return the config to resume a run with: its own, or ``base`` if given, with the overrides.

    Raises:
        ConfigError: If the config would not continue the run exactly.
    """
    config = run_config(folder) if base is None else base
    config = apply_overrides(config, overrides)
    check_resumable(folder, config, repeats)
    return config


def as_measured(config: Experiment, folder: RunFolder) -> Experiment:
    """Return a config with the number that a run has measured in the place of ``loader.batch_size=auto``."""
    if config.loader.batch_size != "auto":
        return config
    return config.replace(loader=config.loader.replace(batch_size=run_config(folder).loader.batch_size))


def check_resumable(folder: RunFolder, config: Experiment, repeats: bool = False) -> None:
    """Check that a config continues a run exactly.

    Args:
        folder: The folder of the run.
        config: The config to resume with.
        repeats: Whether a single stage is rerun; the settings of stages may then differ.

    Raises:
        ConfigError: If other keys differ; the message names each with both values.
    """
    old, new = (_flat(json.loads(item.to_json())) for item in (run_config(folder), config))
    changeable = (*_CHANGEABLE, "stages") if repeats else _CHANGEABLE
    keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and not key.startswith(changeable))
    if keys:
        listed = ", ".join(f"{key} = {new.get(key)} (the run has {old.get(key)})" for key in keys[:6])
        raise ConfigError(
            f"resume {folder.path}: a resumed run continues exactly, so these cannot change: {listed}; remove them, or start a new run "
            f"with weights={folder.last}"
        )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested groups to dotted keys."""
    if isinstance(value, dict):
        return {key: item for name, inner in value.items() for key, item in _flat(inner, f"{prefix}{name}.").items()}
    return {prefix.rstrip("."): value}
