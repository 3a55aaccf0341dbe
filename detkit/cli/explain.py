"""Explain the detections of an image, stage by stage.

    detkit explain photo.jpg --model fasterrcnn_resnet50_fpn
    detkit explain photo.jpg --latest --data instances_val.json
    detkit explain photo.jpg --features layer2 --model fasterrcnn_resnet50_fpn
    detkit explain photo.jpg --models rcnn,faster_rcnn,yolox,detr,dfine

For each stage, three images are written: its anchors, points, proposals or queries; which of them match each object in training; and the
candidates before and after NMS, colored from blue (score 0) to red (score 1). Detectors with queries (DETR, RT-DETR, D-FINE) get a fourth
image, which shows how their boxes move from one decoder layer to the next. A one-stage detector has one stage; Faster R-CNN has two, rpn
and region. Everything is drawn on the image as the detector sees it, resized. The weights are those of --model: a checkpoint, a run or a
published name; an exported file has none to look into.

The objects are the labels of this image in --data, which is searched for its path or file name. Without --data, the detector's own
detections are used instead.

With --features LAYER, one image shows what the strongest channels of a backbone layer respond to: the part of the image and, next to it,
the activation projected back to pixels, by a deconvnet in plain networks (AlexNet, VGG, ZFNet) and by guided backpropagation in others.

With --models, several detectors see the image: one strip, with a column for each in the order in which they were invented, its detections,
and below them the anchors, points, proposals or queries that answered; and the same as a page that opens offline, with sliders for score
and NMS. A model is whatever --model takes, or a kind such as yolox: the newest run of that kind, or weights on this machine.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.flags import add_flags, add_min_score, min_score
from detkit.cli.options import bind
from detkit.cli.report import count, table
from detkit.cli.resolve import model_line, resolve_model
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.diagnostics.explanation import Explanation
    from detkit.inference import Predictor
    from detkit.inference.min_scores import MinScores
    from detkit.structures import Size, StageExplanation, Targets

NUMBERS = {"matched", "best IoU", "best score"}


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """Options of ``detkit explain``.

    Attributes:
        image: The image file.
        model: The detector; None: the one inside the package.
        latest: Whether to use the newest run.
        data: Labels of the image; None: its detections are used instead.
        images: Folder of the images of ``data``.
        split: Part of the data; None: all parts are searched.
        rename: Classes of the data and the corresponding classes of the detector, as ``A=B``.
        min_score: Lowest score of the detections; None: the model's operating points or suggestion.
        models: Detectors that are shown next to one another instead, separated by commas.
        features: Backbone layer whose activations are shown instead of the stages.
        top: Number of channels of that layer.
        output: Folder of the images; None: a new one.
        device: Name of the device.
        precision: Number format.
    """

    image: str
    model: str | None = None
    latest: bool = False
    data: str | None = None
    images: str | None = None
    split: str | None = None
    rename: tuple[str, ...] | None = None
    min_score: float | None = None
    models: str | None = None
    features: str | None = None
    top: int = 9
    output: str | None = None
    device: str = "auto"
    precision: str = "fp32"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit explain``."""
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    add_flags(parser, "--model", "--latest")
    add_flags(
        parser, "--data", help="labels of this image: a COCO JSON file, a Pascal VOC folder, a YOLO data.yaml, or a folder of any of them"
    )
    add_flags(parser, "--images")
    add_flags(parser, "--split", help="part of the data (default: all parts are searched)")
    add_flags(parser, "--rename")
    add_min_score(parser, "lowest score of the detections that are labeled, and used as ground truth without --data")
    parser.add_argument("--models", metavar="A,B,...", help="show several detectors next to one another: names, kinds, runs or checkpoints")
    parser.add_argument("--features", metavar="LAYER", help="show what a backbone layer responds to, such as layer2 or features.4")
    add_flags(parser, "--top", help="with --features: number of channels (default: %(default)s)")
    add_flags(parser, "--output", help="folder for the images (default: a new runs/explain-N)")
    add_flags(parser, "--device", "--precision")
    bind(parser, ExplainOptions, run)


