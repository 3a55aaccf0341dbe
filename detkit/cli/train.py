"""Train a detector from a config file.

    detkit train configs/fpn_r50.py
    detkit train configs/fpn_r50.py data=my_folder optimizer.lr=0.01 training.epochs=24
    detkit train configs/fpn_r50.py data=my_folder weights=fasterrcnn_resnet50_fpn
    detkit train configs/fpn_r50.py --smoke
    detkit train --resume
    detkit train --resume runs/rcnn_lite0_bccd-1 --stage svm
    torchrun --nproc_per_node 2 -m detkit train configs/fpn_r50.py

A config file is Python and is executed: train only from files that you trust. Everything else reads JSON and checkpoints, which are not
executed. Ctrl-C (or SIGTERM) saves the run after the step it is making; --resume goes on with it exactly.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TERMINATED = 143
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``detkit train``."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="CONFIG [key=value ...]",
        help="a config file (.py, which is executed, or .json), then values to exchange in it, in any order: optimizer.lr=0.01, "
        "data=FOLDER",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="run two steps on generated data on the CPU, evaluate, save, reload and detect"
    )
    parser.add_argument("--resume", nargs="?", const="", metavar="RUN", help="go on with a run: its folder, or the newest under runs/")
    parser.add_argument(
        "--val-fraction", metavar="F", help="keep this part of the training images for validation, such as 0.1; sets data.val_fraction"
    )
    parser.add_argument("--output", metavar="DIR", help="the run's folder (default: runs/NAME-N)")
    parser.add_argument("--stage", metavar="NAME", help="run this one of the config's stages alone, such as svm; with --resume once more")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "bf16", "fp16"), help="number format of the training; sets training.precision"
    )


def run(args: argparse.Namespace) -> int:
    """Train, and say what came of it."""
    from detkit.cli.allocator import keep_freed_memory

    keep_freed_memory()
    _give_back_word(args)
    config_file, overrides = split_words(args.words)
    for key, value in (("training.precision", args.precision), ("data.val_fraction", args.val_fraction), ("output", args.output)):
        overrides = [*overrides, *([f"{key}={value}"] if value else [])]
    with _shown_log():
        return _smoke(config_file, overrides) if args.smoke else _train(args, config_file, overrides)


def _give_back_word(args: argparse.Namespace) -> None:
    """``--resume`` takes the next word for its run, also where that is a config file or ``key=value`` and the newest run is meant."""
    word = args.resume or ""
    if ("=" in word or word.endswith(".py")) and not Path(word).is_dir():
        args.words, args.resume = [word, *args.words], ""


def split_words(words: list[str]) -> tuple[str | None, list[str]]:
    """The config file, if one is named, and the overrides.

    Raises:
        ValueError: two files are named.
    """
    files = [word for word in words if "=" not in word]
    if len(files) > 1:
        raise ValueError(f"expected one config file and key=value words, got {', '.join(files)}")
    return (files[0] if files else None), [word for word in words if "=" in word]


def _train(args: argparse.Namespace, config_file: str | None, overrides: list[str]) -> int:
    from detkit.config import apply_overrides, load_config
    from detkit.experiment import Experiment, train
    from detkit.experiment.resume import resumed_config
    from detkit.training.clock import CoreClock
    from detkit.training.folder import find_run

    folder = None
    if args.resume is not None:
        folder = find_run(args.resume or None)
        config = resumed_config(folder, config_file, overrides, repeats=args.stage is not None)
    elif config_file is None:
        raise ValueError("train: which config? for example: detkit train configs/fpn_r50.py data=FOLDER; configs/ has more")
    else:
        config = apply_overrides(load_config(config_file, Experiment), overrides)
    result = train(config, device=args.device, resume=folder, clock=CoreClock(whole_process=True), stage=args.stage)
    if result.interrupted:
        return INTERRUPTED if result.reason == "SIGINT" else TERMINATED
    return 0


def _smoke(config_file: str | None, overrides: list[str]) -> int:
    from detkit.config import apply_overrides, load_config
    from detkit.experiment import Experiment
    from detkit.experiment.smoke import smoke

    config = load_config(config_file, Experiment) if config_file else Experiment(name="smoke")
    tried = smoke(apply_overrides(config, overrides))
    found = f"{tried.detections} detections by the reloaded model on {tried.image}"
    kept = "" if tried.kept else "; nothing of it is kept without --output"
    print(f"smoke: {tried.trained.steps} steps, an evaluation, {found}; {tried.seconds:.1f} s: all went through{kept}")
    return 0


@contextmanager
def _shown_log() -> Iterator[None]:
    """The run's log is what this command has to say, so it goes to the standard output."""
    logger = logging.getLogger("detkit")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
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
