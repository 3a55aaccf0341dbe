"""Tensors out of a file, without running anything that the file may hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from detkit.weights.script import is_script, script_tensors

_WRAPPERS = ("state_dict", "model", "model_state_dict")


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The named tensors of a ``.pth``/``.pt`` (of TorchScript too), ``.safetensors`` or ``.npz`` file, on the CPU.

    A state dict that training scripts wrapped (``state_dict``, ``model``) is unwrapped.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is cut, holds code, or no named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights {path}: no such file")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix == ".npz":
        return _arrays(path)
    try:
        found = script_tensors(path) if is_script(path) else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch raise a dozen kinds for a file that is not theirs
        raise ValueError(_refusal(path, error)) from None
    return _named_tensors(path, found)


def _refusal(path: Path, error: Exception) -> str:
    if "Unsupported global" in str(error) or "Unsupported class" in str(error):
        return (
            f"weights {path}: the file holds Python objects besides tensors, and detkit runs no code out of a file; save a plain state dict"
        )
    return f"weights {path}: expected tensors saved by torch, or .safetensors; the file is cut or something else ({type(error).__name__})"


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ValueError(f"weights {path}: expected a safetensors file; it is cut or something else ({error})") from None


def _arrays(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: torch.from_numpy(found[name]) for name in found}
    except (ValueError, TypeError, OSError, EOFError, BadZipFile) as error:
        raise ValueError(f"weights {path}: expected numbers saved by numpy; it is cut or something else ({error})") from None


def _named_tensors(path: Path, found: Any) -> dict[str, Tensor]:
    for key in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        got = f"a mapping with {', '.join(map(str, list(found)[:3]))}" if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(f"weights {path}: expected a state dict, names with their tensors, got {got}")
    return {str(name): value for name, value in found.items()}
