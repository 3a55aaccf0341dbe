"""Loading of predictors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from detkit.config import ConfigError
from detkit.inference.choice.names import AUTO, TORCH, Wanted, check_runtime
from detkit.inference.detectors import load_detector
from detkit.inference.device import Precision, pick_device
from detkit.inference.min_scores import loaded_min_score, stored_points
from detkit.inference.predictor import Predictor, ProposalFunction
from detkit.inference.proposals import build_proposer
from detkit.inference.runtime import FileRuntime, check_threads, file_runtime, is_exported
from detkit.inference.sources import choose_model, source_metadata
from detkit.proposals import ProposalsConfig

_FILE_OPTIONS, _PROPOSAL_OPTIONS = {"classes", "batch_size"}, {"proposer", "proposals_cache"}


def load(
    source: str | Path | None = None,
    device: str | torch.device = "auto",
    precision: Precision | str = "auto",
    *,
    file: str | Path | None = None,
    runtime: str | None = None,
    threads: int | None = None,
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
        runtime: ``torch``, ``onnx`` (onnxruntime), ``openvino``, or ``auto``: the fastest of these on this CPU, measured at the first use.
            A detector is exported at its first use in another runtime than ``torch``, and kept in ``detkit/exports`` of the user's cache.
            None: ``torch``, and for an exported file the runtime that it was written for.
        threads: Number of threads of the whole process, as of :func:`torch.set_num_threads`; None: as it is.
        options: ``reference``, ``min_score``, ``classes``, ``batch_size``, ``proposer``, ``svd``, ``max_detections``: see
            :class:`Predictor`. An open-vocabulary detector such as ``clip`` or ``clip_rcnn`` detects the phrases in ``classes``, inserted
            in place of ``{}`` in the prompts of ``templates``, whose embeddings are averaged. ``proposals_cache``: folder that caches the
            proposals of a detector that takes them; the folder of the training is not used, so that no checkpoint names files to write.

    Raises:
        FileNotFoundError: If the file or name does not exist, or the named weights have not been downloaded.
        ValueError: If the file is not a detkit checkpoint, or is damaged.
        ImportError: If a required library is not installed.
    """
    source = choose_model(source)[0]
    if threads is not None:
        torch.set_num_threads(check_threads(threads))
    if runtime is not None:
        in_runtime = _load_in(runtime, Wanted(source, file, str(device), precision, options))
        if in_runtime is not None:
            return in_runtime
    if file is None and is_exported(source):
        return _load_file(Path(source), str(device), precision, options)
    loaded = load_detector(source, file, options.get("classes"), options.pop("templates", None))
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
    limits = {name: options.get(name) for name in ("batch_size", "max_detections")}
    used = _file_options(options, str(path))
    runtime = file_runtime(path).open(path, device, precision, **limits)
    return _over(runtime, used, runtime.info.metadata)


def _file_options(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the options of a predictor over an exported file.

    Raises:
        ValueError: If an option is not supported by exported files.
    """
    used = {key: value for key, value in options.items() if value and key not in {"max_detections", "min_score"}}
    if unsupported := sorted(set(used) - _FILE_OPTIONS - _PROPOSAL_OPTIONS):
        raise ValueError(f"{name}: {unsupported[0]} is not supported by exported files; use the checkpoint that they were exported from")
    return used | {"min_score": options.get("min_score")}


def _over(runtime: FileRuntime, options: dict[str, Any], metadata: Mapping[str, Any]) -> Predictor:
    """Return the predictor over an opened file.

    Args:
        runtime: Runs the file.
        options: As :func:`_file_options` returns them.
        metadata: Where the suggested score and the operating points are.
    """
    cache, info = options.pop("proposals_cache", None), runtime.info
    if info.takes_proposals and "proposer" not in options:
        config = _proposals_config(str(getattr(runtime, "path", info.name)), info.metadata["proposals"])
        options["proposer"] = _proposer(config, info.device, cache)
    options["min_score"] = loaded_min_score(options["min_score"], metadata)
    predictor = Predictor.over(runtime, **options)
    predictor.operating_points = stored_points(metadata)
    return predictor


def _load_in(name: str, wanted: Wanted) -> Predictor | None:
    """Load a detector in a runtime of exported files; None if it is to run in PyTorch, or in the runtime of its own file.

    Raises:
        ValueError: If the runtime does not exist, or cannot run the detector.
    """
    check_runtime(name)
    own_file = wanted.file is None and is_exported(wanted.source)
    if own_file and name == TORCH:
        raise ValueError(f"{wanted.source}: runtime='torch' runs checkpoints; give the one that this file was exported from")
    if name == AUTO and (own_file or pick_device(wanted.device).type != "cpu"):
        return None
    if name == AUTO:
        from detkit.inference.choice.auto import fastest

        name = fastest(wanted, torch.get_num_threads(), partial(_load_again, wanted))
    if name == TORCH:
        return None
    from detkit.inference.choice.choose import open_in

    runtime = open_in(wanted, name, partial(_original, wanted))
    used = _file_options(wanted.options, f"runtime={name!r}")
    metadata = runtime.info.metadata if own_file else {} if wanted.file is not None else source_metadata(wanted.source)
    return _over(runtime, used, metadata)


def _load_again(wanted: Wanted, name: str) -> Predictor:
    return load(wanted.source, wanted.device, wanted.precision, file=wanted.file, runtime=name, **wanted.options)


def _original(wanted: Wanted) -> Predictor:
    """Load a detector as it is exported."""
    limit = wanted.max_detections
    return load(wanted.source, "cpu", "fp32", file=wanted.file, reference=True, min_score=0.0, max_detections=limit)


def _proposals_config(name: str, text: str) -> ProposalsConfig:
    try:
        return ProposalsConfig.from_json(text)
    except ConfigError as error:
        raise ValueError(f"{name}: its metadata is damaged: proposals: {error}; export the detector again") from None


def _proposer(config: ProposalsConfig, device: str | torch.device, cache: str | Path | None) -> ProposalFunction:
    """Build the proposer of the training config, with the cache that the caller names, of the usual size."""
    folder, megabytes = None if cache is None else str(cache), ProposalsConfig().cache_megabytes
    return build_proposer(config.replace(cache=folder, cache_megabytes=megabytes), device)
