"""Sources of detectors: checkpoints, run folders, exported files and names of published weights; found and described without PyTorch."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from detkit.checkpoint import read_header
from detkit.checkpoint.operating_points import OperatingPoints
from detkit.checkpoint.trained_tiles import TrainedTiles
from detkit.inference.min_scores import MinScore, stored_min_score, stored_points
from detkit.inference.runtime import file_runtime, is_exported
from detkit.weights import EMBEDDED, require_embedded_path

RUNS = "runs"
_EMBEDDED_REASON = "the detector inside the package"


def newest_checkpoint(root: str | Path = RUNS) -> Path | None:
    """Return the best checkpoint, else the last, of the most recently written run under ``root``."""
    folders = {path.parent for path in Path(root).glob("*/*.safetensors")}
    checkpoints = [path for folder in folders if (path := _run_checkpoint(folder)) is not None]
    return max(checkpoints, key=lambda path: path.stat().st_mtime, default=None)


def choose_model(named: str | Path | None = None, root: str | Path = RUNS, *, latest: bool = False) -> tuple[str | Path, str]:
    """Return what to load and the reason, for the user.

    Args:
        named: A checkpoint, a run's folder, an exported file or a published name; None for the detector inside the package.
        root: The folder of the runs.
        latest: Use the best checkpoint of the newest run under ``root`` if nothing is named.

    Raises:
        FileNotFoundError: If there is no run although ``latest`` asks for one, or the package was built without a detector.
    """
    if named is not None and not _is_embedded(named):
        return named, "as given"
    if named is None and latest:
        newest = newest_checkpoint(root)
        if newest is None:
            raise FileNotFoundError(f"no run under {root}/ has a checkpoint; train one with `detkit train FOLDER`, or name a model")
        return newest, "the newest run"
    return require_embedded_path(), _EMBEDDED_REASON


def _is_embedded(source: str | Path) -> bool:
    """Whether a source is the name of the detector inside the package; a file or folder of that name has precedence."""
    return str(source) == EMBEDDED and not Path(source).exists()


def stored_scores(source: str | Path) -> MinScore | None:
    """Return the lowest score that a checkpoint or an exported file suggests, or its operating points; None if it has neither.

    Raises:
        FileNotFoundError, ValueError, ImportError: As in :func:`suggested_min_score`.
    """
    return stored_min_score(source_metadata(source))


def suggested_min_score(source: str | Path) -> float | None:
    """Return the minimum score for showing detections that a checkpoint or an exported file suggests, if any.

    It is the one that :func:`detkit.checkpoint.pack` or :func:`detkit.export.export_onnx` wrote, otherwise the operating point that all
    classes share.

    Raises:
        FileNotFoundError: If a folder has no checkpoint, or the exported file does not exist.
        ValueError: If the file is neither a detkit checkpoint nor an exported detector.
        ImportError: If onnxruntime, needed to read exported files, is not installed.
    """
    stored = stored_scores(source)
    return stored.overall.score if isinstance(stored, OperatingPoints) else stored


def known_operating_points(source: str | Path) -> OperatingPoints | None:
    """Return the scores at which a detector works best, without loading it, if its checkpoint or exported file has them.

    Raises:
        FileNotFoundError, ValueError, ImportError: As in :func:`suggested_min_score`.
    """
    return stored_points(source_metadata(source))


def trained_tiles(source: str | Path) -> TrainedTiles | None:
    """Return the tiles that a detector was trained on, without loading it; None if it was trained on whole images.

    Raises:
        FileNotFoundError, ValueError, ImportError: As in :func:`suggested_min_score`.
    """
    return TrainedTiles.of_header(source_metadata(source))


def known_classes(source: str | Path) -> tuple[str | None, ...]:
    """Return the class names of a detector without loading it; empty for open-vocabulary detectors and unknown names.

    Raises:
        FileNotFoundError, ValueError, ImportError: As in :func:`suggested_min_score`.
    """
    metadata = source_metadata(source)
    if metadata:
        return tuple(metadata.get("class_names", ()))
    # Only published detectors need torch, so that their module is found by name when it is needed.
    published = importlib.import_module("detkit.models.published")
    return tuple(published.publication(str(source)).class_names) if str(source) in published.PUBLISHED else ()


def source_metadata(source: str | Path) -> dict[str, Any]:
    """Return the header of a checkpoint, or the metadata of an exported file; empty for other sources.

    Raises:
        FileNotFoundError, ValueError, ImportError: As in :func:`suggested_min_score`.
    """
    if is_exported(source):
        return file_runtime(source).metadata(Path(source))
    path = checkpoint_path(source)
    return {} if path is None else read_header(path)


def checkpoint_path(source: str | Path) -> Path | None:
    """Return the checkpoint file of a path, a run folder or ``embedded``; None for other names and exported files.

    Raises:
        FileNotFoundError: If the folder has no checkpoint, or the package contains no detector.
    """
    path = Path(source)
    if path.is_dir():
        checkpoint = _run_checkpoint(path)
        if checkpoint is None:
            raise FileNotFoundError(f"{source}: expected a checkpoint, or a run folder with best.safetensors or last.safetensors")
        return checkpoint
    if _is_embedded(source):
        return require_embedded_path()
    return path if path.is_file() and not is_exported(path) else None


def _run_checkpoint(folder: Path) -> Path | None:
    return next((folder / name for name in ("best.safetensors", "last.safetensors") if (folder / name).is_file()), None)
