"""Checkpoints: safetensors files with the model config and class names in the header; loading one never executes code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.checkpoint.atomic import atomic_write, write_text
from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.checkpoint.average import average
    from detkit.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from detkit.checkpoint.header import FORMAT, make_header, read_header
    from detkit.checkpoint.pack import pack
    from detkit.checkpoint.state import load_state, save_state

__all__ = [
    "FORMAT",
    "Checkpoint",
    "atomic_write",
    "average",
    "load_checkpoint",
    "load_state",
    "make_header",
    "pack",
    "read_header",
    "save_checkpoint",
    "save_state",
    "write_text",
]

# Writing a text file and reading a header need no torch; everything else does.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".average": ("average",),
        ".checkpoint": ("Checkpoint", "load_checkpoint", "save_checkpoint"),
        ".header": ("FORMAT", "make_header", "read_header"),
        ".pack": ("pack",),
        ".state": ("load_state", "save_state"),
    },
)
