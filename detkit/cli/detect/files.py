"""The files that ``detkit detect`` writes at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.coco import CocoIds, as_coco
from detkit.cli.detect.crop_writer import CropWriter
from detkit.cli.detect.formats import as_csv, as_json, as_row
from detkit.cli.detect.job import DetectJob, Sink
from detkit.cli.detect.label_map_writer import LabelMapWriter
from detkit.cli.detect.label_writer import LabelWriter
from detkit.cli.detect.options import DetectOptions
from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import count
from detkit.cli.results.partial import PartialFile
from detkit.data.writers.mask_json import MaskForm
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.cli.detect.detector import FileDetector


class PartialResults:
    """Keeps each result in a partial file.

    Args:
        file: The file.
        class_names: Class names by label.
        masks: How masks are written, if there are any.
    """

    def __init__(self, file: PartialFile, class_names: ClassNames, masks: MaskForm = "rle") -> None:
        self._file, self._class_names, self._masks = file, class_names, masks

    def add(self, result: ImageResult, pixels: Any) -> None:
        """Append a result."""
        self._file.write(as_row(result, self._class_names, self._masks))


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The folders that are filled image by image.

    Attributes:
        labels: The data set of ``--labels``; None: there is none.
        crops: The objects of ``--crops``; None: there are none.
        label_maps: The label maps of ``--label-maps``; None: there are none.
        masks: How masks are written to the JSON file.
    """

    labels: LabelWriter | None = None
    crops: CropWriter | None = None
    label_maps: LabelMapWriter | None = None
    masks: MaskForm = "rle"

    @classmethod
    def of(cls, options: DetectOptions) -> Folders:
        """Return those that options ask for.

        Raises:
            ValueError: If one is not empty, or both are the same.
        """
        if options.labels and options.crops and Path(options.labels).resolve() == Path(options.crops).resolve():
            raise ValueError(f"--crops {options.crops}: expected another folder than that of --labels; give a new one")
        labels = None if options.labels is None else LabelWriter(options.labels, options.labels_format)
        crops = None if options.crops is None else CropWriter(options.crops, options.crop_margin)
        label_maps = None if options.label_maps is None else LabelMapWriter(options.label_maps)
        return cls(labels=labels, crops=crops, label_maps=label_maps, masks=options.mask_format)

    def begin(self, detector: FileDetector) -> None:
        """Set the classes, before the first image."""
        if self.labels is not None:
            self.labels.begin(detector.class_names, detector.reported)
        if self.crops is not None:
            self.crops.begin(detector.class_names)
        if self.label_maps is not None:
            self.label_maps.begin(detector)

    @property
    def sinks(self) -> list[Sink]:
        """Those that there are."""
        return [folder for folder in (self.labels, self.crops, self.label_maps) if folder is not None]


def write_files(job: DetectJob, outputs: Outputs, metadata: Mapping[str, object], ids: CocoIds, folders: Folders) -> None:
    """Write the requested files, and complete the folders.

    Args:
        job: The results.
        outputs: The files and folders that flags name.
        metadata: Further keys of the JSON file.
        ids: The ids of the COCO file.
        folders: The folders.
    """
    names, labels, crops = job.predictor.class_names, folders.labels, folders.crops

    def write_coco(path: str) -> None:
        text, skipped = as_coco(job.results, names, ids)
        write_output(path, text)
        if skipped:
            print(f"{printable(path)}: skipped {count(skipped, 'detection')} of classes that the annotations do not have")

    def write_json(path: str) -> None:
        write_output(path, as_json(job.results, job.failures.messages, names, job.streams, folders.masks, **metadata))

    outputs.write("json", write_json)
    outputs.write("csv", lambda path: write_output(path, as_csv(job.results, names)))
    outputs.write("coco", write_coco)
    if labels is not None:
        outputs.write("labels", lambda path: _finish_labels(labels, path))
    if crops is not None:
        outputs.write("crops", lambda _: _finish_crops(crops))
    if folders.label_maps is not None:
        outputs.write("label-maps", lambda _: None)


def _finish_crops(crops: CropWriter) -> None:
    skipped = f"; {count(crops.skipped, 'box', 'boxes')} without area in the image skipped" if crops.skipped else ""
    print(f"crops: {count(crops.written, 'object')}{skipped}")


def _finish_labels(labels: LabelWriter, path: str) -> None:
    images, boxes = labels.finish()
    summary = f"{count(images, 'image')}, {count(boxes, 'box', 'boxes')} to correct"
    print(f"labels: {summary}; then train on them with: detkit train {printable(path)}")
    if labels.renamed:
        print(f"labels: {count(labels.renamed, 'copy', 'copies')} renamed, as label formats cannot hold the names")
