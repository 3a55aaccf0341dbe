"""``detkit weights import``, ``pack`` and ``average``: what writes a checkpoint."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from detkit.cli.outputs import check_file
from detkit.cli.report import MEGABYTE

_MODEL = "model."


def _import(args: argparse.Namespace) -> None:
    if len(args.names) != 1 or args.model is None or args.output is None:
        raise ValueError("detkit weights import: expected one file, --model NAME and --output FILE.safetensors")
    output = _checkpoint_to_write(args.output)
    from detkit.checkpoint import make_header, save_checkpoint
    from detkit.models.published import load_published

    (file,) = args.names
    found = load_published(args.model, file, args.classes)
    header = make_header(found.config.to_json(), found.class_names, imported_from=Path(file).name)
    save_checkpoint(output, found.detector.state_dict(), header)
    named = sum(name is not None for name in found.class_names)
    print(f"{output}: {args.model} with {named} classes; detkit detect IMAGE --weights {output}")


def _pack(args: argparse.Namespace) -> None:
    names, overrides = ([name for name in args.names if ("=" in name) == wanted] for wanted in (False, True))
    if len(names) != 1 or args.output is None:
        raise ValueError("detkit weights pack: expected a checkpoint or a run's folder, and --output FILE.safetensors")
    output = _checkpoint_to_write(args.output)
    from detkit.checkpoint import pack

    source = _source(names[0])
    metrics = None if args.metrics is None else _metrics(args.metrics)
    before, after = pack(source, output, min_score=args.min_score, metrics=metrics, model_json=_changed_model(source, overrides))
    print(f"{output}: {after / MEGABYTE:.1f} MB of {before / MEGABYTE:.1f} MB; detkit detect IMAGE --weights {output}")


def _average(args: argparse.Namespace) -> None:
    if len(args.names) < 2 or args.output is None:
        raise ValueError("detkit weights average: expected two checkpoints or runs' folders, or more, and --output FILE.safetensors")
    output = _checkpoint_to_write(args.output)
    from detkit.checkpoint import average

    others = average([_source(name) for name in args.names], output)
    if others:
        print(f"their models differ in {', '.join(others)}; the first one's is taken")
    print(f"{output}: the mean of {len(args.names)}; detkit evaluate {output} tells whether it is better")


def _source(name: str) -> Path:
    """The checkpoint that a word names."""
    from detkit.inference.loading import checkpoint_path

    source = checkpoint_path(name)
    if source is None:
        raise FileNotFoundError(f"{name}: no such checkpoint, and no run's folder")
    return source


def _metrics(path: str) -> dict[str, float]:
    """The numbers in a file that ``detkit evaluate --json`` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"--metrics {path}: no such file; detkit evaluate CHECKPOINT --data DATA --json {path} writes it")
    try:
        values = json.loads(Path(path).read_bytes())["values"]
        return {str(name): float(value) for name, value in values.items() if value is not None}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--metrics {path}: expected what detkit evaluate --json writes ({type(error).__name__}: {error})") from None


def _changed_model(source: Path, overrides: list[str]) -> str | None:
    """The model config of a checkpoint with other values in it, if its tensors still fit; nothing if none is changed."""
    if not overrides:
        return None
    from detkit.checkpoint import load_checkpoint
    from detkit.config import apply_overrides
    from detkit.inference.loading import from_checkpoint, model_config

    strange = [word for word in overrides if not word.startswith(_MODEL)]
    if strange:
        raise ValueError(
            f"detkit weights pack: {strange[0]}: a packed checkpoint keeps the model's config alone; expected {_MODEL}KEY=VALUE"
        )
    found = load_checkpoint(source)
    text: str = apply_overrides(model_config(found.model_json, str(source)), [word.removeprefix(_MODEL) for word in overrides]).to_json()
    from_checkpoint(replace(found, header={**found.header, "model": text}), str(source))
    return text


def _checkpoint_to_write(output: str) -> Path:
    path = Path(output)
    if path.suffix != ".safetensors":
        raise ValueError(f"--output {output}: expected a name that ends in .safetensors")
    check_file("--output", output)
    return path


WRITERS: dict[str, tuple[Callable[[argparse.Namespace], None], tuple[str, ...]]] = {
    "import": (_import, ("model", "classes", "output")),
    "pack": (_pack, ("min_score", "metrics", "output")),
    "average": (_average, ("output",)),
}
"""What writes a checkpoint, and the flags it takes."""
