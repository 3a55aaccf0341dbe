"""The detectors of the zoo on one small backbone, in the order in which they were invented, and named sets of them."""

from __future__ import annotations

from dataclasses import dataclass

from detkit.registry import did_you_mean


@dataclass(frozen=True)
class Member:
    """A config of the zoo that takes part in suites.

    Attributes:
        config: Its name in :mod:`detkit.zoo`.
        title: Name of the detector.
        year: Year and month in which the method was published, as ``2013.11``.
        paper: Its paper; empty for designs of this project.
        trials: Runs by which its settings were chosen, all of them on BCCD; the other hyper-parameters are as published.
        validation: Config keys by which a suite validates it less often: one that takes seconds for an image would spend most of a short
            budget on validations. They change nothing that is learned.
    """

    config: str
    title: str
    year: float
    paper: str = ""
    trials: str = "none"
    validation: tuple[str, ...] = ()


MEMBERS = (
    Member("rcnn_lite0_bccd", "R-CNN", 2013.11, "arXiv:1311.2524", validation=("training.evaluations=1", "evaluation.max_images=8")),
    Member("sppnet_lite0_bccd", "SPPNet", 2014.06, "arXiv:1406.4729", validation=("training.evaluations=1", "evaluation.max_images=29")),
    Member(
        "fast_rcnn_lite0_bccd",
        "Fast R-CNN",
        2015.04,
        "arXiv:1504.08083",
        validation=("training.evaluations=2", "evaluation.max_images=29"),
    ),
    Member("faster_rcnn_alternating_lite0_bccd", "Faster R-CNN, 4 steps", 2015.06, "arXiv:1506.01497"),
    Member(
        "yolov1_lite0_bccd",
        "YOLOv1",
        2015.061,
        "arXiv:1506.02640",
        "3 runs before it with other learning rates and hidden layers, stopped after 5.2, 28.6 and 2.5 core-minutes",
    ),
    Member("yolov1_by_cell_lite0_bccd", "YOLOv1 by cell", 2015.062, "arXiv:1506.02640, without its fully connected layers"),
    Member("ssd_lite0_bccd", "SSDLite", 2015.12, "arXiv:1512.02325"),
    Member("faster_rcnn_lite0_bccd", "Faster R-CNN, FPN", 2016.12, "arXiv:1612.03144", "1 run of 10 core-minutes"),
    Member("retinanet_lite0_bccd", "RetinaNet", 2017.08, "arXiv:1708.02002", "1 run of 6.6 core-minutes"),
    Member("fcos_lite0_bccd", "FCOS", 2019.04, "arXiv:1904.01355"),
    Member("atss_lite0_bccd", "ATSS", 2019.12, "arXiv:1912.02424"),
    Member(
        "detr_lite0_bccd",
        "DETR",
        2020.05,
        "arXiv:2005.12872",
        "9 trial runs of 1.4 to 37.2 core-minutes with other sizes, learning rates, batch sizes, layers and precisions",
    ),
    Member("yolox_lite0_bccd", "YOLOX", 2021.07, "arXiv:2107.08430"),
    Member("rtdetr_v2_lite0_bccd", "RT-DETRv2", 2024.07, "arXiv:2407.17140"),
    Member("dfine_lite0_bccd", "D-FINE", 2024.10, "arXiv:2410.13842", "1 run of 8 core-minutes"),
    Member(
        "light_lite0_bccd",
        "detkit light",
        2026.0,
        "",
        "3 runs of 25 to 60 core-minutes with other batch sizes, learning rates and locations per object",
    ),
    Member("embedded_bccd", "detkit light, from COCO", 2026.001, "", "those of light_lite0_bccd"),
)
"""In the order of publication."""

_WITHOUT_PAPER = ("light_lite0_bccd", "embedded_bccd")
_VARIANTS = ("yolov1_by_cell_lite0_bccd",)

SUITES: dict[str, tuple[str, ...]] = {
    "classics": tuple(row.config for row in MEMBERS if row.config not in (*_WITHOUT_PAPER, *_VARIANTS)),
    "fast": ("ssd_lite0_bccd", "detr_lite0_bccd", "yolox_lite0_bccd", "rtdetr_v2_lite0_bccd", "dfine_lite0_bccd", "embedded_bccd"),
    "accurate": ("faster_rcnn_lite0_bccd", "fcos_lite0_bccd", "yolox_lite0_bccd", "dfine_lite0_bccd", "embedded_bccd"),
    "all": tuple(row.config for row in MEMBERS),
}
"""Names of configs by the name of the suite. ``classics`` are the published methods, all of which start from ImageNet weights."""


def suite(name: str) -> tuple[str, ...]:
    """Return the configs of a suite.

    Raises:
        ValueError: If there is no such suite.
    """
    if name not in SUITES:
        raise ValueError(f"unknown suite {name!r}: {did_you_mean(name, list(SUITES))}")
    return SUITES[name]


def member(config: str) -> Member | None:
    """Return what is known of a config; None if it is in no suite."""
    return next((row for row in MEMBERS if row.config == config), None)
