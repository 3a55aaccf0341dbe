"""Loading of predictors from checkpoints, run folders, exported files and names of published weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from detkit.checkpoint import load_checkpoint, read_header
from detkit.inference.device import Precision
from detkit.inference.exported import is_exported, load_exported, open_session
from detkit.inference.predictor import Predictor, ProposalFunction
from detkit.models.loading.checkpoints import LoadedDetector, from_checkpoint
from detkit.models.published import publication
from detkit.models.published.load import PUBLISHED, load_published
from detkit.proposals import ProposalsConfig
from detkit.weights import EMBEDDED, catalog, require_embedded_path

RUNS = "runs"
_EMBEDDED_REASON = "the detector inside the package"


def load(
    source: str | Path | None = None,
    device: str | torch.device = "auto",
    precision: Precision | str = "auto",
    *,
    file: str | Path | None = None,
    **options: Any,
) -> Predictor:
    """Load a :class:`Predictor`.

    Args:
        source: A detkit checkpoint (``.safetensors``), a run folder (its best checkpoint), a name from ``detkit models list``,
            ``embedded`` (the detector inside the package), or an ``.onnx`` file from ``detkit export``. None: the default of
            :func:`choose_model`.
        device: See :class:`Predictor`.
        precision: See :class:`Predictor`.
        file: The published file, together with its name as ``source``.
        options: ``reference``, ``min_score``, ``classes``, ``batch_size``, ``proposer``, ``svd``: see :class:`Predictor`. An
            open-vocabulary detector such as ``clip_rcnn`` detects the phrases in ``classes``.

    Raises:
        FileNotFoundError: If the file or name does not exist, or the named weights have not been downloaded.
        ValueError: If the file is not a detkit checkpoint, or is damaged.
        ImportError: If a required library is not installed.
    """
    source = choose_model(source)[0]
    if file is None and is_exported(source):
        return load_exported(source, device, precision, **options)
    loaded = load_detector(source, file, options.get("classes"))
    if loaded.config.proposals_config is not None and "proposer" not in options:
        options["proposer"] = _proposer(loaded.config.proposals_config, device)
    return Predictor(loaded.detector, loaded.config.preprocess, loaded.class_names, device, precision, **options)


def _proposer(config: ProposalsConfig, device: str | torch.device) -> ProposalFunction:
    """Build the proposer of the training config; its cache folder is used only if it exists."""
    from detkit.inference.proposals import build_proposer

    return build_proposer(config if config.cache is not None and Path(config.cache).is_dir() else config.replace(cache=None), device)


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


def suggested_min_score(source: str | Path) -> float | None:
    """Return the minimum score for showing detections that a checkpoint or an exported file suggests, if any.

    See :func:`detkit.checkpoint.pack` and :func:`detkit.export.export_onnx`.

    Raises:
        FileNotFoundError: If a folder has no checkpoint, or the exported file does not exist.
        ValueError: If the file is neither a detkit checkpoint nor an exported detector.
        ImportError: If onnxruntime, needed to read exported files, is not installed.
    """
    min_score = _metadata(source).get("min_score")
    return None if min_score is None else float(min_score)


def known_classes(source: str | Path) -> tuple[str | None, ...]:
    """Return the class names of a detector without loading it; empty for open-vocabulary detectors and unknown names.

    Raises:
        FileNotFoundError, ValueError, ImportError: As in :func:`suggested_min_score`.
    """
    metadata = _metadata(source)
    if not metadata and str(source) in PUBLISHED:
        return publication(str(source)).class_names
    return tuple(metadata.get("class_names", ()))


def _metadata(source: str | Path) -> dict[str, Any]:
    """Return the metadata of a checkpoint or an exported file; empty for other sources."""
    if is_exported(source):
        return open_session(Path(source))[1]
    path = checkpoint_path(source)
    return {} if path is None else read_header(path)


def load_detector(source: str | Path, file: str | Path | None = None, classes: Sequence[str] | None = None) -> LoadedDetector:
    """Return the detector of any source but an exported file, without a predictor around it; see :func:`load`."""
    if is_exported(source):
        raise ValueError(f"{source}: exported files support only detection and evaluation; use the checkpoint that it was exported from")
    path = checkpoint_path(source) if file is None else None
    names = PUBLISHED.names()
    if file is not None or (path is None and str(source) in names):
        return load_published(str(source), file, classes)
    if path is None and str(source) in {entry.name for entry in catalog()}:
        raise ValueError(f"weights {source}: expected a detector, got a backbone; choose one of: {', '.join(names)}")
    path = path or Path(source)
    return from_checkpoint(load_checkpoint(path, known_names=(EMBEDDED, *names)), str(path))


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
