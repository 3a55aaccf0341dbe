"""Choose a recipe for ``detkit train FOLDER``: the config, the initial weights and the length of the training."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detkit.cli.report import count
from detkit.cli.train.options import TrainOptions

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.weights.entry import WeightEntry

BUDGET = 10.0
"""Core-minutes of the default run on a CPU; docs/training_on_your_own_data.md states the results that they reach."""
SMALL_DATA, MAX_EPOCHS = 15, 100
"""Up to this many images, a run ends after ``MAX_EPOCHS``: more repetitions only memorize."""
EVALUATIONS = 4
"""Evaluations of a run of the config ``embedded``."""
EVALUATION_COST = 0.6
"""Time to evaluate an image, relative to the time to train on one; measured with the config ``embedded`` on a CPU."""
GPU_CONFIG, GPU_WEIGHTS = "dfine_finetune", "dfine_s"


@dataclass(frozen=True)
class Recipe:
    """A config by name, the overrides of its keys, and the lines that explain the choice."""

    config: str
    overrides: tuple[str, ...]
    lines: tuple[str, ...]


def choose_recipe(path: str, options: TrainOptions, flag_keys: Sequence[str], overrides: Sequence[str]) -> Recipe:
    """Choose how to train on the data at ``path`` on this machine.

    On a CPU, training starts from the detector inside the package. On a GPU, it starts from D-FINE-S, which is fast and accurate, and whose
    license has no conditions on use, if its weights are on this machine or the user agrees to download them. A folder of images per class
    trains a classifier.

    Args:
        path: The labeled data.
        options: The options of the command.
        flag_keys: The keys that its flags set, as ``key=value``.
        overrides: The ``key=value`` words of the command line.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If its format is not recognized.
    """
    data = [f"data.train={path}", "data.val=none"]
    train, val = _load([*data, *(word for word in (*flag_keys, *overrides) if word.startswith("data."))])
    if train.is_classification:
        reason = f"{path} has a folder of images for each class, so the model is a classifier"
        return _recipe(path, "classify_folder", data, (reason,), options, overrides)
    if not _on_cpu(options.device) and _has_weights(options.yes):
        keys = [*data, f"weights={GPU_WEIGHTS}"]
        reason = f"this machine has a GPU, and {GPU_WEIGHTS} is the most accurate fast detector whose weights are free to use (Apache-2.0)"
        return _recipe(path, GPU_CONFIG, keys, (reason,), options, overrides)
    limit, reason = _limit(len(train), options.budget)
    cost = count(max(1, round(EVALUATION_COST * EVALUATIONS * len(val))), "image")
    lines = (
        "no GPU is used, and a few core-minutes of fine-tuning the detector inside the package are enough"
        if _on_cpu(options.device)
        else _no_download(),
        reason,
        f"validation: {count(len(val), 'image')}, evaluated {EVALUATIONS} times, which takes as long as training on about {cost}",
    )
    return _recipe(path, "embedded", [*data, *limit], lines, options, overrides)


def settle_download(options: TrainOptions) -> None:
    """Download the recommended weights if they are needed and missing, and the user agrees."""
    if not _on_cpu(options.device):
        _has_weights(options.yes)


def _limit(images: int, budget: float | None) -> tuple[list[str], str]:
    """Return the keys that limit a run on a CPU, and the line that explains them."""
    if not budget and images <= SMALL_DATA:
        return [f"training.epochs={MAX_EPOCHS}"], f"length: {MAX_EPOCHS} epochs, as the data set is small ({count(images, 'image')})"
    minutes = budget or BUDGET
    keys = ["training.epochs=none", f"training.budget={minutes:g}"]
    return keys, f"length: {minutes:g} core-minutes for {count(images, 'image')}; change it with --budget"


def _recipe(path: str, config: str, keys: list[str], reasons: Sequence[str], options: TrainOptions, overrides: Sequence[str]) -> Recipe:
    """Return the recipe, with the equivalent command that names the config and its keys."""
    shown = [key for key in keys if not key.startswith("data.")]
    has_budget = any(key.startswith("training.budget=") for key in keys)
    words = ["detkit", "train", config, "--data", path, *shown, *_typed_flags(options, has_budget), *overrides]
    lines = (f"recipe: {config}", *(f"  {reason}" for reason in reasons), f"  the same as: {shlex.join(words)}", "")
    return Recipe(config, tuple(keys), lines)


def _typed_flags(options: TrainOptions, has_budget: bool) -> list[str]:
    """Return the flags of the command line that the keys of a recipe do not replace."""
    pairs = (
        ("--images", options.images),
        ("--split", options.split),
        ("--val-fraction", options.val_fraction),
        ("--budget", None if has_budget or options.budget is None else f"{options.budget:g}"),
        ("--output", options.output),
        ("--device", None if options.device == "auto" else options.device),
        ("--devices", options.devices),
        ("--precision", options.precision),
    )
    return [word for flag, value in pairs if value is not None for word in (flag, str(value))]


def _load(overrides: list[str]) -> tuple[DetectionData, DetectionData]:
    from detkit.config import apply_overrides
    from detkit.data.splits import load_data
    from detkit.experiment import Experiment

    return load_data(apply_overrides(Experiment(), overrides).data)


def _on_cpu(device: str) -> bool:
    from detkit.inference.device import pick_device

    return pick_device(device).type == "cpu"


def _has_weights(yes: bool) -> bool:
    """Whether the weights for GPUs are on this machine, after downloading them if the user agrees."""
    from detkit import weights

    entry = weights.find(GPU_WEIGHTS)
    try:
        weights.resolve(entry.name)
        return True
    except FileNotFoundError:
        pass
    if not yes and not (sys.stdin.isatty() and _agrees(f"download {entry.name} ({_size(entry)} MiB) from {entry.url}? [y/N] ")):
        return False
    print(f"downloading {entry.name}", flush=True)
    weights.resolve(entry.name, fetch=True)
    return True


def _size(entry: WeightEntry) -> str:
    """Return the size of a file in MiB; where it is not stated, that of its parameters in float32."""
    return entry.format_size() if entry.size else f"about {entry.parameters * 4 / 2**20:.0f}"


def _agrees(question: str) -> bool:
    return input(question).strip().lower() in {"y", "yes"}


def _no_download() -> str:
    return f"{GPU_WEIGHTS} is more accurate on this GPU, but not on this machine; get it with `detkit models download {GPU_WEIGHTS}`"
