"""Descriptions of configs and checkpoints."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.info.data import input_size_lines, recall_text
from detkit.cli.info.fields import Fields, measure_fields
from detkit.cli.info.options import InfoOptions
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.points import points_text
from detkit.cli.report import MEGABYTE, count, listed, table
from detkit.cli.subjects import load_target
from detkit.json_text import parse_json
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.diagnostics.cost import Profile
    from detkit.models.detector import Detector, DetectorConfig
    from detkit.models.loading.checkpoints import LoadedDetector

ASSUMED_CLASSES = 80
"""Number of classes of a config whose data is not available: COCO's."""


def print_config(subject: str, options: InfoOptions) -> None:
    """Print the parts of a config's detector, and how well its anchors fit its data."""
    from detkit.config import apply_overrides

    config = apply_overrides(load_target(subject), options.overrides)
    model: DetectorConfig = config.model
    data, note = _data_of(config, options)
    classes = len(data.class_names) if data is not None else ASSUMED_CLASSES
    print(f"{subject}: {model.kind}, {classes} classes{note}\n")
    if data is not None and config.data.tiles is not None:
        from detkit.data.tiles import as_tiles

        data = as_tiles(data, config.data.tiles)
    with Outputs({"json": options.json}) as outputs:
        _print_detector(_Subject(subject, model.build(classes), model, "random weights"), options, data, outputs)


def print_checkpoint(subject: str, options: InfoOptions) -> None:
    """Print the header of a checkpoint and the parts of its detector; with ``--data``, how well its anchors fit the data.

    Raises:
        ValueError: If flags for networks are given for an exported file.
    """
    from detkit.inference.detectors import load_detector
    from detkit.inference.runtime import is_exported
    from detkit.inference.sources import checkpoint_path

    if is_exported(subject):
        if options.receptive_fields or options.json:
            flag = "--receptive-fields" if options.receptive_fields else "--json"
            raise ValueError(f"{flag}: expected a model that runs in PyTorch, got the exported file {subject}; give its checkpoint")
        _print_exported(Path(subject))
        return
    path = checkpoint_path(subject)
    if path is not None:
        from detkit.checkpoint import read_header

        _print_header(path, read_header(path))
    loaded, weights = (load_detector(subject), "its weights") if path is not None else _published(subject)
    named = [name for name in loaded.class_names if name is not None]
    unnamed = f" and {count(len(loaded.class_names) - len(named), 'unnamed output')}" if len(named) < len(loaded.class_names) else ""
    print(f"{loaded.config.kind}, {count(len(named), 'class', 'classes')}{unnamed}: {listed(named)}\n")
    with Outputs({"json": options.json}) as outputs:
        about = _Subject(subject, loaded.detector, loaded.config, weights)
        _print_detector(about, options, _tiled(_named_data(options), subject), outputs)


def _print_exported(path: Path) -> None:
    """Print what an exported file states about its detector."""
    from detkit.inference.min_scores import stored_points
    from detkit.inference.runtime import file_runtime

    info = file_runtime(path).open(path).info
    print(f"{printable(path)}: {path.stat().st_size / MEGABYTE:.1f} MB, an exported file")
    points = stored_points(info.metadata)
    if points is not None:
        print(f"\n{points_text(points)}\n")
    elif info.metadata.get("min_score") is not None:
        print(f"min_score: {info.metadata['min_score']:g}")
    named = [name for name in info.class_names if name is not None]
    print(f"{info.name}, {count(len(named), 'class', 'classes')}: {listed(named)}")
    size = "images of any size" if info.input_size is None else f"images of {info.input_size[1]} x {info.input_size[0]} pixels"
    images = "any number of images" if info.takes_any_batch else count(info.batch_size, "image")
    print(f"in {info.precision}; takes {images} per call, {size}, padded to multiples of {info.pad_multiple}")


