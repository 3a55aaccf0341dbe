"""Show why a detector reports what it reports on an image, stage by stage.

    detkit explain photo.jpg --model fasterrcnn_resnet50_fpn
    detkit explain photo.jpg --latest --data instances_val.json
    detkit explain photo.jpg --features layer2 --model fasterrcnn_resnet50_fpn

For each stage, three images are written: its anchors, points, proposals or queries; which of them match each object in training; and the
candidates before and after NMS, colored from blue (score 0) to red (score 1). A one-stage detector has one stage; Faster R-CNN has two, rpn
and region. Everything is drawn on the image as the detector sees it, resized.

The objects are those that --data has for this image, found by its path or file name. Without --data, the detector's own detections are used
instead.

With --features LAYER, one image shows what the strongest channels of a backbone layer respond to: the part of the image and, next to it,
the activation projected back to pixels, by a deconvnet in plain networks (AlexNet, VGG, ZFNet) and by guided backpropagation in others.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.flags import add_device_flags, add_flags, add_min_score, min_score, positive
from detkit.cli.report import count, table
from detkit.cli.resolve import model_line, resolve_model

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.inference import Explanation, Predictor
    from detkit.structures import Size, StageExplanation, Targets

NUMBERS = {"matched", "best IoU", "best score"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``detkit explain``."""
    parser.add_argument("image", metavar="IMAGE", help="a image file")
    add_flags(parser, "--model", "--latest")
    add_flags(
        parser, "--data", help="labels of this image: a COCO JSON file, a Pascal VOC folder, a YOLO data.yaml, or a folder of any of them"
    )
    add_flags(parser, "--images")
    add_flags(parser, "--split", help="part of the data (default: all parts are searched)")
    add_flags(parser, "--rename")
    add_min_score(parser, "lowest score of the detections that are labeled, and used as ground truth without --data")
    parser.add_argument("--features", metavar="LAYER", help="draw what a layer of the backbone answers to, such as layer2 or features.4")
    parser.add_argument(
        "--top", type=positive, default=9, metavar="N", help="with --features: channels that are shown (default: %(default)s)"
    )
    add_flags(parser, "--output", help="folder for the images (default: a new runs/explain-N)")
    add_device_flags(parser, precision="fp32")


def run(args: argparse.Namespace) -> int:
    """Explain, print, draw."""
    from detkit.inference import explain, load

    image = Path(args.image)
    drawn = DrawingWriter(args.output, [image], "explain", "png")
    if args.features:
        return _features(args, image, drawn)
    model, reason = resolve_model(args.model, args.latest)
    predictor = load(model, args.device, args.precision)
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    pixels = predictor.pixels(image)
    truth = _truth(args, predictor, (int(pixels.shape[1]), int(pixels.shape[2]))) if args.data else None
    lowest, remark = min_score(args, model)
    if remark:
        print(remark)
    found = explain(predictor, pixels, truth, min_score=lowest)
    _print(image, found, args, lowest)
    for stage in found.stages:
        _print_stage(stage, found.targets, predictor.class_names)
        written = _draw(drawn, image, stage, found, predictor, lowest)
        print(f"written: {', '.join(str(path) for path in written)}")
    return 0


def _features(args: argparse.Namespace, image: Path, drawn: DrawingWriter) -> int:
    """Draw what a layer answers to."""
    from detkit.drawing import contact_sheet
    from detkit.inference import load
    from detkit.inference.feature_visualization import explain_features, feature_tiles

    model, reason = resolve_model(args.model, args.latest)
    predictor = load(model, args.device, "fp32", reference=True)
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    found = explain_features(predictor, image, args.features, args.top)
    channels, height, width = found.shape
    how = {"deconvnet": "a deconvnet", "guided": "guided backpropagation"}[found.method]
    print(f"layer {found.layer}: {count(channels, 'channel')} of {height} x {width} cells; answers brought back by {how}")
    if not found.features:
        raise ValueError(f"features: no channel of {found.layer} answers to {image} with more than 0; choose another layer or image")
    rows = [(f.channel, f"{f.activation:.3f}", f"{f.window[0]}-{f.window[2]}, {f.window[1]}-{f.window[3]}") for f in found.features]
    print("\n".join("  " + line for line in table(rows, ("channel", "answer", "seen at x, y"), {"channel", "answer"}).splitlines()))
    images, captions = feature_tiles(found)
    sheet = contact_sheet(images, captions=captions)
    print(f"written: {drawn.write(Path(f'{image.stem}-{args.features}.png'), sheet)}")
    return 0


