"""``detkit models import``, ``pack`` and ``average``, which write a checkpoint."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from detkit.cli.flags import add_flags
from detkit.cli.options import bind
from detkit.cli.outputs import check_file
from detkit.cli.report import MEGABYTE
from detkit.cli.resolve import settings_digest
from detkit.json_text import parse_json

_MODEL = "model."
Actions = argparse._SubParsersAction


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of ``detkit models import``.

    Attributes:
        file: The published file.
        model: Name of the detector in the file.
        classes: Phrases to look for, for a detector that takes them.
        templates: Prompts into which they are inserted; None: the model's own.
        output: The checkpoint to write.
    """

    file: str
    model: str | None = None
    classes: tuple[str, ...] | None = None
    templates: tuple[str, ...] | None = None
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """Options of ``detkit models pack``.

    Attributes:
        words: A checkpoint or a run's folder, and keys of its model config to change.
        min_score: Lowest score that commands report by default with the checkpoint.
        metrics: File of the metrics to store in it.
        output: The checkpoint to write.
    """

    words: tuple[str, ...]
    min_score: float | None = None
    metrics: str | None = None
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class AverageOptions:
    """Options of ``detkit models average``.

    Attributes:
        sources: Checkpoints or runs' folders.
        output: The checkpoint to write.
    """

    sources: tuple[str, ...]
    output: str | None = None


