"""The checkpoint: a safetensors file whose header holds the model config and the class names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from detkit.checkpoint.atomic import atomic_write
from detkit.checkpoint.header import HEADER_KEY, check_header, make_header, read_header
from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoints


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model's tensors by name, and the header of its file.

    Attributes:
        tensors: The state dict, on the requested device.
        header: ``format``, ``detkit`` (the version that wrote it), ``model`` (the model config as JSON text), ``class_names`` (``None``
            for a slot without a name), ``experiment`` (JSON text or ``""``), ``metrics``, ``operating_points`` (see there), and any fields
            that the writer added, such as ``min_score``, the suggested minimum score of detections to show.
    """

    tensors: dict[str, Tensor]
    header: dict[str, Any]

    @property
    def class_names(self) -> tuple[str | None, ...]:
        """The name of each class, in the order of the labels."""
        return tuple(self.header["class_names"])

    @property
    def model_json(self) -> str:
        """The model config, as JSON text."""
        return str(self.header["model"])

    @property
    def operating_points(self) -> OperatingPoints | None:
        """The scores at which the detector worked best on its validation data, if they are known."""
        values = self.header.get(HEADER_FIELD)
        return None if values is None else OperatingPoints.from_dict(values)


def save_checkpoint(path: str | Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically.

    Raises:
        ValueError: If the header lacks the model config or the class names.
    """
    missing = [key for key in ("model", "class_names") if key not in header]
    if missing:
        raise ValueError(f"checkpoint {path}: the header lacks {', '.join(missing)}; build it with make_header(...)")
    full = {**make_header(header["model"], header["class_names"]), **header}
    check_header(full, f"checkpoint {path}: header")
    with atomic_write(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(_unshared(tensors), temporary, metadata={"format": "pt", HEADER_KEY: json.dumps(full)})
        temporary.chmod(mode)  # as for any new file: since 0.8 safetensors makes its files readable by their owner only


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu", known_names: Sequence[str] = ()) -> Checkpoint:
    """Read a checkpoint; nothing in it is executed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As in :func:`read_header`, or if the tensors are damaged.
    """
    header = read_header(path, known_names)
    try:
        return Checkpoint(load_file(path, device=str(device)), header)
    except SafetensorError as error:
        raise ValueError(f"checkpoint {path}: damaged ({error}); copy it again or use another checkpoint of the run") from None


def _unshared(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous CPU tensors of which no two share memory, as safetensors requires."""
    seen: set[int] = set()
    result = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().to("cpu").contiguous()
        if plain.untyped_storage().data_ptr() in seen or plain.untyped_storage().nbytes() != plain.nbytes:
            plain = plain.clone(memory_format=torch.contiguous_format)
        seen.add(plain.untyped_storage().data_ptr())
        result[name] = plain
    return result