def _print(image: Path, found: Explanation, args: argparse.Namespace, min_score: float) -> None:
    height, width = found.original_size
    print(f"image: {image} ({width} x {height}), seen as {found.image.shape[2]} x {found.image.shape[1]}")
    objects = len(found.targets)
    if found.from_detections:
        print(f"truth: none was given; the detector's own {count(objects, 'detection')} of at least {min_score:g} stand for it")
    else:
        print(f"truth: {count(objects, 'object')} of {args.data}")


def _print_stage(stage: StageExplanation, targets: Targets, class_names: tuple[str | None, ...]) -> None:
    from detkit.ops.boxes import box_iou

    total, levels = len(stage.scores), count(len(stage.locations), "level")
    print(f"\nstage {stage.name}: {count(total, stage.location_name, _plural(stage.location_name))} on {levels}; ", end="")
    print(f"{count(len(stage.before_nms), 'candidate')} before suppression, {len(stage.after_nms):,} after")
    overlaps = [box_iou(targets.boxes, level).amax(1) for level in stage.locations if level.shape[1] == 4 and len(level)]
    rows = []
    for row, label in enumerate(targets.labels.tolist()):
        mine = stage.assignment == row
        best = f"{max(float(level[row]) for level in overlaps):.2f}" if overlaps else "-"
        score = f"{float(stage.scores[mine].max()):.3f}" if bool(mine.any()) else "-"
        rows.append((class_names[label], _sides(targets.boxes[row].tolist()), int(mine.sum()), best, score))
    if rows:
        text = table(rows, ("object", "seen as", "matched", "best IoU", "best score"), NUMBERS)
        print("\n".join("  " + line for line in text.splitlines()))


def _plural(word: str) -> str:
    return "queries" if word == "query" else f"{word}s"


def _sides(box: list[float]) -> str:
    return f"{box[2] - box[0]:.0f} x {box[3] - box[1]:.0f}"


def _draw(
    drawn: DrawingWriter, image: Path, stage: StageExplanation, found: Explanation, predictor: Predictor, min_score: float
) -> tuple[Path, Path, Path]:
    from detkit.drawing import draw_matches, draw_locations, draw_scores

    names = predictor.class_names

    def written(what: str, photo: object) -> Path:
        return drawn.write(Path(f"{image.stem}-{stage.name}-{what}.png"), photo)

    return (
        written("places", draw_locations(found.image, stage)),
        written("matches", draw_matches(found.image, stage, found.targets, names)),
        written("scores", draw_scores(found.image, stage, names, min_score=min_score)),
    )


def _truth(args: argparse.Namespace, predictor: Predictor, size: Size) -> Targets:
    """The image's objects in the data, with the detector's labels; those of other classes are counted and left out."""
    import torch

    from detkit.data import ClassMapping, parse_renames

    data, place = _found_in(args)
    record = data.records[place]
    if record.size != size:
        raise ValueError(
            f"{args.image}: {args.data} says {record.size[1]} x {record.size[0]}, the file has {size[1]} x {size[0]}; "
            "its boxes would be wrong, so correct the labels or give the image that they are of"
        )
    mapping = ClassMapping.by_name(data.class_names, predictor.class_names, parse_renames(args.rename or ()))
    labels = torch.tensor([-1 if own is None else own for own in mapping.indices])[record.targets.labels]
    targets = record.targets.replace(labels=labels)[labels >= 0]
    if len(targets) < len(record.targets):
        print(f"{count(len(record.targets) - len(targets), 'object')} of classes that the detector does not have left out")
    return targets


def _found_in(args: argparse.Namespace) -> tuple[DetectionData, int]:
    """The part of the data that has the image, and its place there: by path, or else by its file name alone."""
    from detkit.data import SourceConfig, read_source, splits_of

    source = SourceConfig(path=args.data, images=args.images, split=args.split)
    parts = [args.split] if args.split is not None else splits_of(source) or (None,)
    wanted, total = Path(args.image), 0
    by_name: list[tuple[DetectionData, int]] = []
    for part in parts:
        data = read_source(source.replace(split=part))
        total += len(data)
        for place, path in enumerate(map(Path, data.records.paths)):
            if path.name == wanted.name:
                if path.resolve() == wanted.resolve():
                    return data, place
                by_name.append((data, place))
    if not by_name:
        raise ValueError(f"{wanted}: not among the {count(total, 'image')} of {args.data} (by file name); leave --data out, or correct it")
    if len({data.records.paths[place] for data, place in by_name}) > 1:
        raise ValueError(f"{wanted}: {len(by_name)} images of {args.data} have this file name; give the path of one of them")
    return by_name[0]
