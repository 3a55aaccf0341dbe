"""Training from a config, start to end."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from detkit.checkpoint import write_text
from detkit.config import load_config
from detkit.data import DetectionData
from detkit.experiment.build import Parts, build_parts, distilled, fresh_state, header, run_data
from detkit.experiment.classified import validation_of
from detkit.experiment.config import Experiment
from detkit.experiment.log import kept_log
from detkit.experiment.results import TrainResult, machine_facts, write_results
from detkit.experiment.resume import check_same
from detkit.machine import peak_memory
from detkit.registry import did_you_mean
from detkit.training.checkpointer import in_words
from detkit.training.clock import CoreClock
from detkit.training.folder import RunFolder, new_run_folder
from detkit.training.hooks import Hook, MetricsFile, ProgressBar, TensorBoard
from detkit.training.processes import Processes, computing_threads, joined_processes, resolve_device
from detkit.training.random_state import seed_everything
from detkit.training.run import Run
from detkit.training.stages import StageEnd, run_stages

log = logging.getLogger("detkit.experiment")


def train(
    config: Experiment | str | Path,
    *,
    device: str = "auto",
    resume: RunFolder | str | Path | None = None,
    clock: CoreClock | None = None,
    progress: bool = True,
    stage: str | None = None,
) -> TrainResult:
    """Train a detector and write the run's folder.

    Started by ``torchrun``, every process calls it, and the first one writes.

    Args:
        config: The experiment, or a file that binds one (a ``.py`` file is executed).
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        resume: The folder of a run to go on with, exactly where it stopped.
        clock: Counts the core-minutes; one that starts now unless given.
        progress: Show a progress bar.
        stage: Run this one of the config's stages alone, by its name: from ``config.weights``, or on the run to resume, whose newest
            checkpoint it then starts from although the stage was run before.

    Raises:
        FileNotFoundError: data or weights are not here; the message has the command that gets each.
        ValueError: the config, the data or the folder does not fit.
        NotFiniteError: a loss became infinite or not a number.
    """
    clock = clock or CoreClock()
    config = config if isinstance(config, Experiment) else load_config(config, Experiment)
    only = None if stage is None else place_of_stage(config, stage)
    folder = resume if isinstance(resume, RunFolder) or resume is None else RunFolder(Path(resume))
    with joined_processes(device) as processes, computing_threads(config.training.threads), kept_log(processes.first) as write_log_to:
        if folder is not None:
            check_same(folder, config, repeats=stage is not None)
        place = resolve_device(device, processes.local_rank, processes.world)
        begun = time.monotonic()
        seed_everything(config.seed)
        parts = build_parts(config, folder is None, clock)
        if processes.first and folder is None and config.weights is None:
            _tell_doubts(config, parts.train)
        run = _make_run(config, parts, folder or _new_folder(config, processes), processes, (place, clock, progress))
        write_log_to(run.folder.log)
        return _train(config, run, parts, begun, (folder is not None, only))


def place_of_stage(config: Experiment, name: str) -> int:
    """The place of the stage of this name.

    Raises:
        ValueError: there is none.
    """
    names = [stage.name for stage in config.stages]
    if name not in names:
        raise ValueError(f"stage {name!r}: {did_you_mean(name, names)}")
    return names.index(name)


def _train(config: Experiment, run: Run, parts: Parts, begun: float, how: tuple[bool, int | None]) -> TrainResult:
    resume, only = how
    log.info("%s run in %s", "going on with the" if resume else "new", run.folder.path)
    stages = [stage.build(config) for stage in config.stages]
    for stage in stages if only is None else [stages[only]]:
        stage.check(run)
    if run.processes.first:
        write_text(run.folder.config, config.to_json(indent=1))
    end = run_stages(run, stages, resume, only)
    result = _result(run, end, parts, time.monotonic() - begun)
    if run.processes.first:
        write_results(run.folder.results, config.to_json(), result)
    _tell_end(result)
    return result


def _tell_doubts(config: Experiment, data: DetectionData) -> None:
    """Warn where the model's makers would not train it on such data; the run goes on."""
    for doubt in config.model.data_warnings(len(data), int(np.diff(data.records.offsets).max(initial=0))):
        log.warning("warning: %s", doubt)


def _make_run(
    config: Experiment, parts: Parts, folder: RunFolder, processes: Processes, place: tuple[torch.device, CoreClock, bool]
) -> Run:
    device, clock, progress = place
    hooks: tuple[Hook, ...] = ()
    if processes.first:
        hooks = (MetricsFile(folder.metrics), TensorBoard(folder.path / "tensorboard"), *([ProgressBar()] if progress else []))
    data, detector = run_data(config, parts, processes, device), parts.detector.to(device)
    run = Run(
        detector,
        config.model.preprocess,
        data,
        folder,
        header(config, parts.class_names, parts.train),
        seed=config.seed,
        processes=processes,
        device=device,
        clock=clock,
        hooks=hooks,
        distilled=distilled(config, parts, detector, device),
        proposer=parts.proposer,
        budget=config.training.budget,
        fresh=partial(fresh_state, config, parts.class_names),
    )
    if len(parts.val):
        run.data = data.with_evaluation(validation_of(parts.val, config, run))
    return run


def _new_folder(config: Experiment, processes: Processes) -> RunFolder:
    """The first process makes the folder and tells the others."""
    path = str(new_run_folder(config.name, config.output).path) if processes.first else None
    return RunFolder(Path(processes.from_first(path)))


def _result(run: Run, end: StageEnd, parts: Parts, seconds: float) -> TrainResult:
    best = run.folder.best if run.folder.best.is_file() else run.folder.last
    facts: dict[str, Any] = {
        "wall_minutes": round(seconds / 60, 3),
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


def _tell_end(result: TrainResult) -> None:
    """The last lines of the log."""
    peak = result.facts.get("peak_memory_megabytes")
    used = f"{result.core_minutes:.1f} core-minutes{f', peak memory {peak:,.0f} MB' if peak else ''}"
    log.info("%s after %d steps, %d images, %s", result.reason, result.steps, result.images_seen, used)
    log.info("core-minutes: %s", ", ".join(f"{name} {minutes:.1f}" for name, minutes in result.facts["core_minutes_by_stage"].items()))
    if result.interrupted:
        log.info("go on with: detkit train --resume %s", result.folder)
        return
    if result.best_numbers:
        numbers = ", ".join(f"{name} {in_words(value)}" for name, value in result.best_numbers.items())
        log.info("best on the validation data (step %d): %s", result.best_step, numbers)
    log.info("checkpoint: %s", result.best)
