"""AP and recall by size of the objects and by number of objects in the image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """AP and recall of a part of the objects; NaN where there are none.

    Attributes:
        name: Name of the group, such as ``"small"`` or ``"4 to 7"``.
        low: Smallest area in square pixels, or number of objects in an image.
        high: Largest area (not included, except by COCO's own groups) or number (included); infinite for the last group.
        objects: Number of objects.
        images: Number of images with such objects.
        ap: AP over IoU .50 to .95.
        ap50: AP at IoU .5.
        ar: Recall with 100 detections over IoU .50 to .95.
    """

    name: str
    low: float
    high: float
    objects: int
    images: int
    ap: float
    ap50: float
    ar: float


@dataclass(frozen=True)
class Groups:
    """Groups of objects.

    Attributes:
        sizes: COCO's small, medium and large objects.
        areas: Finer groups by area.
        crowdedness: Groups of images by their number of objects.
    """

    sizes: tuple[Group, ...]
    areas: tuple[Group, ...]
    crowdedness: tuple[Group, ...]
