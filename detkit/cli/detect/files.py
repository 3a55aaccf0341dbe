"""The files that ``detkit detect`` writes at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detkit.cli.detect.coco import CocoIds, as_coco
from detkit.cli.detect.formats import as_csv, as_json, as_row
from detkit.cli.detect.job import DetectJob
from detkit.cli.detect.label_writer import LabelWriter
from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import count
from detkit.cli.results.partial import PartialFile
from detkit.printable import printable


class PartialResults:
    """Keeps each result in a partial file.

    Args:
        file: The file.
        class_names: Class names by label.
    """

    def __init__(self, file: PartialFile, class_names: ClassNames) -> None:
        self._file, self._class_names = file, class_names

    def add(self, result: ImageResult, pixels: Any) -> None:
        """Append a result."""
        self._file.write(as_row(result, self._class_names))


def write_files(job: DetectJob, outputs: Outputs, metadata: Mapping[str, object], ids: CocoIds, labels: LabelWriter | None) -> None:
    """Write the requested files.

    Args:
        job: The results.
        outputs: The files that flags name.
        metadata: Further keys of the JSON file.
        ids: The ids of the COCO file.
        labels: The data set, to be completed; None: there is none.
    """
    names = job.predictor.class_names

    def write_coco(path: str) -> None:
        text, skipped = as_coco(job.results, names, ids)
        write_output(path, text)
        if skipped:
            print(f"{printable(path)}: skipped {count(skipped, 'detection')} of classes that the annotations do not have")

    outputs.write("json", lambda path: write_output(path, as_json(job.results, job.failures.messages, names, job.streams, **metadata)))
    outputs.write("csv", lambda path: write_output(path, as_csv(job.results, names)))
    outputs.write("coco", write_coco)
    if labels is not None:
        outputs.write("labels", lambda path: _finish_labels(labels, path))


def _finish_labels(labels: LabelWriter, path: str) -> None:
    images, boxes = labels.finish()
    summary = f"{count(images, 'image')}, {count(boxes, 'box', 'boxes')} to correct"
    print(f"labels: {summary}; then train on them with: detkit train {printable(path)}")
    if labels.renamed:
        print(f"labels: {count(labels.renamed, 'copy', 'copies')} renamed, as label formats cannot hold the names")
