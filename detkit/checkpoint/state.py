"""The training state: everything that is needed to resume a run but not to detect."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from detkit.checkpoint.atomic import atomic_write
from detkit.checkpoint.fields import is_mapping
from detkit.checkpoint.inspect import check_exists

_UNSUPPORTED = re.compile(r"unsupported (?:global|class)\b:?\s+(?:GLOBAL\s+)?([\w.]+)", re.IGNORECASE)
"""Torch's words for an object that it does not build, with the name of its class."""
_ADVICE = "start from a checkpoint with weights=FILE"


def save_state(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a nested state of dicts, lists, tuples, numbers, text and tensors atomically."""
    with atomic_write(path) as temporary, temporary.open("wb") as handle:  # closed after an error, so that a full disk is free again
        torch.save(dict(state), handle)


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
    except RecursionError:
        raise ValueError(f"training state {path}: nested too deeply to be read; {_ADVICE}") from None
    except Exception as error:  # pickle, zip and torch raise a dozen exception types for other files
        foreign = _UNSUPPORTED.search(str(error))
        if foreign is not None:
            raise ValueError(
                f"training state {path}: expected only numbers, text and tensors, got objects that could execute code; it was "
                f"not opened ({foreign[1]})"
            ) from None
        # The text of torch's own error advises to open such a file nevertheless.
        reason = type(error).__name__ if isinstance(error, pickle.UnpicklingError) else first_line(error)
        raise ValueError(f"training state {path}: truncated or damaged ({reason}); {_ADVICE}") from None
    if not is_mapping(state):
        raise ValueError(f"training state {path}: expected a dict of named fields, got {type(state).__name__}; {_ADVICE}")
    fields: dict[str, Any] = state
    return fields


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its type if it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
