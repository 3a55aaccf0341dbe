"""Reading tensors from a file without executing any code in it."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detkit.npz import read_npz
from detkit.weights.script import is_script, script_tensors

_log = logging.getLogger(__name__)

_WRAPPERS = ("state_dict", "model", "model_state_dict")
_AVERAGES = ("ema", "model_ema", "ema_state_dict", "state_dict_ema")
"""Names under which training scripts store the exponential moving average of the weights: RT-DETR, D-FINE and DEIM; torchvision; others."""


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read the named tensors of a ``.pth``/``.pt`` (including TorchScript), ``.safetensors`` or ``.npz`` file to the CPU.

    A state dict that a training script wrapped (``state_dict``, ``model``) is unwrapped. If the file also has the exponential moving
    average of the weights (``ema``), which is what training scripts evaluate, the average is returned and this is logged.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, contains code, or has no named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights {path}: no such file")
    if path.suffix in (".safetensors", ".npz"):
        tensors = _safetensors(path) if path.suffix == ".safetensors" else _arrays(path)
        if not tensors:
            raise ValueError(f"weights {path}: expected named tensors, got none; save or download the file again")
        return tensors
    try:
        content = script_tensors(path) if is_script(path) else _load(path)
    except Exception as error:  # pickle, zip and torch raise a dozen exception types for other files
        raise ValueError(_error_text(path, error)) from None
    return _named_tensors(path, content)


def _load(path: Path) -> Any:
    # The arguments that DETR and torchvision store are plain attributes; building them runs no code of the file.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _error_text(path: Path, error: Exception) -> str:
    if "Unsupported global" in str(error) or "Unsupported class" in str(error):
        return (
            f"weights {path}: the file contains Python objects besides tensors, and detkit executes no code from files; "
            "save a plain state dict"
        )
    reason = type(error).__name__
    return f"weights {path}: expected tensors saved by torch, or .safetensors; the file is truncated or of another kind ({reason})"


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ValueError(f"weights {path}: expected a safetensors file; it is truncated or of another kind ({error})") from None


def _arrays(path: Path) -> dict[str, Tensor]:
    try:
        return {name: torch.from_numpy(array) for name, array in read_npz(path).items()}
    except (ValueError, TypeError) as error:
        raise ValueError(f"weights {path}: expected arrays saved by numpy; it is truncated or of another kind ({error})") from None


def _named_tensors(path: Path, content: Any) -> dict[str, Tensor]:
    content = _unwrapped(path, content)
    if not isinstance(content, Mapping) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        got = f"a mapping with {', '.join(map(str, list(content)[:3]))}" if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"weights {path}: expected a state dict, a mapping of names to tensors, got {got}")
    for name, value in content.items():
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():  # repeated numbers, which any use would unfold
            raise ValueError(
                f"weights {path}: {name}: expected as many numbers as the file stores for it, got the shape {tuple(value.shape)}"
            )
    return {str(name): value for name, value in content.items()}


def _unwrapped(path: Path, content: Any) -> Any:
    """Return the state dict in the content of a file: the moving average if there is one."""
    if not isinstance(content, Mapping):
        return content
    average = next((key for key in _AVERAGES if isinstance(content.get(key), Mapping) and content[key]), None)
    if average is not None:
        plain = next((key for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        others = f", not its plain weights ({plain!r})" if plain else ""
        _log.info("weights %s: using the moving average of the weights in the file (%r)%s", path, average, others)
        return _average_tensors(content[average])
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    return content


def _average_tensors(average: Mapping[Any, Any]) -> Any:
    """Return the state dict of a moving average: its ``module`` (RT-DETR), itself (timm), or without PyTorch's ``module.`` prefix."""
    for key in ("module", *_WRAPPERS):
        if isinstance(average.get(key), Mapping):
            return average[key]
    prefix = "module."
    tensors = {name: value for name, value in average.items() if name != "n_averaged"}
    if all(isinstance(name, str) and name.startswith(prefix) for name in tensors):
        return {name.removeprefix(prefix): value for name, value in tensors.items()}
    return average
