"""Fill the tables of docs/embedded_detector.md, add to what they are made from, or let the detector sit its exam.

    python docs/make_embedded_card.py
    python docs/make_embedded_card.py --part runs/embedded_lite0_coco-1/results.json
    python docs/make_embedded_card.py --kept-out student numbers.json --kept-out teacher others.json
    python docs/make_embedded_card.py --trained-on student numbers.json --trained-on teacher others.json
    python docs/make_embedded_card.py --exam

``--part`` takes what a part of the training wrote at its end; parts have different names of folders. ``--kept-out`` and ``--trained-on``
take what ``detkit evaluate ... --json`` wrote, the latter of the images that were not kept out. ``--exam`` looks at four photographs
that scikit-image ships, as ``detkit detect --weights embedded`` does, and draws them into docs/images/exam.jpg. All of it is kept in
docs/results/embedded.
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

from make_comparisons import KEPT
from make_results import filled, processor_of
from PIL import Image

from detkit.checkpoint import write_text
from detkit.data.images import read_image
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
WHO = {"student": "embedded", "teacher": "its teacher, YOLOX-Nano"}
TRAINED_ON = "AP on those trained on"
PARTS = ("part", "starts from", "input", "core-hours", "crops seen", "crops/s a core", "AP kept out at its end", "processor", "revision")
EXAM = ("photograph", "what should be found", "found with score", "false boxes", "from score")


@dataclass(frozen=True)
class Question:
    """A photograph of the exam.

    Attributes:
        file: In scikit-image's folder of data.
        wanted: What must be found, once.
        also: What else is in the image: one box of each is not false.
    """

    file: str
    wanted: str
    also: tuple[str, ...] = ()


QUESTIONS = (
    Question("astronaut.png", "person"),
    Question("chelsea.png", "cat"),
    Question("coffee.png", "cup", ("spoon", "dining table")),
    Question("motorcycle_left.png", "motorcycle", ("bench", "bicycle")),
)


def photograph(question: Question) -> Path:
    """Where the image is."""
    return Path(str(resources.files("skimage"))) / "data" / question.file


def marked(question: Question, names: Sequence[str]) -> tuple[bool, int]:
    """Whether what was wanted is among the classes found, and how many boxes are false: of another class, or once more."""
    real = {question.wanted, *question.also} & set(names)
    return question.wanted in real, len(names) - len(real)


def exam() -> tuple[list[dict[str, Any]], Any]:
    """Look at every photograph in the default precision and at the default score: what was found, and a sheet of all, drawn."""
    lowest = suggested_min_score(EMBEDDED)
    predictor = load(EMBEDDED, "cpu", min_score=lowest or 0.5)
    rows, drawn = [], []
    for question in QUESTIONS:
        image = read_image(photograph(question))
        found: Detections = predictor(image)
        names = [str(predictor.class_names[label]) for label in found.labels.tolist()]
        passed, false = marked(question, names)
        scores = [round(score, 3) for score in found.scores.tolist()]
        asked = {"file": question.file, "wanted": question.wanted, "min_score": predictor.min_score, "passed": passed, "false": false}
        rows.append({**asked, "found": list(zip(names, scores, strict=True))})
        drawn.append(draw_detections(image, found, predictor.class_names))
    return rows, contact_sheet(drawn, columns=2, captions=[question.file for question in QUESTIONS], max_side=600)


def keep(name: str, content: Any) -> Path:
    """Write a file of results."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def kept(name: str) -> Any:
    """A file of results, or nothing."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def add_part(results: Path) -> Path:
    """Keep what a part of the training wrote, numbered as it came."""
    found = json.loads(results.read_text("utf-8"))
    row = {
        "part": results.parent.name,
        "starts_from": start_of(found["config"]["weights"]),
        **{key: found[key] for key in (*KEPT, "steps", "wall_minutes", "processes", "data") if key in found},
    }
    row["config"]["output"] = row["config"]["weights"] = None  # paths of the machine it ran on
    known = {kept(path.stem)["part"]: path.stem for path in parts()}
    return keep(known.get(row["part"], f"part_{len(known) + 1}"), row)


def start_of(weights: str | None) -> str:
    """What a part's setting ``weights`` names, without the way to it: the part whose folder it is, or the file."""
    if weights is None:
        return "ImageNet"
    path = Path(weights)
    return path.parent.name if path.stem in ("last", "best") else path.stem


