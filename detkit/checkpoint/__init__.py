"""Files that keep a trained model: safetensors with the config and the class names inside; loading one never executes code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detkit.checkpoint.atomic import atomic_write, write_text

if TYPE_CHECKING:
    from detkit.checkpoint.checkpoint import FORMAT, Checkpoint, load_checkpoint, make_header, read_header, save_checkpoint
    from detkit.checkpoint.state import load_state, save_state

__all__ = [
    "FORMAT",
    "Checkpoint",
    "atomic_write",
    "load_checkpoint",
    "load_state",
    "make_header",
    "read_header",
    "save_checkpoint",
    "save_state",
    "write_text",
]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is asked for; writing a text file does not need it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    home = "state" if name.endswith("_state") else "checkpoint"
    return getattr(importlib.import_module(f"detkit.checkpoint.{home}"), name)
