"""When the kinds of detectors were invented."""

from __future__ import annotations

from typing import NamedTuple


class Invention(NamedTuple):
    """A kind of detector: its title, and the year and month of the first version of its paper, as ``2013.11``."""

    title: str
    month: float


INVENTIONS = {
    "rcnn": Invention("R-CNN", 2013.11),
    "sppnet": Invention("SPPNet", 2014.06),
    "fast_rcnn": Invention("Fast R-CNN", 2015.04),
    "faster_rcnn": Invention("Faster R-CNN", 2015.06),
    "yolov1": Invention("YOLO", 2015.061),
    "ssd": Invention("SSD", 2015.12),
    "mask_rcnn": Invention("Mask R-CNN", 2017.03),
    "retinanet": Invention("RetinaNet", 2017.08),
    "fcos": Invention("FCOS", 2019.04),
    "detr": Invention("DETR", 2020.05),
    "clip_rcnn": Invention("CLIP R-CNN", 2021.02),
    "yolox": Invention("YOLOX", 2021.07),
    "rtdetr": Invention("RT-DETR", 2023.04),
    "dfine": Invention("D-FINE", 2024.10),
}
"""By the kind of the model's config, from arXiv 1311.2524 (R-CNN) to 2410.13842 (D-FINE)."""


def invention(kind: str) -> Invention:
    """Return the invention of a kind of model; those of other packages come last, under their own names."""
    return INVENTIONS.get(kind, Invention(kind, float("inf")))
