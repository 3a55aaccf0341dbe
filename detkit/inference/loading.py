"""A predictor from a checkpoint, a run folder, or the name of published weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from detkit.checkpoint import Checkpoint, load_checkpoint, read_header
from detkit.config import ConfigError
from detkit.inference.device import Precision
from detkit.inference.exported import is_exported, load_exported, open_session
from detkit.inference.predictor import Predictor, ProposalFunction
from detkit.models import MODELS
from detkit.models.detector import Detector, DetectorConfig
from detkit.models.published import publication
from detkit.models.published.load import PUBLISHED, fill, load_published
from detkit.proposals import ProposalsConfig
from detkit.registry import did_you_mean
from detkit.weights import EMBEDDED, catalog, embedded, needed_embedded

RUNS = "runs"
_CARRIED = "the one that detkit carries"


def load(
    source: str | Path | None = None,
    device: str | torch.device = "auto",
    precision: Precision | str = "auto",
    *,
    file: str | Path | None = None,
    **options: Any,
) -> Predictor:
    """A :class:`Predictor` ready to be called.

    Args:
        source: A checkpoint of ours (``.safetensors``), the folder of a run (its best checkpoint), a name that
            ``detkit weights`` lists, ``embedded`` (the detector inside the package), or an ``.onnx`` file of ``detkit export``; none:
            what :func:`choose_weights` takes.
        device: See :class:`Predictor`.
        precision: See :class:`Predictor`.
        file: With a name: the published file itself, wherever it lies.
        options: ``reference``, ``min_score``, ``classes``, ``batch_size``, ``proposer``, ``svd``: see :class:`Predictor`. A name such as
            ``clip_rcnn`` looks for whatever ``classes`` say.

    Raises:
        FileNotFoundError: there is no such file or name, or the named weights are not on this machine yet.
        ValueError: the file is not a checkpoint of ours, or damaged.
        ImportError: it takes a library that is not here.
    """
    source = choose_weights(source)[0]
    if file is None and is_exported(source):
        return load_exported(source, device, precision, **options)
    detector, config, class_names = load_detector(source, file, options.get("classes"))
    if config.proposals_config is not None and "proposer" not in options:
        options["proposer"] = _proposer(config.proposals_config, device)
    return Predictor(detector, config.preprocess, class_names, device, precision, **options)


def _proposer(config: ProposalsConfig, device: str | torch.device) -> ProposalFunction:
    """As in training; the folder in which proposals were remembered is used where it is, and not made anew elsewhere."""
    from detkit.inference.proposals import build_proposer

    return build_proposer(config if config.cache is not None and Path(config.cache).is_dir() else config.replace(cache=None), device)


def newest_checkpoint(root: str | Path = RUNS) -> Path | None:
    """The best checkpoint (else the last) of the run under ``root`` that was written most recently."""
    folders = {path.parent for path in Path(root).glob("*/*.safetensors")}
    found = [path for folder in folders if (path := _of_run(folder)) is not None]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def choose_weights(named: str | Path | None = None, root: str | Path = RUNS) -> tuple[str | Path, str]:
    """What to load, and why, in words: what was ``named``, else the newest run's best checkpoint, else the detector inside the package.

    Raises:
        FileNotFoundError: nothing was named, there is no run, and the package was built without a detector; or that one was named.
    """
    if named is not None and _means_embedded(named):
        return needed_embedded(), _CARRIED
    if named is not None:
        return named, "as given"
    newest = newest_checkpoint(root)
    if newest is not None:
        return newest, "the newest run's"
    own = embedded()
    if own is not None:
        return own, _CARRIED
    raise FileNotFoundError(
        f"there is no detector to use: no run under {root}/ and no --weights; train one with `detkit train CONFIG`, give a checkpoint with "
        "--weights FILE, or fetch published weights: `detkit weights` lists them"
    )


def _means_embedded(source: str | Path) -> bool:
    """Whether it is the name of the detector inside the package; a file or folder of that name is meant first."""
    return str(source) == EMBEDDED and not Path(source).exists()


def suggested_min_score(source: str | Path) -> float | None:
    """From which score on the detections of a checkpoint or an exported file are worth showing, if it says so.

    See :func:`detkit.checkpoint.pack` and :func:`detkit.export.export_onnx`.

    Raises:
        FileNotFoundError: a folder has no checkpoint, or there is no such exported file.
        ValueError: the file is no checkpoint of ours and none that we exported.
        ImportError: onnxruntime, which reads exported files, is not here.
    """
    found = _told(source).get("min_score")
    return None if found is None else float(found)


def known_classes(source: str | Path) -> tuple[str | None, ...]:
    """The class names of a detector that is not loaded yet; none where it looks for whatever it is told, or there is no such detector.

    Raises:
        FileNotFoundError, ValueError, ImportError: as :func:`suggested_min_score` does.
    """
    told = _told(source)
    if not told and str(source) in PUBLISHED:
        return publication(str(source)).class_names
    return tuple(told.get("class_names", ()))


def _told(source: str | Path) -> dict[str, Any]:
    """What a checkpoint or an exported file says of itself; nothing where the source is neither."""
    if is_exported(source):
        return open_session(Path(source))[1]
    path = checkpoint_path(source)
    return {} if path is None else read_header(path)


def load_detector(
    source: str | Path, file: str | Path | None = None, classes: Sequence[str] | None = None
) -> tuple[Detector, DetectorConfig, tuple[str | None, ...]]:
    """The detector, its config and its class names from what :func:`load` takes; on the CPU, in evaluation mode."""
    if is_exported(source):
        raise ValueError(f"{source}: an exported file detects and is evaluated, no more; give the checkpoint it was made from")
    path = checkpoint_path(source) if file is None else None
    names = PUBLISHED.names()
    if file is not None or (path is None and str(source) in names):
        found = load_published(str(source), file, classes)
        return found.detector, found.config, found.class_names
    if path is None and str(source) in {entry.name for entry in catalog()}:
        raise ValueError(f"weights {source}: of a backbone, and a detector is needed; expected one of: {', '.join(names)}")
    path = path or Path(source)
    return from_checkpoint(load_checkpoint(path, known_names=(EMBEDDED, *names)), str(path))


def checkpoint_path(source: str | Path) -> Path | None:
    """The checkpoint file that a file, a run's folder or ``embedded`` means; ``None`` if it may be a published name, or an exported file.

    Raises:
        FileNotFoundError: the folder has no checkpoint, or the package carries none.
    """
    path = Path(source)
    if path.is_dir():
        found = _of_run(path)
        if found is None:
            raise FileNotFoundError(f"{source}: expected a run's folder with best.safetensors or last.safetensors in it, or a checkpoint")
        return found
    if _means_embedded(source):
        return needed_embedded()
    return path if path.is_file() and not is_exported(path) else None


def from_checkpoint(checkpoint: Checkpoint, name: str) -> tuple[Detector, DetectorConfig, tuple[str | None, ...]]:
    """The detector that a checkpoint holds.

    Raises:
        ValueError: its model is of a kind that is not installed here, or its tensors do not fit its config.
    """
    config = model_config(checkpoint.model_json, name)
    detector = config.build(len(checkpoint.class_names))
    fill(detector, checkpoint.tensors, f"checkpoint {name}: its tensors do not fit its config")
    detector.report_only(checkpoint.class_names)
    return detector.eval(), config, checkpoint.class_names


def model_config(text: str, name: str) -> DetectorConfig:
    """The model config in a checkpoint's header.

    Raises:
        ValueError: its kind is not installed here, or it does not fit the class of that kind.
    """
    kind = json.loads(text).get("kind")
    if kind not in MODELS:
        raise ValueError(
            f"checkpoint {name}: a model of kind {kind!r}: {did_you_mean(str(kind), MODELS.names())}; "
            "a package that adds it may be missing here, or this detkit is older than the checkpoint"
        )
    try:
        config: DetectorConfig = MODELS.get(kind).from_json(text)  # type: ignore[attr-defined]
    except ConfigError as error:
        raise ConfigError(f"checkpoint {name}: its model config does not fit this version of detkit: {error}") from None
    return config


def _of_run(folder: Path) -> Path | None:
    return next((folder / name for name in ("best.safetensors", "last.safetensors") if (folder / name).is_file()), None)
