"""Update the table of label formats in docs/data.md.

python docs/make_data_table.py
"""

from __future__ import annotations

from pathlib import Path

from make_results import filled

from detkit.checkpoint import write_text
from detkit.data.writers import WRITERS, writer

PAGE = Path(__file__).resolve().parent / "data.md"
NAME = "formats"
FILES = {
    "coco": "`annotations/instances_train.json`",
    "voc": "`Annotations/*.xml`, `ImageSets/Main/train.txt`",
    "yolo": "`data.yaml`, `labels/train/*.txt`",
    "labelme": "`train/*.json` next to the images",
    "cvat": "`train/annotations.xml`, `train/images/*`",
    "createml": "`train/_annotations.createml.json`, next to the images",
    "label_studio": "`train.json`, `images/train/*`",
    "csv": "`train/_annotations.csv`, next to the images",
}
"""Files of each format."""
HEADINGS = ("`--format`", "files", "crowds", "difficult", "polygons", "masks", "ids of images", "ids of classes")
OUTLINES = {"none": "no", "instead": "instead of boxes", "in_addition": "yes"}


def rows() -> list[list[str]]:
    """Return what the labels of each format hold."""
    result = []
    for kind in WRITERS:
        holds = writer(kind).holds
        outlines = [OUTLINES[holds.polygons], OUTLINES[holds.masks]]
        result.append(
            [
                f"`{kind}`",
                FILES[kind],
                _yes(holds.crowds),
                _yes(holds.difficult),
                *outlines,
                _yes(holds.image_ids),
                _yes(holds.category_ids),
            ]
        )
    return result


def page(text: str) -> str:
    """Return the guide with its table replaced."""
    return filled(text, NAME, rows(), HEADINGS)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    write_text(PAGE, page(PAGE.read_text("utf-8")))