def add_import(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add ``detkit models import``."""
    parser = actions.add_parser(
        "import", help="convert a published file to a checkpoint", description="Convert a published file to a detkit checkpoint."
    )
    parser.add_argument("file", metavar="FILE", help="the published file; no code in it is executed")
    add_flags(parser, "--model", help="the detector in the file: a name from `detkit models list --kind weights`")
    add_flags(parser, "--classes", help="with a clip or clip_rcnn model: the phrases to look for")
    add_flags(parser, "--templates")
    _add_output(parser)
    bind(parser, ImportOptions, _import)


def add_pack(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add ``detkit models pack``."""
    parser = actions.add_parser(
        "pack",
        help="write a checkpoint of half the size",
        description="Write a checkpoint of half the size to share: fp16, without the training record.",
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="MODEL [KEY=VALUE ...]",
        help="a checkpoint or a run's folder; then keys of its model config to change, which must not change any weight, such as "
        "model.head.postprocess.nms_iou=0.5",
    )
    add_flags(parser, "--min-score", help="lowest score that commands report by default with this checkpoint")
    parser.add_argument("--metrics", metavar="FILE", help="metrics to store in it, a file written by `detkit evaluate --json FILE`")
    _add_output(parser)
    bind(parser, PackOptions, _pack)


def add_average(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add ``detkit models average``."""
    parser = actions.add_parser(
        "average", help="average the weights of several runs", description="Average the weights of several runs of one model."
    )
    parser.add_argument("sources", nargs="+", metavar="MODEL", help="two or more checkpoints or runs' folders, of the same model and start")
    _add_output(parser)
    bind(parser, AverageOptions, _average)


def _add_output(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, "--output", help="the checkpoint to write (.safetensors)")


def _import(options: ImportOptions) -> int:
    if options.model is None:
        raise ValueError(
            "models import: expected the name of the detector in the file; give --model NAME, see `detkit models list --kind weights`"
        )
    output = _checkpoint_to_write(options.output)
    from detkit.checkpoint import make_header, save_checkpoint
    from detkit.models.published import load_published

    published = load_published(options.model, options.file, options.classes, options.templates)
    header = make_header(published.config.to_json(), published.class_names, imported_from=Path(options.file).name)
    save_checkpoint(output, published.detector.state_dict(), header)
    named = sum(name is not None for name in published.class_names)
    print(f"{output}: {options.model} with {named} classes; use it with: detkit detect IMAGE --model {output}")
    return 0


def _pack(options: PackOptions) -> int:
    sources = [word for word in options.words if "=" not in word]
    overrides = [word for word in options.words if "=" in word]
    if len(sources) != 1:
        raise ValueError(f"models pack: expected one checkpoint or run's folder, got {', '.join(sources) or 'none'}")
    output = _checkpoint_to_write(options.output)
    from detkit.checkpoint import pack, read_header

    source = _source(sources[0])
    changed = _changed_model(source, overrides)
    metrics = _metrics(options.metrics, changed or read_header(source)["model"], bool(overrides)) if options.metrics is not None else None
    if changed is not None and metrics is None and read_header(source).get("metrics"):
        metrics = {}
        print(f"the metrics of {source} are not kept, as they were measured before the change; evaluate {output}, and add --metrics")
    before, after = pack(source, output, min_score=options.min_score, metrics=metrics, model_json=changed)
    print(f"{output}: {before / MEGABYTE:.1f} MB -> {after / MEGABYTE:.1f} MB; use it with: detkit detect IMAGE --model {output}")
    return 0


def _average(options: AverageOptions) -> int:
    if len(options.sources) < 2:
        raise ValueError(f"models average: expected two or more checkpoints or runs' folders, got only {options.sources[0]}")
    output = _checkpoint_to_write(options.output)
    from detkit.checkpoint import average

    others = average([_source(name) for name in options.sources], output)
    if others:
        print(f"the models differ in {', '.join(others)}; the first model's values are used")
    print(f"{output}: the mean of {len(options.sources)} models; evaluate it with: detkit evaluate {output} --data PATH")
    return 0


def _source(name: str) -> Path:
    """Return the checkpoint that a word names."""
    from detkit.inference.sources import checkpoint_path

    source = checkpoint_path(name)
    if source is None:
        raise FileNotFoundError(f"{name}: no such file or folder; expected a checkpoint or a run's folder")
    return source


def _metrics(path: str, model_json: str, changed: bool) -> dict[str, float]:
    """Read the metrics from a file that ``detkit evaluate --json`` wrote.

    Args:
        path: The file.
        model_json: The model config of the packed checkpoint.
        changed: Whether it differs from that of the source.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has another format, or measured a model of other settings.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"--metrics {path}: no such file; `detkit evaluate MODEL --data PATH --json {path}` writes it")
    try:
        content = parse_json(Path(path).read_bytes(), "the file")
        measured = {str(name): float(value) for name, value in content["values"].items() if value is not None}
        settings = content.get("model_settings")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--metrics {path}: expected a file from `detkit evaluate --json` ({type(error).__name__}: {error})") from None
    if settings != settings_digest(model_json) and (changed or settings is not None):
        raise ValueError(
            f"--metrics {path}: measured with other settings than those of the packed checkpoint; pack it without --metrics, evaluate the "
            "new file with --json, and pack once more with these metrics"
        )
    return measured


def _changed_model(source: Path, overrides: list[str]) -> str | None:
    """Return the checkpoint's model config with overrides, if its tensors still fit; None without overrides."""
    if not overrides:
        return None
    from detkit.checkpoint import load_checkpoint
    from detkit.config import apply_overrides
    from detkit.models.loading.checkpoints import from_checkpoint, model_config

    foreign = [word for word in overrides if not word.startswith(_MODEL)]
    if foreign:
        raise ValueError(f"models pack: expected {_MODEL}KEY=VALUE, got {foreign[0]}; a packed checkpoint keeps only the model's config")
    checkpoint = load_checkpoint(source)
    config = model_config(checkpoint.model_json, str(source))
    text: str = apply_overrides(config, [word.removeprefix(_MODEL) for word in overrides]).to_json()
    from_checkpoint(replace(checkpoint, header={**checkpoint.header, "model": text}), str(source))
    return text


def _checkpoint_to_write(output: str | None) -> Path:
    if output is None:
        raise ValueError("--output: expected the file to write; give --output FILE.safetensors")
    path = Path(output)
    if path.suffix != ".safetensors":
        raise ValueError(f"--output {path}: expected a name that ends in .safetensors")
    check_file("--output", path)
    return path
