"""Options of ``detkit detect``, and those of the detector, which other commands have too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detkit.bulk.shard import Shard
from detkit.cli.pyramid import PyramidOptions

if TYPE_CHECKING:
    from detkit.data.writers.mask_json import MaskForm


@dataclass(frozen=True, kw_only=True)
class DetectorOptions(PyramidOptions):
    """Options that name the detector and what it reports.

    Attributes:
        model: The detector; None: the one inside the package.
        latest: Whether to use the newest run.
        weights_file: The file with the weights of a published model.
        min_score: Lowest score reported; None: the model's operating points or suggestion.
        classes: Classes to report, or phrases to look for; None: all classes.
        templates: Prompts into which the phrases are inserted; None: the model's own.
        svd: Ranks of the truncated fully connected layers.
        device: Name of the device.
        precision: Number format.
        runtime: Name of the runtime; None: torch, or that of an exported file.
        threads: Number of threads; None: the default.
        proposals_cache: Folder that caches proposals; None: no cache.
    """

    model: str | None = None
    latest: bool = False
    weights_file: str | None = None
    min_score: float | None = None
    classes: tuple[str, ...] | None = None
    templates: tuple[str, ...] | None = None
    svd: tuple[int, ...] | None = None
    device: str = "auto"
    precision: str = "auto"
    runtime: str | None = None
    threads: int | None = None
    proposals_cache: str | None = None


@dataclass(frozen=True, kw_only=True)
class DetectOptions(DetectorOptions):
    """Options of ``detkit detect``.

    Attributes:
        images: Images, videos, folders of them, patterns, cameras and addresses; empty: a sample photograph.
        every: Process every N-th frame of a video.
        max_latency: Seconds for which a frame of a live source may wait.
        seconds: Time after which live sources end; None: when they do.
        only_found: Whether images and frames without detections are left out of all outputs.
        blur: Classes whose objects are blurred in everything that is written.
        crops: Folder of the detected objects as images of their own.
        crop_margin: Margin around them, as a fraction of the box's side.
        shard: Process only this shard of the images, and write a Parquet file; None: process all.
        output: Folder of the drawn images; None: a new one. With ``shard``: the folder of all shards.
        no_draw: Whether to draw nothing.
        json: File of the detections as JSON.
        mask_format: How masks are written to ``json``: ``rle``, ``polygons`` or ``none``.
        csv: File of the detections as CSV.
        coco: File of the detections as COCO results.
        labels: Folder of a new data set with the detections as labels.
        labels_format: Format of that data set.
        label_maps: Folder of the classes of all pixels as images.
        annotations: COCO annotation file that gives the ids for ``coco``.
    """

    images: tuple[str, ...] = ()
    every: int = 1
    max_latency: float = 0.5
    seconds: float | None = None
    only_found: bool = False
    blur: tuple[str, ...] | None = None
    crops: str | None = None
    crop_margin: float = 0.0
    shard: Shard | None = None
    output: str | None = None
    no_draw: bool = False
    json: str | None = None
    mask_format: MaskForm = "rle"
    csv: str | None = None
    coco: str | None = None
    labels: str | None = None
    labels_format: str = "yolo"
    label_maps: str | None = None
    annotations: str | None = None
