"""Measure what the parts of R-CNN and SPPNet give, or fill the table of docs/multi_stage.md from what was measured.

    python docs/make_ablations.py
    python docs/make_ablations.py --measure runs/rcnn_lite0_bccd-1 runs/rcnn_without_finetuning_lite0_bccd-1 --data data/bccd --split test
    python docs/make_ablations.py --measure runs/sppnet_lite0_bccd-1 runs/sppnet_five_scales_lite0_bccd-1 --data data/bccd --split test

A finished run has all of its parts: softmax, SVMs, boxes as proposed, box regressors. Each is judged with and without, and the other run
beside; differences have the intervals of a paired bootstrap over the images. The numbers are kept in ``docs/results/ablations``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from make_results import filled

from detkit.checkpoint import write_text
from detkit.data import DetectionData
from detkit.evaluation.compare import differences
from detkit.evaluation.evaluator import Evaluator
from detkit.experiment.evaluation_run import labeled_data
from detkit.inference import Predictor, detect_records, load

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "multi_stage.md"
RESULTS = DOCS / "results" / "ablations"
HEADINGS = ("run", "parts", "AP", "AP50", "difference in AP", "95 % of draws", "to", "paper's AP50 (VOC 2007)", "difference there")
SHOWN = ("AP", "AP50")


@dataclass(frozen=True)
class Variant:
    """A detector made of some of the parts.

    Attributes:
        what: What the table calls it.
        svm: Scores of the SVMs, or of the softmax.
        boxes: Boxes of the regressors, or as proposed.
        other: Of the second run.
        beside: The row that it is compared with.
        paper: The paper's AP50 of it, in per cent; None: it has none.
    """

    what: str
    svm: bool
    boxes: bool
    other: bool = False
    beside: int | None = None
    paper: float | None = None


VARIANTS: dict[str, tuple[Variant, ...]] = {
    # arXiv:1311.2524, table 2 (AlexNet), and appendix B for the softmax.
    "rcnn": (
        Variant("all parts", svm=True, boxes=True, paper=58.5),
        Variant("no box regression", svm=True, boxes=False, beside=0, paper=54.2),
        Variant("softmax for SVMs, no box regression", svm=False, boxes=False, beside=1, paper=50.9),
        Variant("softmax for SVMs", svm=False, boxes=True, beside=0),
        Variant("no fine-tuning, no box regression", svm=True, boxes=False, other=True, beside=1, paper=44.7),
        Variant("no fine-tuning", svm=True, boxes=True, other=True, beside=0),
    ),
    # arXiv:1406.4729, table 9 (ZFNet).
    "sppnet": (
        Variant("all parts, one scale", svm=True, boxes=True, paper=58.0),
        Variant("one scale, no box regression", svm=True, boxes=False, beside=0, paper=54.5),
        Variant("one scale, softmax for SVMs, no box regression", svm=False, boxes=False, beside=1),
        Variant("one scale, softmax for SVMs", svm=False, boxes=True, beside=0),
        Variant("five scales, no box regression", svm=True, boxes=False, other=True, beside=1, paper=55.2),
        Variant("five scales", svm=True, boxes=True, other=True, beside=0, paper=59.2),
    ),
}


class Judged:
    """A predictor, judged with some of its parts on the same images; what does not depend on the parts is computed once a image."""

    def __init__(self, run: str, device: str) -> None:
        path = Path(run) / "last.safetensors"
        self.predictor: Predictor = load(path if path.exists() else run, device, "fp32")
        detector: Any = self.predictor.detector
        self.kind = str(json.loads((Path(run) / "config.json").read_text("utf-8"))["model"]["kind"])
        fitted = detector.region.fitted
        if fitted is None or not (fitted.has_svm and fitted.has_boxes):
            raise ValueError(f"{run}: expected a finished run with SVMs and box regressors, of R-CNN or SPPNet")
        self.fitted = fitted
        self._kept: dict[str, Any] = {}
        detector.raw = self._once("raw", detector.raw)
        detector.region.pooled = self._once("pooled", detector.region.pooled)

    def _once(self, name: str, made: Callable[..., Any]) -> Callable[..., Any]:
        def kept(*args: Any) -> Any:
            if name not in self._kept:
                self._kept[name] = made(*args)
            return self._kept[name]

        return kept

    def on(self, data: DetectionData, variants: list[Variant]) -> list[Evaluator]:
        """What each of these finds."""
        evaluators = [Evaluator(data, self.predictor.class_names) for _ in variants]
        for place in range(len(data)):
            self._kept.clear()
            image = data.take([place])
            for variant, evaluator in zip(variants, evaluators, strict=True):
                self.fitted.has_svm.fill_(variant.svm)
                self.fitted.has_boxes.fill_(variant.boxes)
                for record, detections in detect_records(self.predictor, image):
                    evaluator.add(record, detections)
        return evaluators


def measure(runs: tuple[str, str], path: str, split: str, device: str) -> dict[str, Any]:
    """Judge every variant, and compare it with its row."""
    judged = [Judged(run, device) for run in runs]
    kinds = {one.kind for one in judged}
    if len(kinds) > 1 or not kinds <= VARIANTS.keys():
        raise ValueError(f"{' and '.join(runs)}: expected two runs of one kind, {' or '.join(VARIANTS)}, got {', '.join(sorted(kinds))}")
    variants = VARIANTS[kinds.pop()]
    data = labeled_data(runs[0], path, split=split)
    found: dict[Variant, Evaluator] = {}
    for one, other in zip(judged, (False, True), strict=True):
        own = [variant for variant in variants if variant.other == other]
        found |= zip(own, one.on(data, own), strict=True)
    rows = []
    for variant in variants:
        evaluator = found[variant]
        row = {"what": variant.what, "paper": variant.paper, "values": evaluator.numbers().to_dict()["values"], "beside": variant.beside}
        if variant.beside is not None:
            reference = found[variants[variant.beside]].table()
            row["differences"] = [
                one.to_dict() for one in differences(evaluator.ground_truth, evaluator.table(), reference) if one.name in SHOWN
            ]
        rows.append(row)
    names = [Path(run).name for run in runs]
    return {"runs": names, "data": data.name.replace("\\", "/"), "split": split, "images": len(data), "rows": rows}


def lines(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """A line a variant."""
    name, made = report["runs"][0].rpartition("-")[0], []
    for row in report["rows"]:
        values, difference = row["values"], next((one for one in row.get("differences", ()) if one["name"] == "AP"), None)
        beside = None if row["beside"] is None else report["rows"][row["beside"]]
        own = "-" if difference is None else f"{difference['difference']:+.3f}"
        interval = "-" if difference is None else f"{difference['low']:+.3f} to {difference['high']:+.3f}"
        paper = "-" if row["paper"] is None else f"{row['paper']:.1f}"
        to, there = "-", "-"
        if beside is not None:
            to = beside["what"]
            there = "-" if None in (row["paper"], beside["paper"]) else f"{row['paper'] - beside['paper']:+.1f}"
        made.append((name, row["what"], f"{values['AP']:.3f}", f"{values['AP50']:.3f}", own, interval, to, paper, there))
    return made


def page(text: str) -> str:
    """The page, with the table between its marks made anew."""
    reports = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return filled(text, "ablations", [line for report in reports for line in lines(report)], HEADINGS)


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs=2, metavar="RUN", help="a finished run, and the one that it is compared with")
    parser.add_argument("--data", metavar="PATH", help="labeled images")
    parser.add_argument("--split", default="test", metavar="NAME", help="which part of them (default: %(default)s)")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    if args.measure:
        if not args.data:
            parser.error("--measure needs --data PATH")
        report = measure(tuple(args.measure), args.data, args.split, args.device)
        path = RESULTS / f"{report['runs'][0].rpartition('-')[0]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(report, ensure_ascii=False, indent=1) + "\n")
        print(f"written: {path}")
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
