"""Damaged, foreign and hostile files for every reader and loader, built from valid ones by seeded changes of their structure."""

from . import labels, media, models, overrides, results, sets, tool_labels
from .case import Case, Fault, MakeCase, random_of, verdict

TARGETS: dict[str, MakeCase] = {
    "coco": labels.coco,
    "voc": labels.voc,
    "yolo": labels.yolo,
    "labelme": labels.labelme,
    "cvat": tool_labels.cvat,
    "createml": tool_labels.createml,
    "label_studio": tool_labels.label_studio,
    "tables": tool_labels.tables,
    "class_folders": labels.class_folders,
    "results": results.results,
    "config": results.config,
    "overrides": overrides.overrides,
    "images": media.images,
    "exif": media.exif,
    "tiff": media.tiff,
    "video": media.video,
    "checkpoint": models.checkpoint,
    "state": models.state,
    "weights": models.weights,
    "proposal_cache": models.proposal_cache,
    "onnx": models.onnx,
    "masks": sets.masks,
    "label_maps": sets.label_maps,
    "tracks": sets.tracks,
    "bulk_results": sets.bulk_results,
    "shards": sets.shards,
    "requests": sets.requests,
}
"""What is read, and how a case of it is made."""

__all__ = ["TARGETS", "Case", "Fault", "MakeCase", "random_of", "verdict"]
