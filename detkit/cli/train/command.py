"""Train a detector on a folder of labeled images, or from a config.

    detkit train my_folder                            choose a recipe for this data and this machine
    detkit train my_folder --budget 30                the same, for 30 core-minutes
    detkit train yolox_s --data my_folder             a config by name; `detkit models list` has them all
    detkit train fpn_r50 --data my_folder weights=fasterrcnn_resnet50_fpn optimizer.lr=0.01
    detkit train my_config.py training.epochs=24      a config file of your own; Python in it is executed
    detkit train my_folder --show-batches 2           write the first two batches as images, as the model sees them; do not train
    detkit train fpn_r50 --smoke                      test the installation: two steps on generated data
    detkit train --resume                             resume your newest run where it stopped
    detkit train --resume runs/rcnn_lite0_bccd-1 --stage svm
    detkit train --resume s3://bucket/run             fetch a run that training.copy_to copied there, and resume it
    detkit train fpn_r50 --data my_folder --devices 2 train on two GPUs of this machine
    torchrun --nnodes 2 ... -m detkit train fpn_r50   train on several machines: see the guide "Many processes, many machines"

Any config key can be overridden with key=value; https://github.com/detkit-vision/detkit/blob/main/docs/configuration.md lists all keys. Use
only config files that you trust: they are Python code. All other commands read JSON and checkpoints, which are never executed. Ctrl-C (or
SIGTERM) saves the run after the current step, and --resume continues it. At its end, a run gets a report, one HTML file that opens offline.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.command_line import command_line
from detkit.cli.evaluate.report import wants_report
from detkit.cli.options import bind
from detkit.cli.process import INTERRUPTED, TERMINATED
from detkit.cli.subjects import is_data, load_target
from detkit.cli.train.devices import train_on_devices, wants_processes
from detkit.cli.train.options import TrainOptions, add_train_flags
from detkit.cli.train.report import write_run_report
from detkit.printable import PrintableFormatter

if TYPE_CHECKING:
    from detkit.experiment import Experiment
    from detkit.experiment.origin import ConfigOrigin

_NOT_REPEATED = ("output", "report", "no_report", "resume", "yes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit train``."""
    add_train_flags(parser)
    bind(parser, TrainOptions, run)


def run(options: TrainOptions) -> int:
    """Train, and print the log."""
    from detkit.cli.process import keep_freed_memory
    from detkit.training.process.launcher import recorded_errors

    keep_freed_memory()
    options = _return_word_of_resume(options)
    target, overrides = split_words(options.words)
    if wants_processes(options):
        return train_on_devices(options, target)
    with recorded_errors(), _log_to_stdout():
        if options.show_batches is not None:
            return _show_batches(options, target, overrides)
        return _smoke(target, overrides) if options.smoke else _train(options, target, overrides)


def _return_word_of_resume(options: TrainOptions) -> TrainOptions:
    """Return the word after ``--resume`` to the others if it is a config or ``key=value``; the newest run is resumed then."""
    word = options.resume or ""
    if ("=" in word or word.endswith(".py")) and not Path(word).is_dir():
        return replace(options, words=(word, *options.words), resume="")
    return options


def split_words(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the data or config to train, if one is named, and the overrides.

    Raises:
        ValueError: If more than one is named.
    """
    targets = [word for word in words if "=" not in word or Path(word).exists()]
    if len(targets) > 1:
        raise ValueError(
            f"train: expected one folder or config, got {', '.join(targets)}; give the data with --data, and keys as key=value"
        )
    return (targets[0] if targets else None), [word for word in words if word not in targets]


def _train(options: TrainOptions, target: str | None, overrides: list[str]) -> int:
    from detkit.experiment import train
    from detkit.experiment.resume import resumed_config
    from detkit.training.folder import DEFAULT_ROOT, RunFolder, find_run
    from detkit.training.loggers.choice import attach_report
    from detkit.training.process.clock import CoreClock
    from detkit.training.process.copies import fetch_run, is_remote

    wants = wants_report(options.report, options.no_report)
    folder, origin = None, None
    if options.resume is not None:
        folder = fetch_run(options.resume, DEFAULT_ROOT) if is_remote(options.resume) else find_run(options.resume or None)
        base = None if target is None else load_target(target)
        config = resumed_config(folder, base, [*options.key_overrides(), *overrides], repeats=options.stage is not None)
    else:
        config, origin = _new_config(options, target, overrides)
    with _data_errors_on_lines():
        result = train(config, device=options.device, resume=folder, clock=CoreClock(whole_process=True), stage=options.stage)
    if _is_first():
        write_run_report(options, result, origin, wanted=wants)
        attach_report(RunFolder(result.folder), config.training.loggers)
    if result.interrupted:
        return INTERRUPTED if result.reason == "SIGINT" else TERMINATED
    return 0


def _new_config(options: TrainOptions, target: str | None, overrides: list[str]) -> tuple[Experiment, ConfigOrigin]:
    """Return the config of a new run, and where it came from.

    Raises:
        ValueError: If neither data nor a config is named.
    """
    from detkit.config import apply_overrides
    from detkit.experiment.origin import ConfigOrigin

    if target is None:
        raise ValueError(
            "train: expected labeled images or a config, got neither; try `detkit train FOLDER`, or a config from `detkit models list`"
        )
    name, recipe_keys, flag_keys = target, tuple[str, ...](), options.key_overrides()
    if is_data(target):
        from detkit.cli.train.recipe import choose_recipe

        recipe = choose_recipe(target, options, flag_keys, overrides)
        for line in recipe.lines if _is_first() else ():
            print(line, flush=True)
        name, recipe_keys = recipe.config, recipe.overrides
    config = apply_overrides(load_target(name), [*recipe_keys, *flag_keys, *overrides])
    return config, ConfigOrigin(name, recipe_keys, (*flag_keys, *overrides), command_line("train", add_train_flags, options, _NOT_REPEATED))


def _show_batches(options: TrainOptions, target: str | None, overrides: list[str]) -> int:
    from detkit.cli.train.show_batches import FOLDER, show_batches

    if options.smoke or options.resume is not None:
        raise ValueError("train: --show-batches draws the first batches of a new run; leave out --smoke and --resume")
    config, _ = _new_config(replace(options, output=None), target, overrides)
    return show_batches(config, options.show_batches or 1, Path(options.output or FOLDER), options.device)


def _is_first() -> bool:
    """Whether this process is the first of those that torchrun starts, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _data_errors_on_lines() -> Iterator[None]:
    """Print each error in the data on a line of its own, before the command ends with the advice."""
    from detkit.experiment.data_check import DataCheckError

    try:
        yield
    except DataCheckError as error:
        for line in error.lines if _is_first() else ():
            print(f"error: {line}")
        raise ValueError(error.advice) from error


def _smoke(target: str | None, overrides: list[str]) -> int:
    from detkit.config import apply_overrides
    from detkit.experiment import Experiment
    from detkit.experiment.smoke import smoke

    config = load_target(target) if target else Experiment(name="smoke")
    outcome = smoke(apply_overrides(config, overrides))
    detections = f"{outcome.detections} detections by the reloaded model on {outcome.image}"
    kept = "" if outcome.kept else "; the run is deleted, as --output is not given"
    print(f"smoke test passed: {outcome.trained.steps} steps, an evaluation, {detections}; {outcome.seconds:.1f} s{kept}")
    return 0


@contextmanager
def _log_to_stdout() -> Iterator[None]:
    """Print the log of the run, the output of this command, to stdout."""
    logger = logging.getLogger("detkit")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logger.addHandler(handler)
    before = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before[0]
        logger.setLevel(before[1])