def _published(name: str) -> tuple[LoadedDetector, str]:
    """Return the detector of published weights, with the weights loaded if they are on this machine, and what weights it has."""
    from detkit.inference.detectors import load_detector
    from detkit.models.loading.checkpoints import LoadedDetector
    from detkit.models.published import PUBLISHED, publication

    published = publication(name) if name in PUBLISHED else None
    if published is not None and published.for_classes is not None:
        print(f"{name} takes its classes from --classes; the following is for one class and needs no weights\n")
        return LoadedDetector(published.config.build(1), published.config, ("(any class)",)), "random weights"
    try:
        return load_detector(name), "its weights"
    except FileNotFoundError as error:
        if published is None:
            raise
        print(f"{error}; the following needs no weights\n")
        built = published.config.build(len(published.class_names))
        return LoadedDetector(built, published.config, published.class_names), "random weights"


def _print_header(path: Path, header: dict[str, Any]) -> None:
    from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoints

    print(f"{printable(path)}: {path.stat().st_size / MEGABYTE:.1f} MB, written by detkit {header.get('detkit', 'of unknown version')}")
    if header.get("metrics"):
        print("metrics: " + ", ".join(f"{name} {value:.4g}" for name, value in header["metrics"].items()))
    if header.get(HEADER_FIELD) is not None:
        print(f"\n{points_text(OperatingPoints.from_dict(header[HEADER_FIELD]))}\n")
    known = {"format", "detkit", "model", "class_names", "experiment", "metrics", HEADER_FIELD}
    for name, value in header.items():
        if name not in known and value not in ("", None, [], {}):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            print(f"{printable(name)}: {printable(text, 200)}")
    if header.get("experiment"):
        experiment = parse_json(header["experiment"], f"{path}: experiment")
        name = experiment.get("name", "") if isinstance(experiment, dict) else ""
        print(f"experiment: {name}; its complete config is in the header of the file")
    print()


@dataclass(frozen=True, eq=False)
class _Subject:
    """A detector to describe, with its name and what weights it has."""

    name: str
    detector: Detector
    config: DetectorConfig
    weights: str


def _print_detector(about: _Subject, options: InfoOptions, data: DetectionData | None, outputs: Outputs) -> None:
    from detkit.diagnostics.cost import profile

    detector, config = about.detector.eval(), about.config
    if options.receptive_fields and config.whole_images:
        raise ValueError(f"--receptive-fields: expected a detector, got {about.name}, which classifies whole images and has no maps")
    measured = profile(detector, config.preprocess, options.size)
    rows = [(part.name, *_millions(part.parameters, part.trainable), *_billions(part.flops)) for part in measured.parts]
    rows.append(("all", *_millions(measured.parameters, measured.trainable), *_billions(measured.flops)))
    header = ("part", "parameters", "trainable", "GFLOPs", "GMACs")
    print(table(rows, header, set(header[1:])))
    (h, w), (ih, iw), (ph, pw) = measured.image, measured.input_size, measured.padded_size
    print(f"\nan image of {w} x {h} is resized to {iw} x {ih} and padded to {pw} x {ph}")
    print("GFLOPs count convolutions and matrix products, two operations per multiply-add; papers mostly state GMACs, half as many\n")
    if config.whole_images:
        _print_classes(detector.num_classes, config, data)
        fields, levels = None, []
    else:
        fields = None if not options.receptive_fields else measure_fields(detector, config.preprocess, (ph, pw), data, about.weights)
        levels = _levels(detector, measured)
        _print_levels(levels, fields)
        if data is not None:
            _print_recall(detector, config, data)
    outputs.write("json", lambda path: write_output(path, _as_json(about, measured, levels, fields)))


_Level = tuple[str, tuple[int, ...], int]
"""Name, shape ``(C, H, W)`` and stride of a map."""


def _levels(detector: Detector, measured: Profile) -> list[_Level]:
    """Return the maps of the backbone, followed by those of the neck."""
    strides: tuple[int, ...] = detector.neck.strides  # type: ignore[assignment]
    backbone = zip(detector.backbone.level_names, measured.backbone, detector.backbone.strides, strict=True)
    levels = [(f"backbone {name}", shape, stride) for name, shape, stride in backbone]
    return levels + [(f"neck {index}", shape, stride) for index, (shape, stride) in enumerate(zip(measured.levels, strides, strict=True))]


def _print_levels(levels: list[_Level], fields: Fields | None) -> None:
    numbers = ("channels", "width x height", "stride", *(() if fields is None else fields.header))
    rows = [
        (name, shape[0], f"{shape[2]} x {shape[1]}", stride, *(() if fields is None else fields.cells(index)))
        for index, (name, shape, stride) in enumerate(levels)
    ]
    print(table(rows, ("level", *numbers), set(numbers)))
    if fields is not None:
        print("\n" + "\n".join(fields.lines()))


