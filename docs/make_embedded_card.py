"""Update the tables in docs/embedded_detector.md, add measurements to them, or examine the detector on four photographs.

    python docs/make_embedded_card.py
    python docs/make_embedded_card.py --part runs/embedded_lite0_coco-1/results.json
    python docs/make_embedded_card.py --held-out student numbers.json --held-out teacher others.json
    python docs/make_embedded_card.py --trained-on student numbers.json --trained-on teacher others.json
    python docs/make_embedded_card.py --exam

``--part`` takes the results file of one part of the training; each part has its own folder name. ``--held-out`` and
``--trained-on`` take files from ``detkit evaluate ... --json``, on the held-out images and on the training images. ``--exam`` detects
objects in four photographs from scikit-image, as ``detkit detect --model embedded`` does, and draws docs/images/exam.jpg. All results are
stored in docs/results/embedded.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from make_comparisons import STORED
from make_results import filled, processor_of
from PIL import Image

from detkit.checkpoint import write_text
from detkit.data.media.images import read_image
from detkit.drawing import contact_sheet, draw_detections
from detkit.inference import load, suggested_min_score
from detkit.structures import Detections
from detkit.weights import EMBEDDED

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "embedded_detector.md"
IMAGE = DOCS / "images" / "exam.jpg"
RESULTS = DOCS / "results" / "embedded"
NUMBERS = ("data", "metric", "evaluator", "precision", "values", "classes", "counts")
SHOWN = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")
DETECTORS = {"student": "embedded", "teacher": "its teacher, YOLOX-Nano"}
TRAINED_ON = "AP on training images"
PARTS = (
    *("part", "initial weights", "input", "core-hours", "crops seen", "crops/s per core", "final held-out AP", "processor", "revision"),
)
EXAM = ("photograph", "expected", "detections with scores", "false boxes", "minimum score")


@dataclass(frozen=True)
class Question:
    """A photograph of the exam.

    Attributes:
        file: File name in scikit-image's data folder.
        expected: Class that must be detected once.
        allowed: Other classes in the image, of which one box each is not false.
    """

    file: str
    expected: str
    allowed: tuple[str, ...] = ()


QUESTIONS = (
    Question("astronaut.png", "person"),
    Question("chelsea.png", "cat"),
    Question("coffee.png", "cup", ("spoon", "dining table")),
    Question("motorcycle_left.png", "motorcycle", ("bench", "bicycle")),
)


def photograph(question: Question) -> Path:
    """Return the path of the image."""
    return Path(str(resources.files("skimage"))) / "data" / question.file


def grade(question: Question, names: Sequence[str]) -> tuple[bool, int]:
    """Return whether the expected class was detected, and the number of false boxes: of other classes, or duplicates."""
    correct = {question.expected, *question.allowed} & set(names)
    return question.expected in correct, len(names) - len(correct)


def exam() -> tuple[list[dict[str, Any]], Any]:
    """Detect in every photograph with the default precision and minimum score; return the results and a contact sheet."""
    lowest = suggested_min_score(EMBEDDED)
    predictor = load(EMBEDDED, "cpu", min_score=lowest or 0.5)
    rows, drawn = [], []
    for question in QUESTIONS:
        image = read_image(photograph(question))
        detections: Detections = predictor(image)
        names = [str(predictor.class_names[label]) for label in detections.labels.tolist()]
        passed, false = grade(question, names)
        scores = [round(score, 3) for score in detections.scores.tolist()]
        row = {"file": question.file, "wanted": question.expected, "min_score": predictor.min_score, "passed": passed, "false": false}
        rows.append({**row, "found": list(zip(names, scores, strict=True))})
        drawn.append(draw_detections(image, detections, predictor.class_names))
    return rows, contact_sheet(drawn, columns=2, captions=[question.file for question in QUESTIONS], max_side=600)


def store(name: str, content: Any) -> Path:
    """Write a results file."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def stored(name: str) -> Any:
    """Return the content of a results file; None if there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def add_part(results: Path) -> Path:
    """Store the results of a part of the training, numbered in order of addition."""
    content = json.loads(results.read_text("utf-8"))
    row = {
        "part": results.parent.name,
        "starts_from": initial_weights(content["config"]["weights"]),
        **{key: content[key] for key in (*STORED, "steps", "wall_minutes", "processes", "data") if key in content},
    }
    row["config"]["output"] = row["config"]["weights"] = None  # paths of the machine it ran on
    known = {stored(path.stem)["part"]: path.stem for path in parts()}
    return store(known.get(row["part"], f"part_{len(known) + 1}"), row)


def initial_weights(weights: str | None) -> str:
    """Return the name of a part's initial weights without the path: the part in whose folder they are, or the file name."""
    if weights is None:
        return "ImageNet"
    path = Path(weights)
    return path.parent.name if path.stem in ("last", "best") else path.stem


