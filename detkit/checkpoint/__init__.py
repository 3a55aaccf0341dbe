"""Checkpoints: safetensors files with the model config and class names in the header; loading one never executes code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.checkpoint.atomic import atomic_write, write_text
from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.checkpoint.average import average
    from detkit.checkpoint.checkpoint import FORMAT, Checkpoint, load_checkpoint, make_header, read_header, save_checkpoint
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

# Everything except writing a text file needs torch.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".average": ("average",),
        ".checkpoint": ("FORMAT", "Checkpoint", "load_checkpoint", "make_header", "read_header", "save_checkpoint"),
        ".pack": ("pack",),
        ".state": ("load_state", "save_state"),
    },
)
