"""Find what a word of a command line names: a config, labeled data, or a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from detkit.json_text import parse_json
from detkit.registry import did_you_mean

if TYPE_CHECKING:
    from detkit.experiment import Experiment

Kind = Literal["config", "checkpoint", "data"]

_CHECKPOINTS = ("best.safetensors", "last.safetensors")
_KINDS: dict[str, Kind] = {".py": "config", ".safetensors": "checkpoint", ".pth": "checkpoint", ".pt": "checkpoint"}
_KINDS |= {".onnx": "checkpoint", ".xml": "checkpoint"}


def kind_of(path: Path) -> Kind:
    """Return the kind of a path or name by its name, suffix and content.

    Raises:
        FileNotFoundError: If there is no such file, config or published weights.
    """
    from detkit import weights, zoo
    from detkit.data.storage.addresses import is_address

    if is_address(path):
        return "data"
    if path.is_dir():
        if any((path / name).is_file() for name in _CHECKPOINTS):
            return "checkpoint"
        _refuse_empty_run(path)
        return "data"
    if not path.exists():
        models = [weights.EMBEDDED, *(entry.name for entry in weights.catalog())]
        if str(path) in models:
            return "checkpoint"
        if str(path) in zoo.names():
            return "config"
        nearby = [str(file) for file in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = did_you_mean(str(path), [*models, *zoo.names(), *nearby])
        expected = "expected data, a config, a checkpoint, or a name from `detkit models list`"
        raise FileNotFoundError(f"info {path}: no such file; {hint if hint.startswith('did you mean') else expected}")
    if path.suffix == ".json":
        return "config" if is_experiment(path) else "data"
    return _KINDS.get(path.suffix, "data")


def _refuse_empty_run(folder: Path) -> None:
    """Explain that a run has no checkpoint, if a folder is that of a run.

    Raises:
        FileNotFoundError: If it is.
    """
    config = folder / "config.json"
    if not config.is_file() or not is_experiment(config):
        return
    if (folder / "last.state").is_file():
        advice = f"resume it with: detkit train --resume {folder}"
    else:
        advice = "it ended before its first one; remove the folder, and train again"
    raise FileNotFoundError(f"{folder}: a run without a checkpoint; {advice}")


_MOST_CONFIG_BYTES = 4_000_000
"""A longer JSON file has labels; parsing it only to see that takes seven times its size in memory."""


def is_experiment(path: Path) -> bool:
    """Whether a JSON file holds a config, as opposed to labels.

    Raises:
        ValueError: If it is not JSON.
    """
    if path.stat().st_size > _MOST_CONFIG_BYTES:
        return False
    content = parse_json(path.read_bytes(), str(path))
    return isinstance(content, dict) and "model" in content and "images" not in content


def is_data(target: str) -> bool:
    """Whether a word names labeled data, as opposed to a config.

    Raises:
        ValueError: If it names neither.
    """
    from detkit import zoo
    from detkit.data.storage.addresses import is_address

    path = Path(target)
    if is_address(target):
        return True
    if target in zoo.names() or path.suffix == ".py":
        return False
    if not path.exists():
        hint = did_you_mean(target, zoo.names())
        hint = f"{hint} " if hint.startswith("did you mean") else ""
        raise ValueError(f"train {target}: no such folder, file or config; {hint}`detkit models list` lists the configs")
    return path.is_dir() or path.suffix != ".json" or not is_experiment(path)


def load_target(target: str) -> Experiment:
    """Load a config by name, or from a file."""
    from detkit import zoo
    from detkit.config import load_config
    from detkit.experiment import Experiment

    return zoo.load(target) if target in zoo.names() else load_config(target, Experiment)
