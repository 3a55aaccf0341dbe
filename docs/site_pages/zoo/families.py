"""Families of models: what each is, its papers, and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from site_pages.zoo.facts import Model

_ARXIV = "https://arxiv.org/abs/"


@dataclass(frozen=True)
class Family:
    """Models that share a card.

    Attributes:
        key: Name of the card's file.
        title: Its heading.
        year: Of the first version of the first paper.
        papers: Title and arXiv number of each paper.
        what: What it is, in a few sentences.
        limits: What it is not good for, or what differs from the papers.
        kinds: Kinds of the models' configs that belong to it.
        export: How its models are exported, if not as detectors.
    """

    key: str
    title: str
    year: int
    papers: tuple[tuple[str, str], ...]
    what: str
    limits: tuple[str, ...]
    kinds: tuple[str, ...]
    export: str = ""

    def members(self, rows: Sequence[Model]) -> list[Model]:
        """Return its models in the order of the rows."""
        return [row for row in rows if row.model in self.kinds]


_PROPOSALS = "It needs proposals for every image; [selective search](../selective_search.md) makes them on the CPU."
_COCO_SCHEDULE = "The COCO schedules were not run here: they need days on GPUs. The small configs for BCCD were."

FAMILIES = (
    Family(
        "rcnn",
        "R-CNN",
        2013,
        (("Rich feature hierarchies", "1311.2524"),),
        "Each proposal is warped to one size and passes through the network alone. Linear SVMs on its features classify it, and a ridge "
        "regression refines its box. Training has three stages: fine-tuning, SVMs, box regressors.",
        (
            "The slowest family: the network runs once per region. GFLOPs are those of 300 regions.",
            _PROPOSALS,
            "`zero_shot_rcnn` classifies regions with an ImageNet classifier; it was never trained on boxes.",
        ),
        ("rcnn",),
    ),
    Family(
        "sppnet",
        "SPPNet",
        2014,
        (("Spatial pyramid pooling", "1406.4729"),),
        "The convolutions see the image once, and a spatial pyramid pools the features of each region to one length. SVMs and box "
        "regressors follow as in R-CNN.",
        (
            "The convolutions keep their ImageNet weights, as in the paper.",
            _PROPOSALS,
            "No ImageNet weights of ZFNet are published for PyTorch.",
        ),
        ("sppnet",),
    ),
    Family(
        "fast_rcnn",
        "Fast R-CNN",
        2015,
        (("Fast R-CNN", "1504.08083"),),
        "One network with RoI pooling classifies proposals and refines their boxes, trained in one stage with one loss.",
        (_PROPOSALS, "The VOC configs were not run here."),
        ("fast_rcnn",),
    ),
    Family(
        "faster_rcnn",
        "Faster R-CNN",
        2015,
        (("Faster R-CNN", "1506.01497"), ("Feature pyramid networks", "1612.03144")),
        "A region proposal network shares its features with Fast R-CNN. The FPN gives both stages maps of several strides.",
        (_COCO_SCHEDULE, "Torchvision's second version (`_v2`) was trained much longer than the 1x schedule."),
        ("faster_rcnn",),
    ),
    Family(
        "yolov1",
        "YOLOv1",
        2015,
        (("You only look once", "1506.02640"),),
        "A grid of cells predicts boxes and classes in one pass, without anchors and without proposals.",
        (
            "A cell detects at most one object, so that crowded images lose many: see the configs for BCCD.",
            "The convolutions that the paper trained on ImageNet are not published.",
        ),
        ("yolov1",),
    ),
    Family(
        "ssd",
        "SSD",
        2015,
        (("Single shot multibox detector", "1512.02325"), ("MobileNetV2 (SSDLite)", "1801.04381")),
        "Default boxes of several sizes and shapes on maps of several strides, classified and refined in one pass.",
        ("The input size is fixed; small objects get few default boxes.", _COCO_SCHEDULE),
        ("ssd",),
    ),
    Family(
        "mask_rcnn",
        "Mask R-CNN",
        2017,
        (("Mask R-CNN", "1703.06870"),),
        "Faster R-CNN with a third head that predicts a mask for every detection. [Masks](../masks.md) is the guide.",
        (
            "GFLOPs are those of the boxes: those of the masks depend on the number of detections.",
            "Objects without a mask teach boxes only.",
            "The COCO schedules were not run here: they need days on GPUs.",
        ),
        ("mask_rcnn",),
    ),
    Family(
        "retinanet",
        "RetinaNet",
        2017,
        (("Focal loss", "1708.02002"),),
        "One pass over the anchors of an FPN, with the focal loss against the many easy negatives.",
        (_COCO_SCHEDULE, "`retinanet_r50_fpn_paper` has the numbers of the paper; torchvision's differ, as `RetinaNetConfig` lists."),
        ("retinanet",),
    ),
    Family(
        "fcos",
        "FCOS and ATSS",
        2019,
        (("FCOS", "1904.01355"), ("FCOS, second version", "2006.09214"), ("ATSS", "1912.02424")),
        "Each point of an FPN predicts the distances to the sides of its object. ATSS chooses the points of an object by the statistics of "
        "their IoU.",
        (_COCO_SCHEDULE, "With ATSS, boxes are distances to points; in its authors' code they are relative to the points' anchors."),
        ("fcos",),
    ),
    Family(
        "detr",
        "DETR",
        2020,
        (("End-to-end object detection with transformers", "2005.12872"),),
        "Queries of a transformer predict the set of objects; each matches one object, so that NMS is not needed.",
        (
            "It learns slowly and needs much data: start from released weights on data of your own.",
            "Half of the images are cropped to .6 to 1 of their sides; the released code resizes and crops them to pixels.",
        ),
        ("detr",),
    ),
    Family(
        "clip_rcnn",
        "CLIP and CLIP R-CNN",
        2021,
        (("CLIP", "2103.00020"),),
        "CLIP's image tower compares images (`clip`) or regions (`clip_rcnn`) with phrases that you type, with no training.",
        (
            "It was never trained on boxes, and has no published AP for them.",
            "GFLOPs of `clip_rcnn` are those of 300 regions. Parameters include the text tower, which runs once per list of phrases.",
            "Needs the extra `clip`.",
        ),
        ("clip", "clip_rcnn"),
    ),
    Family(
        "yolox",
        "YOLOX and the light detectors",
        2021,
        (("YOLOX", "2107.08430"),),
        "A decoupled head without anchors and SimOTA's assignment on a PAN. `light_lite0` is a lighter detector of the same head; "
        "`embedded`, which ships with detkit, is one of those.",
        (
            "The released recipes raise the learning rate with the square of the step at first; here it rises linearly.",
            "`embedded` is small: larger published models find more. [Its page](../embedded_detector.md) has its card.",
        ),
        ("yolox",),
    ),
    Family(
        "rtdetr",
        "RT-DETR and RT-DETRv2",
        2023,
        (("DETRs beat YOLOs", "2304.08069"), ("RT-DETRv2", "2407.17140"), ("DEIM", "2412.04234")),
        "A hybrid encoder and deformable attention make a DETR that runs in real time. `deim_rtdetr_v2_r18` trains it with DEIM's dense "
        "matching.",
        ("The COCO schedules were not run here: they need days on GPUs. The small configs for BCCD were.",),
        ("rtdetr",),
    ),
    Family(
        "dfine",
        "D-FINE, DEIM and DEIMv2",
        2024,
        (("D-FINE", "2410.13842"), ("DEIM", "2412.04234"), ("DEIMv2", "2509.20787")),
        "RT-DETR whose boxes are distributions over distances, refined from layer to layer. DEIM trains it with dense matching; DEIMv2 has "
        "smaller backbones and decoders.",
        (
            _COCO_SCHEDULE,
            "DEIM's mosaic scales its tiles in a way near the published one.",
            "detkit lists no weights of DEIMv2, as their license is contradictory.",
            "Weights that were trained on Objects365 may be limited to academic use by the terms of that data.",
        ),
        ("dfine",),
    ),
    Family(
        "semantic",
        "U-Net and FCN",
        2014,
        (("Fully convolutional networks", "1411.4038"), ("U-Net", "1505.04597")),
        "The class of every pixel of an image: semantic segmentation. [Masks](../masks.md) is the guide.",
        (
            "The paper's data and its deformation of images are not part of detkit.",
            "FCN has torchvision's head on maps of stride 16; torchvision's has stride 8.",
        ),
        ("unet", "fcn"),
        export="as classes of pixels",
    ),
    Family(
        "classifiers",
        "Image classifiers",
        2019,
        (("EfficientNet", "1905.11946"), ("DeiT", "2012.12877"), ("Distillation", "1503.02531")),
        "The class of a whole image, by any [backbone](../backbones.md). A trained one can start a detector. "
        "[Classification](../classification.md) is the guide.",
        ("Parameters and GFLOPs are those of the backbone that the config names; any other can be set.",),
        ("classifier",),
        export="as scores of classes",
    ),
)
"""Detectors by year, then the others."""


def paper_links(family: Family) -> str:
    """Return links to the papers of a family."""
    return ", ".join(f"[{title}]({_ARXIV}{number})" for title, number in family.papers)
