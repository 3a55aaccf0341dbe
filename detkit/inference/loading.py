"""Loading of predictors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.inference.detectors import load_detector
from detkit.inference.device import Precision
from detkit.inference.min_scores import loaded_min_score, stored_points
from detkit.inference.predictor import Predictor, ProposalFunction
from detkit.inference.proposals import build_proposer
from detkit.inference.runtime import file_runtime, is_exported
from detkit.inference.sources import choose_model, source_metadata
from detkit.proposals import ProposalsConfig

if TYPE_CHECKING:
    import torch

_FILE_OPTIONS = {"classes"}


def load(
    source: str | Path | None = None,
    device: str | torch.device = "auto",
    precision: Precision | str = "auto",
    *,
    file: str | Path | None = None,
    **options: Any,
) -> Predictor:
    """Load a :class:`Predictor`.

    A detector with operating points, from its training or from ``detkit calibrate``, reports from these scores on, as ``detkit detect``
    does: each class from its own. Give a ``min_score`` to report from another score, and 0 to report everything. Without operating points,
    everything that the model returns is reported. Evaluation is never limited by operating points.

    Args:
        source: A detkit checkpoint (``.safetensors``), a run folder (its best checkpoint), a name from ``detkit models list``,
            ``embedded`` (the detector inside the package), or a file from ``detkit export``. None: the default of
            :func:`choose_model`.
        device: See :class:`Predictor`.
        precision: See :class:`Predictor`.
        file: The published file, together with its name as ``source``.
        options: ``reference``, ``min_score``, ``classes``, ``batch_size``, ``proposer``, ``svd``, ``max_detections``: see
            :class:`Predictor`. An open-vocabulary detector such as ``clip_rcnn`` detects the phrases in ``classes``. ``proposals_cache``:
            folder that caches the
            proposals of a detector that takes them; the folder of the training is not used, so that no checkpoint names files to write.

    Raises:
        FileNotFoundError: If the file or name does not exist, or the named weights have not been downloaded.
        ValueError: If the file is not a detkit checkpoint, or is damaged.
        ImportError: If a required library is not installed.
    """
    source = choose_model(source)[0]
    if file is None and is_exported(source):
        return _load_file(Path(source), str(device), precision, options)
    loaded = load_detector(source, file, options.get("classes"))
    cache = options.pop("proposals_cache", None)
    if loaded.config.proposals_config is not None and "proposer" not in options:
        options["proposer"] = _proposer(loaded.config.proposals_config, device, cache)
    options["min_score"] = loaded_min_score(options.get("min_score"), source_metadata(source) if file is None else {})
    predictor = Predictor(loaded.detector, loaded.config.preprocess, loaded.class_names, device, precision, **options)
    predictor.operating_points = loaded.operating_points
    return predictor


def _load_file(path: Path, device: str, precision: str, options: dict[str, Any]) -> Predictor:
    """Load an exported file, which runs in its own runtime.

    Raises:
        ValueError: If an option is not supported by exported files.
    """
    used = {name: value for name, value in options.items() if value and name not in {"max_detections", "min_score"}}
    batch_size, max_detections = used.pop("batch_size", None), options.get("max_detections")
    if unsupported := sorted(set(used) - _FILE_OPTIONS):
        raise ValueError(f"{path}: {unsupported[0]} is not supported by exported files; use the checkpoint that they were exported from")
    runtime = file_runtime(path).open(path, device, precision, batch_size=batch_size, max_detections=max_detections)
    used["min_score"] = loaded_min_score(options.get("min_score"), runtime.info.metadata)
    predictor = Predictor.over(runtime, **used)
    predictor.operating_points = stored_points(runtime.info.metadata)
    return predictor


def _proposer(config: ProposalsConfig, device: str | torch.device, cache: str | Path | None) -> ProposalFunction:
    """Build the proposer of the training config, with the cache that the caller names, of the usual size."""
    folder, megabytes = None if cache is None else str(cache), ProposalsConfig().cache_megabytes
    return build_proposer(config.replace(cache=folder, cache_megabytes=megabytes), device)
