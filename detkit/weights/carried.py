"""The detector that the package itself carries, so that pictures can be looked at where nothing can be fetched."""

from __future__ import annotations

from pathlib import Path

from detkit.weights.table import find

_FILE = Path(__file__).with_name("embedded.safetensors")
_BETTER = "fasterrcnn_resnet50_fpn_v2"


def embedded() -> Path | None:
    """The checkpoint inside the package; ``None`` where it was built without one."""
    return _FILE if _FILE.is_file() else None


def better_ones() -> str:
    """In one line, which published detector finds more, and the command that fetches it."""
    entry = find(_BETTER)
    return f"{entry.name} finds more ({entry.size_spoken()} MiB): detkit weights download {entry.name}, then --weights {entry.name}"
