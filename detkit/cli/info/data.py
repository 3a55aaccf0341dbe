"""Statistics of a data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from detkit.cli.report import MOST_ROWS, ROWS_OF_MANY, count, shown, table
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.diagnostics.anchor_recall import AnchorRecall
    from detkit.preprocess import PreprocessConfig

DEFAULT_CONFIG = "embedded"
"""The config with which `detkit train FOLDER` trains on a CPU."""


def print_data(path: str, images: str | None, split: str | None) -> None:
    """Print the images, classes, box sizes and the reader's report of each part of a data set."""
    from detkit.data import SourceConfig, read_source, splits_of

    source = SourceConfig(path=path, images=images, split=split)
    parts = [source] if split is not None else [source.replace(split=part) for part in splits_of(source)] or [source]
    for index, part in enumerate(parts):
        data = read_source(part)
        print("\n" * bool(index) + data_text(data))
        if not data.is_classification:
            for line in input_size_lines(data, default_preprocess(), f"detkit train (config {DEFAULT_CONFIG})"):
                print(line)


def default_preprocess() -> PreprocessConfig:
    """Return the preprocessing of :data:`DEFAULT_CONFIG`, from its checkpoint inside the package if there is one.

    Importing the config imports the libraries of all models, which takes seconds and 200 MB.
    """
    from detkit import zoo
    from detkit.checkpoint import read_header
    from detkit.json_text import parse_json
    from detkit.preprocess import PreprocessConfig
    from detkit.weights import embedded_path

    path = embedded_path()
    if path is None:
        config: PreprocessConfig = zoo.load(DEFAULT_CONFIG).model.preprocess
        return config
    return PreprocessConfig.model_validate_json(json.dumps(parse_json(read_header(path)["model"], str(path))["preprocess"]))


def data_text(data: DetectionData) -> str:
    """Return the description of a data set."""
    records = data.records
    empty = int((records.lengths == 0).sum())
    flags = [
        f"{int(flag.sum()):,} {name}"
        for name, flag in (
            ("to ignore", records.is_ignore),
            ("crowd", records.is_crowd & ~records.is_ignore & ~records.is_difficult),
            ("difficult", records.is_difficult),
        )
        if flag.any()
    ]
    boxes = count(len(records.boxes), "box", "boxes") + (f" ({', '.join(flags)})" if flags else "")
    lines = [f"{printable(data.name)}: {count(len(data), 'image')} ({count(empty, 'image')} without objects), {boxes}"]
    lines += [_image_sizes(records.sizes), "", _classes(data), "", _box_sizes(data)]
    report = data.report.summary()
    return "\n".join([*lines, *([""] if report else []), *report])


def input_size_lines(data: DetectionData, preprocess: PreprocessConfig, model: str) -> list[str]:
    """Return lines about the sizes of the boxes at the input of a model, and about a larger input if many are too small."""
    from detkit.diagnostics.input_sizes import SMALL_SIDE, input_sizes, larger_input

    sizes = input_sizes(data, preprocess)
    if sizes is None:
        return []
    medians = f"median {sizes.original:.0f} px -> {sizes.resized:.0f} px"
    lines = [f"at the input size of {model}: {medians}; {100 * sizes.small:.1f} % of the boxes are under {SMALL_SIDE:.0f} px"]
    suggestion = larger_input(data, preprocess)
    if suggestion is not None:
        config, larger = suggestion
        names = ("short_side", "long_side") if config.input_size is None else ("input_size",)
        old, new = ({name: getattr(item, name) for name in names} for item in (preprocess, config))
        keys = " ".join(f"model.preprocess.{name}={','.join(map(str, np.ravel(value)))}" for name, value in new.items())
        pixels = (np.ravel(new[names[0]])[0] / np.ravel(old[names[0]])[0]) ** 2
        lines.append(f"a larger input finds more of them: {keys} leaves {100 * larger.small:.1f} %, at {pixels:.1f} times the pixels")
    return lines


def recall_text(rows: Sequence[AnchorRecall]) -> str:
    """Return a table of the recall of anchors by box size."""
    header = ("size", "boxes", "mean best IoU", "recall at .5", "recall at .7")
    cells = [(row.size, f"{row.boxes:,}", *map(shown, (row.mean_best_iou, row.recall_50, row.recall_70))) for row in rows]
    return table(cells, header, set(header[1:]))


def _image_sizes(sizes: np.ndarray) -> str:
    if not len(sizes):
        return "no images"
    low, high = sizes.min(0), sizes.max(0)
    unique, counts = np.unique(sizes, axis=0, return_counts=True)
    mode = unique[counts.argmax()]
    most_frequent = f"most often {mode[1]} x {mode[0]} ({count(int(counts.max()), 'image')})"
    return f"image sizes: width {low[1]} to {high[1]}, height {low[0]} to {high[0]}, {most_frequent}"


def _classes(data: DetectionData) -> str:
    """Return a table of the classes: all, or the most frequent ones and a line about the others."""
    of_class = ~data.records.is_ignore
    labels, images = data.records.labels[of_class], data.records.image_index[of_class]
    boxes = np.bincount(labels, minlength=len(data.class_names))
    classes = max(len(boxes), 1)
    pairs = np.sort(images * classes + labels)  # np.unique takes 20 times as long on numbers that are nearly sorted
    images_of = np.bincount(pairs[np.diff(pairs, prepend=-1) != 0] % classes, minlength=len(boxes))
    listed: Sequence[int] = range(len(boxes))
    if len(boxes) > MOST_ROWS:
        listed = sorted(row for row in np.argsort(-boxes, kind="stable")[:ROWS_OF_MANY].tolist() if boxes[row])
    rows = [
        (row, data.class_names[row], data.category_ids[row], f"{boxes[row]:,}", f"{images_of[row]:,}", _percent(boxes[row], len(labels)))
        for row in listed
    ]
    header = ("label", "class", "id", "boxes", "images", "share")
    text = table(rows, header, {"label", "id", "boxes", "images", "share"})
    if len(listed) == len(boxes):
        return text
    others = count(len(boxes) - len(listed), "other class", "other classes")
    return f"{text}\nand {others} with {count(len(labels) - int(boxes[listed].sum()), 'box', 'boxes')}"


def _percent(part: int, total: int) -> str:
    return f"{100 * part / max(total, 1):.1f} %"


def _box_sizes(data: DetectionData) -> str:
    """Return the counts by COCO's size classes and percentiles of the box side, from box areas in original pixels."""
    boxes = data.records.boxes
    if not len(boxes):
        return "no boxes"
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    numbers = [(name, int(((sides >= low) & (sides < high)).sum())) for name, low, high in _SIZES]
    percentiles = ", ".join(f"{percent} % below {np.percentile(sides, percent):.0f}" for percent in (5, 50, 95))
    counts = ", ".join(f"{name} {number:,} ({100 * number / len(sides):.1f} %)" for name, number in numbers)
    return f"box sizes: {counts}\nsquare root of the box area, in pixels: {percentiles}"


_SIZES = (("small (below 32 x 32)", 0, 32), ("medium", 32, 96), ("large (96 x 96 and above)", 96, np.inf))
