"""The file of a detector, by which shards of one run recognize one another and which machines of a cluster are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from detkit.inference.runtime import is_exported
from detkit.inference.sources import checkpoint_path
from detkit.weights import resolve

_CHUNK = 1 << 20


def model_files(model: str | Path, weights_file: str | Path | None = None) -> tuple[Path, ...]:
    """Return the files of a detector: one, or the graph and the weights of an OpenVINO file.

    Args:
        model: A checkpoint, a run's folder, an exported file, ``embedded`` or a published name.
        weights_file: The file of a published model.

    Raises:
        FileNotFoundError: If there is no such file, or the weights of a published name are not on this machine.
        ValueError: If the name is unknown.
    """
    if weights_file is not None:
        return (Path(weights_file),)
    if is_exported(model):
        path, weights = Path(model), Path(model).with_suffix(".bin")
        return (path, weights) if path.suffix == ".xml" and weights.is_file() else (path,)
    return (checkpoint_path(model) or resolve(str(model)),)


def files_sha256(files: Sequence[Path]) -> str:
    """Return the SHA-256 of files one after the other, as hexadecimal digits; of one file, that of ``sha256sum``.

    Raises:
        OSError: If one cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
