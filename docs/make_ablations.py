"""Measure the contribution of each part of R-CNN and SPPNet, or update the table in docs/multi_stage.md.

    python docs/make_ablations.py
    python docs/make_ablations.py --measure runs/rcnn_lite0_bccd-1 runs/rcnn_without_finetuning_lite0_bccd-1 --data data/bccd --split test
    python docs/make_ablations.py --measure runs/sppnet_lite0_bccd-1 runs/sppnet_five_scales_lite0_bccd-1 --data data/bccd --split test

A finished run has both classifiers, softmax and SVMs, and box regressors that can be left out. The first run is evaluated with and without
these parts, the second run in addition. Differences have confidence intervals from a paired bootstrap over the images. The numbers are
written to ``docs/results/ablations``.
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
HEADINGS = (
    *("run", "parts", "AP", "AP50", "AP difference", "95 % interval", "compared with"),
    *("paper's AP50 (VOC 2007)", "paper's difference"),
)
SHOWN = ("AP", "AP50")


@dataclass(frozen=True)
class Variant:
    """A detector with some of its parts.

    Attributes:
        name: Name in the table.
        svm: Whether scores are those of the SVMs; otherwise those of the softmax.
        boxes: Whether boxes are refined by the regressors; otherwise they are the proposals.
        other: Whether it is the second run.
        reference: Index of the variant that it is compared with; None: it is compared with none.
        paper: AP50 in the paper, in percent; None: the paper does not report it.
    """

    name: str
    svm: bool
    boxes: bool
    other: bool = False
    reference: int | None = None
    paper: float | None = None


VARIANTS: dict[str, tuple[Variant, ...]] = {
    # arXiv:1311.2524, table 2 (AlexNet), and appendix B for the softmax.
    "rcnn": (
        Variant("all parts", svm=True, boxes=True, paper=58.5),
        Variant("no box regression", svm=True, boxes=False, reference=0, paper=54.2),
        Variant("softmax instead of SVMs, no box regression", svm=False, boxes=False, reference=1, paper=50.9),
        Variant("softmax instead of SVMs", svm=False, boxes=True, reference=0),
        Variant("no fine-tuning, no box regression", svm=True, boxes=False, other=True, reference=1, paper=44.7),
        Variant("no fine-tuning", svm=True, boxes=True, other=True, reference=0),
    ),
    # arXiv:1406.4729, table 9 (ZFNet).
    "sppnet": (
        Variant("all parts, one scale", svm=True, boxes=True, paper=58.0),
        Variant("one scale, no box regression", svm=True, boxes=False, reference=0, paper=54.5),
        Variant("one scale, softmax instead of SVMs, no box regression", svm=False, boxes=False, reference=1),
        Variant("one scale, softmax instead of SVMs", svm=False, boxes=True, reference=0),
        Variant("five scales, no box regression", svm=True, boxes=False, other=True, reference=1, paper=55.2),
        Variant("five scales", svm=True, boxes=True, other=True, reference=0, paper=59.2),
    ),
}


class VariantEvaluator:
    """Evaluates a predictor with some of its parts; results that do not depend on the parts are computed once per image."""

    def __init__(self, run: str, device: str) -> None:
        path = Path(run) / "last.safetensors"
        self.predictor: Predictor = load(path if path.exists() else run, device, "fp32")
        detector: Any = self.predictor.detector
        self.kind = str(json.loads((Path(run) / "config.json").read_text("utf-8"))["model"]["kind"])
        fitted = detector.region.fitted
        if fitted is None or not (fitted.has_svm and fitted.has_boxes):
            raise ValueError(f"{run}: expected a finished run with SVMs and box regressors, of R-CNN or SPPNet")
        self.fitted = fitted
        self._cache: dict[str, Any] = {}
        detector.raw = self._once("raw", detector.raw)
        detector.region.pooled = self._once("pooled", detector.region.pooled)

    def _once(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def cached(*args: Any) -> Any:
            if name not in self._cache:
                self._cache[name] = function(*args)
            return self._cache[name]

        return cached

    def evaluate(self, data: DetectionData, variants: list[Variant]) -> list[Evaluator]:
        """Return an evaluator with the detections of each variant."""
        evaluators = [Evaluator(data, self.predictor.class_names) for _ in variants]
        for index in range(len(data)):
            self._cache.clear()
            image = data.take([index])
            for variant, evaluator in zip(variants, evaluators, strict=True):
                self.fitted.has_svm.fill_(variant.svm)
                self.fitted.has_boxes.fill_(variant.boxes)
                for record, detections in detect_records(self.predictor, image):
                    evaluator.add(record, detections)
        return evaluators


def measure(runs: tuple[str, str], path: str, split: str, device: str) -> dict[str, Any]:
    """Evaluate every variant, and compare it with its reference."""
    evaluated = [VariantEvaluator(run, device) for run in runs]
    kinds = {run.kind for run in evaluated}
    if len(kinds) > 1 or not kinds <= VARIANTS.keys():
        raise ValueError(f"{' and '.join(runs)}: expected two runs of one kind, {' or '.join(VARIANTS)}, got {', '.join(sorted(kinds))}")
    variants = VARIANTS[kinds.pop()]
    data = labeled_data(runs[0], path, split=split)
    evaluators: dict[Variant, Evaluator] = {}
    for run, other in zip(evaluated, (False, True), strict=True):
        own = [variant for variant in variants if variant.other == other]
        evaluators |= zip(own, run.evaluate(data, own), strict=True)
    rows = []
    for variant in variants:
        evaluator = evaluators[variant]
        values = evaluator.numbers().to_dict()["values"]
        row = {"what": variant.name, "paper": variant.paper, "values": values, "beside": variant.reference}
        if variant.reference is not None:
            reference = evaluators[variants[variant.reference]].table()
            compared = differences(evaluator.ground_truth, evaluator.table(), reference)
            row["differences"] = [difference.to_dict() for difference in compared if difference.name in SHOWN]
        rows.append(row)
    names = [Path(run).name for run in runs]
    return {"runs": names, "data": data.name.replace("\\", "/"), "split": split, "images": len(data), "rows": rows}


def table_rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the table row of each variant."""
    name, rows = report["runs"][0].rpartition("-")[0], []
    for row in report["rows"]:
        values, difference = row["values"], next((metric for metric in row.get("differences", ()) if metric["name"] == "AP"), None)
        reference = None if row["beside"] is None else report["rows"][row["beside"]]
        own = "-" if difference is None else f"{difference['difference']:+.3f}"
        interval = "-" if difference is None else f"{difference['low']:+.3f} to {difference['high']:+.3f}"
        paper = "-" if row["paper"] is None else f"{row['paper']:.1f}"
        compared_with, in_paper = "-", "-"
        if reference is not None:
            compared_with = reference["what"]
            in_paper = "-" if None in (row["paper"], reference["paper"]) else f"{row['paper'] - reference['paper']:+.1f}"
        rows.append((name, row["what"], f"{values['AP']:.3f}", f"{values['AP50']:.3f}", own, interval, compared_with, paper, in_paper))
    return rows


def page(text: str) -> str:
    """Return the page with an updated table."""
    reports = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return filled(text, "ablations", [row for report in reports for row in table_rows(report)], HEADINGS)


def main(argv: list[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs=2, metavar="RUN", help="two finished runs; the second is compared with the first")
    parser.add_argument("--data", metavar="PATH", help="labeled images")
    parser.add_argument("--split", default="test", metavar="NAME", help="part of the data (default: %(default)s)")
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