def run(options: ExplainOptions) -> int:
    """Explain, print and draw."""
    from detkit.diagnostics.explanation import explain
    from detkit.inference import load
    from detkit.inference.min_scores import MinScores

    image = Path(options.image)
    if options.models is not None:
        return _family(options, image)
    drawings = DrawingWriter(options.output, [image], "explain", "png")
    if options.features:
        return _features(options, image, drawings, options.features)
    model, reason = resolve_model(options.model, options.latest)
    predictor = load(model, options.device, options.precision)
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    pixels = predictor.pixels(image)
    size = int(pixels.shape[1]), int(pixels.shape[2])
    targets = _targets(options, options.data, predictor, size) if options.data else None
    lowest, score_line = min_score(options.min_score, model)
    if score_line:
        print(score_line)
    explanation = explain(predictor, pixels, targets, min_score=lowest)
    scores = MinScores(lowest, predictor.class_names)
    _print(image, explanation, options.data, scores)
    for stage in explanation.stages:
        _print_stage(stage, explanation.targets, predictor.class_names)
        written = _draw(drawings, image, stage, explanation, predictor, scores)
        print(f"written: {', '.join(map(printable, written))}")
    _draw_masks(drawings, image, predictor, scores)
    return 0


def _draw_masks(drawings: DrawingWriter, image: Path, predictor: Predictor, scores: MinScores) -> None:
    """Draw the probabilities of the masks, if the detector has masks."""
    from detkit.data.media.images import read_image
    from detkit.drawing.probabilities import draw_mask_probabilities

    pixels = read_image(image)
    rows = predictor(pixels).numpy()
    if rows.mask_probabilities is None:
        return
    rows = rows[scores.keep(rows)]
    written = drawings.write(f"{image.stem}-masks", draw_mask_probabilities(pixels, rows, predictor.class_names))
    print(f"\nmasks: {count(len(rows), 'detection')}; blue: not of the object, green: undecided, red: of it\nwritten: {printable(written)}")


def _family(options: ExplainOptions, image: Path) -> int:
    """Show several detectors next to one another.

    Raises:
        ValueError: If flags for one detector are given too.
    """
    from detkit.cli.family import FamilyOptions, explain_family

    given = {"--model": options.model, "--latest": options.latest, "--data": options.data, "--features": options.features}
    if named := [flag for flag, value in given.items() if value]:
        raise ValueError(f"--models shows several detectors, and {named[0]} is for one; give one of the two")
    return explain_family(FamilyOptions(image, options.models or "", options.min_score, options.output, options.device, options.precision))


def _features(options: ExplainOptions, image: Path, drawings: DrawingWriter, layer_name: str) -> int:
    """Draw what a layer responds to."""
    from detkit.diagnostics.features import explain_features, feature_tiles
    from detkit.drawing import contact_sheet
    from detkit.inference import load

    model, reason = resolve_model(options.model, options.latest)
    predictor = load(model, options.device, "fp32", reference=True)
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    layer = explain_features(predictor, image, layer_name, options.top)
    channels, height, width = layer.shape
    method = {"deconvnet": "a deconvnet", "guided": "guided backpropagation"}[layer.method]
    print(f"layer {layer.layer}: {count(channels, 'channel')} of {height} x {width} cells; activations projected to pixels by {method}")
    if not layer.features:
        raise ValueError(f"--features {layer.layer}: no channel has an activation above 0 on {image}; choose another layer or image")
    rows = [(f.channel, f"{f.activation:.3f}", f"{f.window[0]}-{f.window[2]}, {f.window[1]}-{f.window[3]}") for f in layer.features]
    _print_table(table(rows, ("channel", "activation", "window x, y"), {"channel", "activation"}))
    images, captions = feature_tiles(layer)
    sheet = contact_sheet(images, captions=captions)
    print(f"written: {printable(drawings.write(f'{image.stem}-{layer_name}', sheet))}")
    return 0


def _print(image: Path, explanation: Explanation, data: str | None, scores: MinScores) -> None:
    height, width = explanation.original_size
    print(f"image: {printable(image)} ({width} x {height}), resized to {explanation.image.shape[2]} x {explanation.image.shape[1]}")
    objects = len(explanation.targets)
    if explanation.from_detections:
        from_score = f"score of at least {scores.lowest:g}" if scores.points is None else "at its minimum scores by class"
        print(f"ground truth: {objects} of the detector's own detections ({from_score}), as --data is not given")
    else:
        print(f"ground truth: {count(objects, 'object')} of {data}")


