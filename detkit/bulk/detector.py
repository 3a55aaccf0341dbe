"""The detector of a worker: what it is, as plain data that can be sent to another machine, and how it is loaded there."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkit.bulk.model_files import model_files
from detkit.inference.files import PredictorOf
from detkit.inference.min_scores import MinScore
from detkit.inference.runtime import is_exported
from detkit.inference.sources import checkpoint_path, choose_model, stored_scores, trained_tiles
from detkit.weights import embedded_onnx_path, embedded_path

DEFAULT_MIN_SCORE = 0.5
"""Lowest score reported where neither the user nor the checkpoint sets one, as of ``detkit detect``."""


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """A detector, and what it reports.

    Attributes:
        name: A published name, ``embedded``, or the name of its file.
        files: Names of its files, which are sent along; empty for the detector inside the package.
        is_published: Whether ``name`` is a published name, and not that of a file.
        min_score: Lowest score reported; None: the model's operating points or suggestion, else 0.5.
        classes: Names of the classes to report; None: all.
        max_detections: Maximum number of detections per image; None: the model's own.
        device: Name of the device.
        precision: Number format.
        threads: Number of threads.
    """

    name: str
    files: tuple[str, ...] = ()
    is_published: bool = False
    min_score: float | None = None
    classes: tuple[str, ...] | None = None
    max_detections: int | None = None
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1


def describe(model: str | Path | None, **options: Any) -> tuple[DetectorSpec, tuple[Path, ...]]:
    """Return a detector as plain data, and its files on this machine.

    Args:
        model: A checkpoint, a run's folder, an exported file, a published name, or ``embedded``, the one inside the package (None).
        options: Further fields of :class:`DetectorSpec`.

    Raises:
        FileNotFoundError: If there is no such file, or the weights of a published name are not on this machine.
        ValueError: If the name is unknown.
    """
    source = choose_model(model)[0]
    if source == embedded_path():
        return DetectorSpec(name="embedded", **options), ()
    files = model_files(source)
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{missing[0]}: no such model file; check the path")
    published = not is_exported(source) and checkpoint_path(source) is None
    name = str(source) if published else files[0].name
    return DetectorSpec(name=name, files=tuple(path.name for path in files), is_published=published, **options), files


def load_sent(spec: DetectorSpec, contents: Mapping[str, bytes]) -> PredictorOf[Any]:
    """Load a detector from the contents of its files, by their names."""
    with tempfile.TemporaryDirectory(prefix="detkit-", ignore_cleanup_errors=True) as folder:
        for name, content in contents.items():
            Path(folder, name).write_bytes(content)
        return load_spec(spec, Path(folder))


def load_spec(spec: DetectorSpec, folder: Path) -> PredictorOf[Any]:
    """Load a detector as ``detkit detect`` does; an exported file and the detector inside the package without PyTorch.

    Args:
        spec: The detector.
        folder: Folder with its files.
    """
    file = folder / spec.files[0] if spec.files else embedded_path()
    if file is None:
        raise FileNotFoundError("this installation of detkit has no embedded detector; reinstall detkit, or name a model")
    stored = None if spec.is_published else stored_scores(file)
    lowest: MinScore = spec.min_score if spec.min_score is not None else DEFAULT_MIN_SCORE if stored is None else stored
    tiles = None if spec.is_published else trained_tiles(file)
    if tiles is None:
        single: PredictorOf[Any] = _load(spec, file, lowest)
        return single
    from detkit.inference import ImagePyramid

    views: dict[str, Any] = {"tiles": (tiles.size,), "tile_overlap": tiles.overlap, "min_score": lowest}
    views |= {} if spec.max_detections is None else {"max_detections": spec.max_detections}
    pyramid: PredictorOf[Any] = ImagePyramid(_load(spec, file, 0.0), (1,) if tiles.whole else (), **views)
    return pyramid


def _load(spec: DetectorSpec, file: Path, lowest: MinScore) -> Any:
    given: dict[str, Any] = {"min_score": lowest, "classes": spec.classes, "max_detections": spec.max_detections, "threads": spec.threads}
    exported = _exported(spec, file)
    if exported is not None:
        from detkit.inference.light import NeedsPyTorchError, load_exported

        try:
            return load_exported(exported, spec.device, spec.precision, **given)
        except NeedsPyTorchError:
            pass
    from detkit.inference.loading import load

    source, published = (spec.name, file) if spec.is_published else (file, None)
    return load(source, spec.device, spec.precision, file=published, **given)


def _exported(spec: DetectorSpec, file: Path) -> Path | None:
    """Return the file that runs without PyTorch; None if there is none, or what is asked for needs PyTorch."""
    if is_exported(file):
        return file
    on_cpu = spec.device in ("auto", "cpu") and spec.precision in ("auto", "fp32")
    return embedded_onnx_path() if on_cpu and not spec.files else None
