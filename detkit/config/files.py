"""Config files: Python that binds ``config``, or JSON written by a config."""

from __future__ import annotations

import codecs
import runpy
import traceback
from pathlib import Path
from typing import TypeVar

from detkit.config.base import Config, ConfigError

C = TypeVar("C", bound=Config)


def load_config(path: str | Path, expected: type[C]) -> C:
    """Read a config of class ``expected`` from a file. A ``.py`` file is executed; a ``.json`` file is not.

    Raises:
        FileNotFoundError: If there is no such file.
        ConfigError: If the file binds no ``config`` of the class, or fails while it runs.
        ImportError: If it imports a module that is not installed.
    """
    path = Path(path)
    if not path.is_file():
        siblings = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        raise FileNotFoundError(f"config {path}: no such file" + (f"; the folder contains: {', '.join(siblings)}" if siblings else ""))
    if path.suffix == ".json":
        return _from_json(path, expected)
    if path.suffix != ".py":
        raise ConfigError(f"config {path}: expected a .py or .json file, got {path.suffix or 'no extension'!r}")
    try:
        config = runpy.run_path(str(path)).get("config")
    except ConfigError as error:
        raise ConfigError(f"config {path}: {error}") from None
    except (OSError, ImportError):
        raise
    except Exception as error:
        raise ConfigError(f"config {path}{_line_of(error, path)}: {type(error).__name__}: {error}") from error
    if not isinstance(config, expected):
        got = "nothing" if config is None else f"{type(config).__name__}"
        raise ConfigError(f"config {path}: expected the file to bind config = {expected.__name__}(...), got {got}")
    return config


def _from_json(path: Path, expected: type[C]) -> C:
    try:
        return expected.from_json(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except ConfigError as error:
        raise ConfigError(f"config {path}: {error}") from None


def _line_of(error: Exception, path: Path) -> str:
    """Return the line of a config file that raised an error: ``, line 12``."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""