def parts() -> list[Path]:
    """Return the files of the parts of the training, in order."""
    return sorted(RESULTS.glob("part_*.json"), key=lambda path: int(path.stem.partition("_")[2]))


def part_row(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the table row of a part of the training."""
    size = row["config"]["augmentation"]["resize"]["size"] or row["config"]["model"]["preprocess"]["input_size"]
    speed = f"{row['images_seen'] / row['core_minutes'] / 60:.1f}"
    cost = (f"{row['core_minutes'] / 60:.2f}", f"{row['images_seen']:,}", speed)
    end = f"{row['validation']['last']['AP']:.3f}"
    return (row["part"], row["starts_from"], "x".join(map(str, size)), *cost, end, processor_of(row["machine"]), f"`{row['revision']}`")


def part_rows() -> list[tuple[str, ...]]:
    """Return the table rows of all parts, and one of their sums."""
    rows = [stored(path.stem) for path in parts()]
    if len(rows) < 2:
        return [part_row(row) for row in rows]
    hours, seen = (sum(row[key] for row in rows) for key in ("core_minutes", "images_seen"))
    return [*map(part_row, rows), ("all", "", "", f"{hours / 60:.2f}", f"{seen:,}", "", "", "", "")]


def held_out_rows() -> list[tuple[str, ...]]:
    """Return the table rows of the detector and its teacher: metrics on the held-out images, and AP on the training images."""
    rows = []
    for key, name in DETECTORS.items():
        held_out, trained_on = stored(key), stored(f"{key}_trained_on")
        if held_out is not None:
            training_ap = f"{trained_on['values']['AP']:.3f}" if trained_on is not None else "-"
            rows.append((name, *(f"{held_out['values'][metric]:.3f}" for metric in SHOWN), training_ap))
    return rows


def exam_rows() -> list[tuple[str, ...]]:
    """Return the table rows of the exam."""
    rows = []
    for row in stored("exam") or ():
        detections = ", ".join(f"{name} {score:.2f}" for name, score in row["found"]) or "nothing"
        if not row["passed"]:
            detections += ": **missed**"
        rows.append((row["file"], row["wanted"], detections, str(row["false"]), f"{row['min_score']:g}"))
    return rows


def page(text: str) -> str:
    """Return the page with updated tables."""
    text = filled(text, "training", part_rows(), PARTS)
    text = filled(text, "held out", held_out_rows(), ("detector", *SHOWN, TRAINED_ON))
    return filled(text, "exam", exam_rows(), EXAM)


def main(argv: list[str] | None = None) -> int:
    """Run the script and return its exit code, 1 if the detector fails the exam."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=Path, metavar="RESULTS.JSON")
    for flag in ("--held-out", "--trained-on"):
        parser.add_argument(flag, nargs=2, action="append", default=[], metavar=("student|teacher", "NUMBERS.JSON"))
    parser.add_argument("--exam", action="store_true")
    options = parser.parse_args(argv)
    failed = False
    if options.part is not None:
        print(f"written: {add_part(options.part)}")
    for flag, pairs, ending in (("--held-out", options.held_out, ""), ("--trained-on", options.trained_on, "_trained_on")):
        for name, file in pairs:
            if name not in DETECTORS:
                parser.error(f"{flag}: expected {' or '.join(DETECTORS)}, got {name!r}")
            numbers = json.loads(Path(file).read_text("utf-8"))
            print(f"written: {store(name + ending, {key: numbers[key] for key in NUMBERS})}")
    if options.exam:
        rows, sheet = exam()
        Image.fromarray(sheet).save(IMAGE, quality=85)
        failed = not all(row["passed"] and row["false"] <= 1 for row in rows)
        print(f"written: {store('exam', rows)}")
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")
    for row in exam_rows() if options.exam else ():
        print("; ".join(row))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
