"""Show how much tiles improve a detector on large images: AP by size of objects, and differences with intervals.

    python tools/tiles.py --data coco_sample --canvases 12          photographs of a data set, small, on large canvases
    python tools/tiles.py --scenes 12 --classes cat cup --side 104  generated scenes of 1,536 x 1,152 pixels, enlarged four times
    python tools/tiles.py runs/first-1 --data my_data --side 1024   large images as they are

A canvas has 2,560 x 2,560 pixels: a grid of photographs with sides from 155 to 1,240 pixels. Three ways to detect on tiles are compared
with the whole image, resized as the detector has it: tiles, tiles without the whole image, and tiles with others twice as large. Intervals
of 95 % are from a paired bootstrap over the images. The JSON file holds numbers only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from detkit.arrays import ImageArray
from detkit.cli.outputs import check_file
from detkit.cli.report import table
from detkit.data import DetectionData, make_sample, read_source
from detkit.data.media.images import read_image
from detkit.data.records import ImageRecord
from detkit.evaluation.compare import differences
from detkit.experiment.evaluation_run import labeled_data, run_evaluator, with_classes
from detkit.inference import ImagePyramid, choose_model, load
from detkit.structures import Targets

SIDE, CELL, GRID = 2560, 620, 4
"""Side of a canvas, and of the cells of its grid, in pixels; cells in a row."""
METRICS = ("AP", "AP50", "APs", "APm", "APl")


def canvases(data: DetectionData, folder: Path, count: int, seed: int = 0) -> DetectionData:
    """Write canvases with the images of a data set, which are all used before one is used again, and return them with their labels."""
    random = np.random.default_rng(seed)
    order = _endless(len(data.records), random)
    return DetectionData.of("canvases", data.class_names, [_canvas(data, folder / f"{n}.png", n, order, random) for n in range(count)])


def _endless(count: int, random: np.random.Generator) -> Iterator[int]:
    while True:
        yield from reversed(random.permutation(count).tolist())


def _canvas(data: DetectionData, path: Path, number: int, order: Iterator[int], random: np.random.Generator) -> ImageRecord:
    pixels = np.full((SIDE, SIDE, 3), 114, np.uint8)
    top, left = random.integers(0, SIDE - GRID * CELL, 2).tolist()
    large_y, large_x = random.integers(0, GRID - 1, 2).tolist()
    cells = [(y, x) for y, x in np.ndindex(GRID, GRID) if not (large_y <= y < large_y + 2 and large_x <= x < large_x + 2)]
    parts: list[Targets] = []
    for y, x in (*cells, (large_y, large_x)):
        is_large = (y, x) == (large_y, large_x)
        per_side = 1 if is_large else int(random.choice([1, 2, 3, 4]))
        side = CELL * (2 if is_large else 1) // per_side
        for row, column in np.ndindex(per_side, per_side):
            corner = top + y * CELL + row * side, left + x * CELL + column * side
            parts.append(_paste(pixels, data.records[next(order)], corner, side - 4))
    cv2.imwrite(str(path), pixels[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return ImageRecord(path, number + 1, (SIDE, SIDE), Targets.cat(parts))


def _paste(canvas: ImageArray, record: ImageRecord, corner: tuple[int, int], side: int) -> Targets:
    image, (y, x) = read_image(record.path), corner
    scale = side / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    canvas[y : y + height, x : x + width] = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    resized = record.targets.resized(image.shape[:2], (height, width))
    return resized.replace(boxes=resized.boxes + torch.tensor([x, y, x, y]))


def measure(model: str | None, data: DetectionData, side: int) -> dict[str, Any]:
    """Evaluate the ways to detect, print the table, and return its numbers."""
    predictor = load(model, "auto", "fp32", min_score=0.01, runtime="onnx" if model is None else None)
    ways = {
        "whole image": predictor,
        f"tiles of {side}": ImagePyramid(predictor, tiles=side),
        f"tiles of {side} only": ImagePyramid(predictor, (), tiles=side),
        f"tiles of {side} and {2 * side}": ImagePyramid(predictor, tiles=(side, 2 * side)),
    }
    evaluators = {name: run_evaluator(way, data) for name, way in ways.items()}
    truth = next(iter(evaluators.values())).ground_truth
    tables = {name: evaluator.table() for name, evaluator in evaluators.items()}
    rows = {name: differences(truth, results, tables["whole image"]) for name, results in tables.items()}
    cells = [[name, *(_cell({row.name: row for row in found}.get(metric)) for metric in METRICS)] for name, found in rows.items()]
    print(table(cells, ("", *METRICS), set()))
    return {name: [row.to_dict() for row in found if row.name in METRICS] for name, found in rows.items()}


def _cell(row: Any) -> str:
    if row is None:
        return "-"
    return f"{row.own:.3f}" if not row.value else f"{row.own:.3f} ({row.value:+.3f}, {row.low:+.3f} to {row.high:+.3f})"


def main() -> int:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="the detector (default: the one inside the package)")
    parser.add_argument("--data", help="labeled images")
    parser.add_argument("--canvases", type=int, metavar="N", help="paste the images of --data on N canvases")
    parser.add_argument("--scenes", type=int, metavar="N", help="generate N large scenes instead of --data")
    parser.add_argument("--classes", nargs="+", default=[], metavar="NAME", help="evaluate only these classes")
    parser.add_argument("--side", type=int, default=640, help="side of the tiles (default: %(default)s)")
    parser.add_argument("--json", help="write the numbers as JSON")
    args = parser.parse_args()
    if args.json:
        check_file("--json", args.json)
    with tempfile.TemporaryDirectory() as temporary:
        if args.scenes:
            config = make_sample(Path(temporary) / "scenes", args.scenes, val_images=1, large=True)
            data = read_source(config.train)
        else:
            data = labeled_data(choose_model(args.model)[0], args.data)
        data = with_classes(data, args.classes)
        if args.canvases:
            data = canvases(data, Path(temporary), args.canvases)
        result = {"images": len(data), "side": args.side, "canvases": bool(args.canvases), "ways": measure(args.model, data, args.side)}
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
