"""The training state: everything that is needed to resume a run but not to detect."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from detkit.checkpoint.atomic import atomic_write
from detkit.checkpoint.inspect import check_exists


def save_state(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a nested state of dicts, lists, tuples, numbers, text and tensors atomically."""
    with atomic_write(path) as temporary:
        torch.save(dict(state), temporary)


def load_state(path: str | Path) -> dict[str, Any]:
    """Read a state written by :func:`save_state` to the CPU; a file that could execute code is rejected, not opened.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or contains more than plain data.
    """
    path = Path(path)
    check_exists(path, "training state")
    try:
        with path.open("rb") as handle:  # torch detects the format by the content, not by the name
            state = torch.load(handle, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"training state {path}: expected only numbers, text and tensors, got objects that could execute code; it was not opened "
            f"({str(error).splitlines()[0]})"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"training state {path}: truncated or damaged ({str(error).splitlines()[0]}); start from a checkpoint with weights=FILE"
        ) from None
    if not isinstance(state, dict):
        raise ValueError(f"training state {path}: expected a dict, got {type(state).__name__}")
    return state
