"""The state of a training run: everything that resuming needs and detecting does not."""

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
    """Read what :func:`save_state` wrote, on the CPU; a file that holds anything that could run code is refused, not run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or holds more than plain data.
    """
    path = Path(path)
    check_exists(path, "training state")
    try:
        with path.open("rb") as handle:  # by its content, never by its name
            state = torch.load(handle, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"training state {path}: holds something other than numbers, text and tensors, which could run code; it was not opened "
            f"({str(error).splitlines()[0]})"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"training state {path}: cut short or damaged ({str(error).splitlines()[0]}); start from a checkpoint with weights=FILE"
        ) from None
    if not isinstance(state, dict):
        raise ValueError(f"training state {path}: expected a dict, got {type(state).__name__}")
    return state
