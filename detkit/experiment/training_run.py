"""Training from a config, from start to end."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from detkit.checkpoint import write_text
from detkit.checkpoint.temporary import remove_stale_temporaries
from detkit.config import load_config
from detkit.data import DetectionData
from detkit.experiment.build import Parts, build_distilled, build_parts, checkpoint_header, initial_state, read_images, run_data
from detkit.experiment.config import Experiment
from detkit.experiment.data_check import check_before_training
from detkit.experiment.log import log_to_file
from detkit.experiment.results import TrainResult, machine_facts, write_results
from detkit.experiment.resume import as_measured, check_resumable
from detkit.experiment.tasks import build_validation
from detkit.machine import peak_memory
from detkit.registry import did_you_mean
from detkit.training.batch_size import measured_batch_size
from detkit.training.checkpointer import format_metric
from detkit.training.fingerprint import DataFingerprint
from detkit.training.fitting.feature_store import feature_folder
from detkit.training.folder import RunFolder, claimed, new_run_folder
from detkit.training.hooks import Hook, Hooks
from detkit.training.loggers.choice import attach_results, build_loggers, check_trackers
from detkit.training.optim.precision import resolve_precision
from detkit.training.process.clock import CoreClock
from detkit.training.process.copies import RunCopies
from detkit.training.process.distributed import Processes, process_group, resolve_device, torch_threads
from detkit.training.process.elastic import begun_run, clear_begun, record_launch, run_to_resume
from detkit.training.process.random_state import preserved_random_state, seed_everything
from detkit.training.process.signals import StopSignals
from detkit.training.progress_bar import ProgressBar
from detkit.training.run import Run
from detkit.training.stages import StageResult, run_stages

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Session:
    """Parts of a run that come from the process that trains it, not from its config.

    Attributes:
        processes: The processes that train it.
        device: Device of this process.
        clock: Core-minutes of this process.
        hooks: Callbacks besides those that write files.
    """

    processes: Processes
    device: torch.device
    clock: CoreClock
    hooks: tuple[Hook, ...]


def train(
    config: Experiment | str | Path,
    *,
    device: str = "auto",
    resume: RunFolder | str | Path | None = None,
    clock: CoreClock | None = None,
    progress: bool = True,
    stage: str | None = None,
    hooks: Sequence[Hook] = (),
) -> TrainResult:
    """Train a detector and write the run's folder.

    Under ``torchrun`` every process calls it, and the first one writes. Processes that ``torchrun`` has restarted resume their run.

    Args:
        config: The experiment, or a config file (a ``.py`` file is executed).
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        resume: The folder of a run to resume exactly where it stopped.
        clock: Counts the core-minutes; by default one that starts now.
        progress: Show a progress bar.
        stage: Run only this stage of the config, by its name: from ``config.weights``, or when resuming from the newest checkpoint of the
            run, even if the stage was run before.
        hooks: Your own callbacks; see :class:`detkit.Hook`.

    Raises:
        FileNotFoundError: If data or weights are not found; the message has the command that gets each.
        ValueError: If the config, the data or the folder is invalid, or they do not match.
        DataCheckError: If the check of the data finds errors, and ``data.check`` is ``stop``.
        ImportError: If the package of a logger is not installed.
        NotFiniteError: If a loss becomes infinite or NaN.
    """
    clock = clock or CoreClock()
    config = config if isinstance(config, Experiment) else load_config(config, Experiment)
    check_trackers(config.training.loggers)
    only = None if stage is None else stage_index(config, stage)
    folder = resume if isinstance(resume, RunFolder) or resume is None else RunFolder(Path(resume))
    with (
        process_group(device) as processes,
        torch_threads(config.training.threads),
        log_to_file(processes.first) as write_log_to,
        ExitStack() as held,
    ):
        folder = folder or run_to_resume(processes, config.name, config.output)
        if folder is not None:
            processes = replace(processes, elastic=True)
            config = as_measured(config, folder)
            check_resumable(folder, config, repeats=stage is not None)
            _claim(folder, False, processes, held)
        own_device = resolve_device(device, processes.local_rank, processes.world)
        seed_everything(config.seed)
        images = read_images(config, folder is None)
        report = check_before_training(config, images, processes) if folder is None else None
        parts = build_parts(config, images, folder is None, clock)
        config = with_batch_size(config, parts, own_device, processes)
        session = _Session(processes, own_device, clock, (*([ProgressBar()] if progress else []), *hooks))
        run = _make_run(config, parts, folder or _new_folder(config, processes, held), session)
        write_log_to(run.folder.log)
        if report is not None:
            report.write(run.folder.data_check)
        return _train(config, run, parts, only, resume=folder is not None)


def with_batch_size(config: Experiment, parts: Parts, device: torch.device, processes: Processes) -> Experiment:
    """Return the config with a number in the place of ``loader.batch_size=auto``, the same in all processes."""
    if config.loader.batch_size != "auto":
        return config
    with preserved_random_state():
        detector = parts.detector.to(device).eval()
        precision = resolve_precision(config.training.precision, device)
        own = measured_batch_size(detector, config.model.preprocess, device, precision)
    size = int(processes.broadcast(own)) * processes.world
    return config.replace(loader=config.loader.replace(batch_size=size))


def stage_index(config: Experiment, name: str) -> int:
    """Return the index of the stage with this name.

    Raises:
        ValueError: If there is none.
    """
    names = [stage.name for stage in config.stages]
    if name not in names:
        raise ValueError(f"unknown stage {name!r}: {did_you_mean(name, names)}")
    return names.index(name)


def _train(config: Experiment, run: Run, parts: Parts, only: int | None, *, resume: bool) -> TrainResult:
    _log.info("%s run in %s", "resuming the" if resume else "new", run.folder.path)
    stages = [stage.build(config) for stage in config.stages]
    for stage in stages if only is None else [stages[only]]:
        stage.check(run)
    if run.processes.first:
        remove_stale_temporaries(run.folder.path, run.folder.images, feature_folder(run))
        write_text(run.folder.config, config.to_json(indent=1))
    end = run_stages(run, stages, resume, only)
    result = _result(run, end, parts)
    if run.processes.first:
        write_results(run.folder.results, config.to_json(), result)
        run.copies.update(run.folder)
        if not result.interrupted:
            attach_results(run.folder, config.training.loggers)
    _log_end(result)
    return result


def _make_run(config: Experiment, parts: Parts, folder: RunFolder, session: _Session) -> Run:
    device, signals = session.device, StopSignals()
    hooks = (*build_loggers(folder, json.loads(config.to_json()), config.training.loggers), *session.hooks)
    data, detector = run_data(config, parts, session.processes, device, signals.is_stopping), parts.detector.to(device)
    run = Run(
        detector,
        config.model.preprocess,
        data,
        folder,
        checkpoint_header(config, parts.class_names, parts.train),
        seed=config.seed,
        processes=session.processes,
        device=device,
        clock=session.clock,
        hooks=Hooks(hooks if session.processes.first else ()),
        signals=signals,
        distilled=build_distilled(config, parts, detector, device),
        proposer=parts.proposer,
        budget=config.training.budget,
        initial_state=partial(initial_state, config, parts.class_names),
        fingerprints=_fingerprints(parts),
        copies=RunCopies(config.training.copy_to),
    )
    if len(parts.val):
        validation = build_validation(parts.val, config, run)
        run.data = data.with_evaluation(validation, validation.names)
    return run


def _new_folder(config: Experiment, processes: Processes, held: ExitStack) -> RunFolder:
    """Create and claim the folder in the first process and return it in all; a restart without a state to resume from starts over."""
    begun = begun_run(config.name, config.output) if processes.first else None
    path = str((begun or new_run_folder(config.name, config.output)).path) if processes.first else None
    folder = RunFolder(Path(processes.broadcast(path)))
    _claim(folder, begun is None, processes, held)
    if begun is not None:
        clear_begun(begun)
    if processes.first:
        record_launch(folder)
    return folder


def _claim(folder: RunFolder, new: bool, processes: Processes, held: ExitStack) -> None:
    """Hold the folder in the first process, which writes it, until the run ends."""
    if processes.first:
        held.enter_context(claimed(folder, new))


def _fingerprints(parts: Parts) -> dict[str, DataFingerprint]:
    """Return the fingerprint of each part of the data, by its use."""
    unlabeled = {f"unlabeled data {number}": data for number, data in enumerate(parts.unlabeled, start=1)}
    data = {"training data": parts.train, "validation data": parts.val, **unlabeled}
    return {use: DataFingerprint.of(part) for use, part in data.items()}


def _result(run: Run, end: StageResult, parts: Parts) -> TrainResult:
    best = run.folder.best if run.folder.best.is_file() else run.folder.last
    facts: dict[str, Any] = {
        "wall_minutes": round(run.clock.wall_minutes(), 3),
        "core_minutes_by_stage": {name: round(minutes, 3) for name, minutes in run.parts().items()},
        "parameters": sum(parameter.numel() for parameter in run.detector.parameters()),
        "data": {"train": _size(parts.train), "validation": _size(parts.val), "unlabeled": [_size(data) for data in parts.unlabeled]},
        "processes": run.processes.world,
        "device": str(run.device),
        "peak_memory_megabytes": round(peak[0] / 1e6, 1) if (peak := peak_memory()) else None,
        **machine_facts(),
    }
    minutes = run.minutes()
    return TrainResult(
        run.folder.path,
        end.reason,
        end.interrupted,
        end.steps,
        run.images_seen,
        minutes,
        dict(end.numbers),
        dict(end.best_numbers),
        end.best_step,
        best,
        facts,
    )


def _size(data: DetectionData) -> dict[str, Any]:
    return {"name": data.name, "images": len(data), "boxes": len(data.records.labels)}


def _log_end(result: TrainResult) -> None:
    """Log the results of the run."""
    reasons = {"finished": "finished", "budget": "budget used up", "early stop": "stopped early"}
    reason = reasons.get(result.reason, f"interrupted by {result.reason}")
    peak = result.facts.get("peak_memory_megabytes")
    usage = f"{result.core_minutes:.1f} core-minutes{f', peak memory {peak:,.0f} MB' if peak else ''}"
    _log.info("%s after %d steps, %d images, %s", reason, result.steps, result.images_seen, usage)
    by_activity = ", ".join(f"{name} {minutes:.1f}" for name, minutes in result.facts["core_minutes_by_stage"].items())
    _log.info("core-minutes by activity: %s", by_activity)
    if result.interrupted:
        _log.info("resume it with: detkit train --resume %s", result.folder)
        return
    if result.best_numbers:
        numbers = ", ".join(f"{name} {format_metric(value)}" for name, value in result.best_numbers.items())
        _log.info("best evaluation (step %d): %s", result.best_step, numbers)
    _log.info("checkpoint: %s", result.best)
