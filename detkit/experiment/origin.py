"""What set each value of a run's config: a default, the config, a recipe, or the command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detkit.checkpoint.atomic import write_json
from detkit.config.flat import flat
from detkit.experiment.config import Experiment

FILE = "origin.json"
RECIPE, COMMAND_LINE = "recipe", "command line"


@dataclass(frozen=True)
class ConfigOrigin:
    """Where a config came from.

    Attributes:
        config: Name or file of the config.
        recipe: ``key=value`` of the recipe that was chosen for the data.
        command_line: ``key=value`` of the command line, those of its flags included.
        command: The command that repeats the run.
    """

    config: str
    recipe: tuple[str, ...] = ()
    command_line: tuple[str, ...] = ()
    command: str = ""

    def write(self, folder: Path) -> None:
        """Write it into the folder of a run.

        Raises:
            WriteError: If the file cannot be written.
        """
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> ConfigOrigin:
        """Read it from the folder of a run; empty if the run was not started from the command line."""
        try:
            row = json.loads((folder / FILE).read_bytes())
            return cls(str(row["config"]), tuple(row["recipe"]), tuple(row["command_line"]), str(row.get("command", "")))
        except (OSError, ValueError, TypeError, LookupError):
            return cls("")


def read_set_by(folder: Path, config: Experiment) -> dict[str, str]:
    """Return what set each value of a run's config that is not a default, by dotted key."""
    return set_by(config, ConfigOrigin.read(folder))


def set_by(config: Experiment, origin: ConfigOrigin) -> dict[str, str]:
    """Return what set each value that is not a default: the last of config, recipe and command line.

    A value is a default if its group, of the same kind, has it without any setting. Keys that an override names count as set by it, even
    if the value is the default.
    """
    defaults = flat(_defaults(config))
    own = f"config {origin.config}" if origin.config else "config"
    result = {}
    for key, value in flat(json.loads(config.to_json())).items():
        who = _overridden(key, origin.recipe, RECIPE)
        who = _overridden(key, origin.command_line, COMMAND_LINE) or who
        if who is None and (key not in defaults or defaults[key] != value):
            who = own
        if who is not None:
            result[key] = who
    return result


def _overridden(key: str, overrides: tuple[str, ...], who: str) -> str | None:
    names = {_group(item.partition("=")[0].strip()) for item in overrides}
    return who if any(key == name or key.startswith(f"{name}.") for name in names) else None


def _group(name: str) -> str:
    return name.removesuffix(".kind").removesuffix(".preset")


def _defaults(config: Experiment) -> dict[str, Any]:
    """Return the default values of an experiment with groups of the same kinds."""
    groups = {name: type(getattr(config, name))() for name in ("model", "optimizer", "schedule")}
    defaults: dict[str, Any] = json.loads(Experiment(**groups).to_json())
    return defaults