def parts() -> list[Path]:
    """The files of the parts of the training, in their order."""
    return sorted(RESULTS.glob("part_*.json"), key=lambda path: int(path.stem.partition("_")[2]))


def part_line(row: dict[str, Any]) -> tuple[str, ...]:
    """A part of the training."""
    size = row["config"]["augmentation"]["resize"]["size"] or row["config"]["model"]["preprocess"]["input_size"]
    speed = f"{row['images_seen'] / row['core_minutes'] / 60:.1f}"
    cost = (f"{row['core_minutes'] / 60:.2f}", f"{row['images_seen']:,}", speed)
    end = f"{row['validation']['last']['AP']:.3f}"
    return (row["part"], row["starts_from"], "x".join(map(str, size)), *cost, end, processor_of(row["machine"]), f"`{row['revision']}`")


def part_lines() -> list[tuple[str, ...]]:
    """All parts, and what they come to."""
    rows = [kept(path.stem) for path in parts()]
    if len(rows) < 2:
        return [part_line(row) for row in rows]
    hours, seen = (sum(row[key] for row in rows) for key in ("core_minutes", "images_seen"))
    return [*map(part_line, rows), ("all", "", "", f"{hours / 60:.2f}", f"{seen:,}", "", "", "", "")]


def kept_out_lines() -> list[tuple[str, ...]]:
    """The detector and its teacher on the images that were kept out, and how good they are on the others."""
    lines = []
    for who, name in WHO.items():
        row, others = kept(who), kept(f"{who}_trained_on")
        if row is not None:
            known = f"{others['values']['AP']:.3f}" if others is not None else "-"
            lines.append((name, *(f"{row['values'][key]:.3f}" for key in SHOWN), known))
    return lines


def exam_lines() -> list[tuple[str, ...]]:
    """What was found in every photograph."""
    lines = []
    for row in kept("exam") or ():
        said = ", ".join(f"{name} {score:.2f}" for name, score in row["found"]) or "nothing"
        lines.append(
            (row["file"], row["wanted"], said if row["passed"] else f"{said}: **missed**", str(row["false"]), f"{row['min_score']:g}")
        )
    return lines


def page(text: str) -> str:
    """The page, with the tables between its marks made anew."""
    text = filled(text, "training", part_lines(), PARTS)
    text = filled(text, "kept out", kept_out_lines(), ("detector", *SHOWN, TRAINED_ON))
    return filled(text, "exam", exam_lines(), EXAM)


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status: 1 if the exam was failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=Path, metavar="RESULTS.JSON")
    for flag in ("--kept-out", "--trained-on"):
        parser.add_argument(flag, nargs=2, action="append", default=[], metavar=("student|teacher", "NUMBERS.JSON"))
    parser.add_argument("--exam", action="store_true")
    options = parser.parse_args(argv)
    failed = False
    if options.part is not None:
        print(f"written: {add_part(options.part)}")
    for flag, given, ending in (("--kept-out", options.kept_out, ""), ("--trained-on", options.trained_on, "_trained_on")):
        for who, file in given:
            if who not in WHO:
                parser.error(f"{flag}: expected {' or '.join(WHO)}, got {who!r}")
            numbers = json.loads(Path(file).read_text("utf-8"))
            print(f"written: {keep(who + ending, {key: numbers[key] for key in NUMBERS})}")
    if options.exam:
        rows, sheet = exam()
        Image.fromarray(sheet).save(IMAGE, quality=85)
        failed = not all(row["passed"] and row["false"] <= 1 for row in rows)
        print(f"written: {keep('exam', rows)}")
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")
    for line in exam_lines() if options.exam else ():
        print("; ".join(line))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