def _as_json(about: _Subject, measured: Profile, levels: list[_Level], fields: Fields | None) -> str:
    """Return the numbers of a detector, sizes as ``[height, width]``."""
    content: dict[str, Any] = {
        "subject": about.name,
        "kind": about.config.kind,
        "classes": about.detector.num_classes,
        "parameters": measured.parameters,
        "trainable": measured.trainable,
        "flops": measured.flops,
        "input_size": measured.input_size,
        "padded_size": measured.padded_size,
        "levels": [
            {"name": name, "channels": shape[0], "size": shape[1:], "stride": stride, **({} if fields is None else fields.as_dict(index))}
            for index, (name, shape, stride) in enumerate(levels)
        ],
    }
    return json.dumps(content | ({} if fields is None else fields.about()), ensure_ascii=False, indent=1) + "\n"


def _print_classes(classes: int, config: DetectorConfig, data: DetectionData | None) -> None:
    """Print the outputs of a classifier, and the number of images of its classes."""
    print(f"one score per image for each of {count(classes, 'class', 'classes')}; no levels and no boxes")
    if data is None or not data.class_names:
        return
    labels = Counter(data.records.labels[~data.records.is_crowd].tolist())
    numbers = {name: labels[label] for label, name in enumerate(data.class_names)}
    least, most = min(numbers, key=numbers.__getitem__), max(numbers, key=numbers.__getitem__)
    total = count(labels.total(), "image") if data.is_classification else f"{count(labels.total(), 'object')} to crop"
    print(f"{data.name} has {total}; {numbers[least]:,} ({least}) to {numbers[most]:,} ({most}) per class")


def _print_recall(detector: Detector, config: DetectorConfig, data: DetectionData) -> None:
    from detkit.diagnostics.anchor_recall import anchor_recall
    from detkit.diagnostics.cell_recall import cell_recall

    cells = cell_recall(detector, config.preprocess, data)
    if cells is not None:
        assigned = f"{cells.assigned:,} of {count(cells.boxes, 'box', 'boxes')} of {data.name} ({cells.assigned / max(cells.boxes, 1):.1%})"
        print(f"\n{assigned} are assigned to one of the {cells.grid[0]} x {cells.grid[1]} cells; the others cannot be learned")
        return
    print()
    for line in input_size_lines(data, config.preprocess, config.kind):
        print(line)
    rows = anchor_recall(detector, config.preprocess, data)
    if rows is None:
        print(f"\n{config.kind} has no anchors to compare with the boxes of {data.name}")
        return
    print(f"\nbest IoU of each box of {data.name} with any anchor, at the input size of the model (without crowds)")
    print(recall_text(rows))


def _data_of(config: Any, options: InfoOptions) -> tuple[DetectionData | None, str]:
    """Return the data of ``--data``, or else the config's own if it can be read, and a note if there is none."""
    from detkit.data import load_data

    named = _named_data(options)
    if named is not None:
        return named, ""
    try:
        return load_data(config.data)[0], ""
    except (FileNotFoundError, ValueError) as error:
        return None, f" assumed, because its data cannot be read: {error}"


def _tiled(data: DetectionData | None, subject: str) -> DetectionData | None:
    """Return the data in tiles if the detector was trained on tiles."""
    from detkit.data.tiles import TileConfig, as_tiles
    from detkit.inference.sources import trained_tiles

    tiles = trained_tiles(subject)
    return data if data is None or tiles is None else as_tiles(data, TileConfig(size=tiles.size, overlap=tiles.overlap))


def _named_data(options: InfoOptions) -> DetectionData | None:
    from detkit.data import SourceConfig, read_source, with_split

    if options.data is None:
        return None
    return read_source(with_split(SourceConfig(path=options.data, images=options.images, split=options.split), "train"))


def _millions(*values: int) -> list[str]:
    return [f"{value / 1e6:.2f} M" for value in values]


def _billions(flops: int) -> list[str]:
    return [f"{flops / 1e9:.2f}", f"{flops / 2e9:.2f}"]