def _print_stage(stage: StageExplanation, targets: Targets, class_names: tuple[str | None, ...]) -> None:
    from detkit.drawing.boxes import IGNORED_NAME
    from detkit.ops.boxes import box_iou

    total, levels = len(stage.scores), count(len(stage.locations), "level")
    print(f"\nstage {stage.name}: {count(total, stage.location_name, stage.location_names)} on {levels}; ", end="")
    print(f"{count(len(stage.before_nms), 'candidate')} before NMS, {len(stage.after_nms):,} after")
    ious = [box_iou(targets.boxes, level).amax(1) for level in stage.locations if level.shape[1] == 4 and len(level)]
    rows = []
    for row, label in enumerate(targets.labels.tolist()):
        matched = stage.assignment == row
        best = f"{max(float(level[row]) for level in ious):.2f}" if ious else "-"
        score = f"{float(stage.scores[matched].max()):.3f}" if bool(matched.any()) else "-"
        name = IGNORED_NAME if bool(targets.is_ignore[row]) else class_names[label]
        rows.append((name, _format_size(targets.boxes[row].tolist()), int(matched.sum()), best, score))
    if rows:
        _print_table(table(rows, ("object", "size", "matched", "best IoU", "best score"), NUMBERS))


def _print_table(text: str) -> None:
    print("\n".join("  " + line for line in text.splitlines()))


def _format_size(box: list[float]) -> str:
    return f"{box[2] - box[0]:.0f} x {box[3] - box[1]:.0f}"


def _draw(
    drawings: DrawingWriter, image: Path, stage: StageExplanation, explanation: Explanation, predictor: Predictor, scores: MinScores
) -> list[Path]:
    from detkit.drawing import draw_locations, draw_matches, draw_refinement, draw_scores

    names = predictor.class_names

    def write(content: str, pixels: object) -> Path:
        return drawings.write(f"{image.stem}-{stage.name}-{content}", pixels)

    written = [
        write("locations", draw_locations(explanation.image, stage)),
        write("matches", draw_matches(explanation.image, stage, explanation.targets, names)),
        write("scores", draw_scores(explanation.image, stage, names, min_score=scores.by_label)),
    ]
    if stage.refinement:
        written.append(write("refinement", draw_refinement(explanation.image, stage, explanation.targets)))
    return written


def _targets(options: ExplainOptions, path: str, predictor: Predictor, size: Size) -> Targets:
    """Return the labels of the image, with the detector's classes; objects of other classes are counted and left out."""
    import torch

    from detkit.data import ClassMapping, parse_renames

    data, index = _find_image(options, path)
    record = data.records[index]
    if record.size != size:
        raise ValueError(
            f"{options.image}: expected {record.size[1]} x {record.size[0]} pixels, as in {path}, got {size[1]} x {size[0]}, "
            "so the boxes would be wrong; correct the labels, or give the image that was labeled"
        )
    mapping = ClassMapping.by_name(data.class_names, predictor.class_names, parse_renames(options.rename or ()))
    labels = torch.tensor([-1 if label is None else label for label in mapping.indices])[record.targets.labels]
    labels = labels.masked_fill(record.targets.is_ignore, 0)
    targets = record.targets.replace(labels=labels)[labels >= 0]
    if len(targets) < len(record.targets):
        print(f"skipped {count(len(record.targets) - len(targets), 'object')} of classes that the detector does not have")
    return targets


def _find_image(options: ExplainOptions, data_path: str) -> tuple[DetectionData, int]:
    """Return the part of the data that has the image, and its index there: by path, or else by file name."""
    from detkit.data import SourceConfig, read_source, splits_of

    source = SourceConfig(path=data_path, images=options.images, split=options.split)
    parts = [options.split] if options.split is not None else splits_of(source) or (None,)
    image, total = Path(options.image), 0
    by_name: list[tuple[DetectionData, int]] = []
    for part in parts:
        data = read_source(source.replace(split=part))
        total += len(data)
        for index, path in enumerate(map(Path, data.records.paths)):
            if path.name == image.name:
                if path.resolve() == image.resolve():
                    return data, index
                by_name.append((data, index))
    if not by_name:
        raise ValueError(f"{image}: not among the {count(total, 'image')} of {data_path} (by file name); leave out --data, or correct it")
    if len({data.records.paths[index] for data, index in by_name}) > 1:
        raise ValueError(f"{image}: {len(by_name)} images of {data_path} have this file name; give the path of one of them")
    return by_name[0]
