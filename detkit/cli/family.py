"""The family strip of ``detkit explain --models``: one photo, several detectors, what answers for each detection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.flags import min_score
from detkit.cli.report import table
from detkit.cli.resolve import resolve_model
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.diagnostics.family import FamilyMember
    from detkit.inference import Predictor

_COLUMNS = ("model", "from", "answers", "candidates", "detections")


@dataclass(frozen=True)
class FamilyOptions:
    """Options of ``detkit explain --models``.

    Attributes:
        image: The photo.
        models: The detectors, separated by commas.
        min_score: Lowest score of the detections; None: that of each model.
        output: Folder of the files; None: a new one.
        device: Name of the device.
        precision: Number format.
    """

    image: Path
    models: str
    min_score: float | None
    output: str | None
    device: str
    precision: str


def explain_family(options: FamilyOptions) -> int:
    """Explain the photo with every detector, draw the strip, and write its page."""
    from detkit.diagnostics.family import sorted_by_invention, strip_column
    from detkit.drawing import draw_strip
    from detkit.drawing.canvas import as_image
    from detkit.inference.image_like import as_pixels
    from detkit.report.strip import strip_page

    sources = resolve_models(options.models)
    drawings = DrawingWriter(options.output, [options.image], "explain", "png")
    pixels = as_image(as_pixels(options.image))
    members = sorted_by_invention([_member(name, source, options) for name, source in sources])
    columns = [strip_column(member) for member in members]
    _print(members, [len(column.answers) for column in columns])
    strip = draw_strip(pixels, columns)
    written = drawings.write(f"{options.image.stem}-family", strip)
    page = written.with_suffix(".html")
    strip_page(options.image.name, pixels, strip, members).write(page)
    print(f"written: {printable(written)}, {printable(page)}")
    return 0


def resolve_models(words: str) -> list[tuple[str, str | Path]]:
    """Return the name and the source of each detector.

    Each is whatever ``--model`` takes, or a kind of detector or the name of a config, for which the newest run under ``runs/`` counts,
    then the detector inside the package, then published weights on this machine.

    Raises:
        FileNotFoundError: If there are no weights of some; the message says how to get them.
        ValueError: If a word names nothing.
    """
    names = list(dict.fromkeys(part.strip() for part in words.split(",") if part.strip()))
    if not names:
        raise ValueError("--models: expected names, runs or checkpoints separated by commas, got none")
    sources = {name: _source(name) for name in names}
    if missing := [name for name, source in sources.items() if source is None]:
        raise FileNotFoundError("--models: no weights of " + "; ".join(map(_advice, missing)))
    return [(name, source) for name, source in sources.items() if source is not None]


def _source(name: str) -> str | Path | None:
    """Return where the weights of a detector are; None if its kind or config is known, but none are here.

    Raises:
        ValueError: If the name is unknown.
    """
    from detkit import weights, zoo
    from detkit.models import MODELS
    from detkit.registry import did_you_mean

    if Path(name).exists() or name == weights.EMBEDDED:
        return resolve_model(name)[0]
    published = {entry.name for entry in weights.catalog() if entry.kind == "detector"}
    if name in published:
        return name if _is_here(name) else None
    if name not in (known := [*MODELS.names(), *zoo.names()]):
        raise ValueError(
            f"--models {name}: no such file, run, published detector, config or kind; {did_you_mean(name, [*known, *published])}"
        )
    return _newest_run(name) or _embedded(name) or next((entry for entry in _published(name) if _is_here(entry)), None)


def _newest_run(name: str) -> Path | None:
    """Return the checkpoint of the newest run of a kind or config."""
    from detkit.checkpoint import read_header
    from detkit.inference.sources import RUNS, checkpoint_path

    found: list[Path] = []
    for folder in {path.parent for path in Path(RUNS).glob("*/*.safetensors")}:
        if any((folder / file).is_file() for file in ("best.safetensors", "last.safetensors")):
            path = checkpoint_path(folder)
            if path is not None and name in _names_in(read_header(path)):
                found.append(path)
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _embedded(name: str) -> str | Path | None:
    from detkit import weights
    from detkit.checkpoint import read_header

    try:
        path = weights.require_embedded_path()
    except FileNotFoundError:
        return None
    return path if name in _names_in(read_header(path)) else None


def _names_in(header: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the kind and the config's name in the header of a checkpoint, whose configs are JSON."""
    kind, config = (json.loads(header.get(field) or "{}").get(key) for field, key in (("model", "kind"), ("experiment", "name")))
    return kind, config


def _published(name: str) -> list[str]:
    """Return the published detectors of a kind, the smallest first."""
    from detkit import weights
    from detkit.models.published import PUBLISHED, publication

    entries = sorted((entry for entry in weights.catalog() if entry.kind == "detector"), key=lambda entry: entry.parameters)
    published = PUBLISHED.names()
    return [entry.name for entry in entries if entry.name in published and publication(entry.name).config.kind == name]


def _is_here(name: str) -> bool:
    from detkit import weights

    try:
        weights.resolve(name)
    except FileNotFoundError:
        return False
    return True


def _advice(name: str) -> str:
    """Return a name without weights, and how to get some."""
    from detkit import weights, zoo

    if name in {entry.name for entry in weights.catalog()}:
        return f"{name} (run `detkit models download {name}`)"
    configs = [name] if name in zoo.names() else [config for config in zoo.names() if _kind_of(config) == name]
    small = min(configs, key=lambda config: (config != f"{name}_lite0_bccd", not config.endswith("lite0_bccd"), config), default=None)
    ways = [f"train it with `detkit train {small} --data FOLDER`"] if small else []
    if published := _published(name):
        ways.append(f"run `detkit models download {published[0]}`")
    return f"{name} ({', or '.join(ways) or 'give a run or a checkpoint'})"


def _kind_of(config: str) -> str:
    from detkit import zoo

    return str(zoo.load(config).model.kind)


def _member(name: str, source: str | Path, options: FamilyOptions) -> FamilyMember:
    """Explain the photo with one detector."""
    from detkit.checkpoint.operating_points import OperatingPoints
    from detkit.diagnostics.explanation import explain
    from detkit.diagnostics.family import FamilyMember
    from detkit.inference import load

    predictor: Predictor = load(source, options.device, options.precision)
    lowest, _ = min_score(options.min_score, source)
    number = lowest.overall.score if isinstance(lowest, OperatingPoints) else lowest
    explanation = explain(predictor, options.image, min_score=number)
    return FamilyMember(name, _kind(source), predictor.class_names, explanation, number)


def _kind(source: str | Path) -> str:
    """Return the kind of a detector that can be loaded."""
    from detkit.inference.sources import source_metadata
    from detkit.models.published import publication

    return _names_in(source_metadata(source))[0] or publication(str(source)).config.kind


def _print(members: Sequence[FamilyMember], found: Sequence[int]) -> None:
    rows = [
        (
            member.title,
            printable(member.name),
            f"{len(member.locations):,} {member.last.location_names}",
            f"{len(member.last.before_nms):,}",
            f"{count:,} of at least {member.min_score:.2f}",
        )
        for member, count in zip(members, found, strict=True)
    ]
    print(table(rows, _COLUMNS, {"candidates"}))
