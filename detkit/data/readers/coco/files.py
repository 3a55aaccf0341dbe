"""Usual locations of COCO annotation files."""

from __future__ import annotations

from pathlib import Path

from detkit.data.readers.label_files import by_split
from detkit.data.readers.protocol import is_split_name

_NOT_BOXES = ("captions", "person_keypoints", "panoptic", "stuff", "image_info")
"""Beginnings of the names of COCO's other annotation files."""


def annotation_files(folder: Path) -> dict[str, Path]:
    """Return the annotation files of a data folder by split name; empty if there are none.

    Patterns, of which the first with any files is used: ``annotations/*.json``, ``*/_annotations.coco.json`` (Roboflow), ``*.json``,
    ``train/*.json`` and the like (ISAT), ``data/*.json`` (TACO). A split is named by the part of the file's name that is the name of
    one, as in ``livecell_coco_train.json``; every file keeps a name of its own.
    """
    for pattern in ("annotations/*.json", "*/_annotations.coco.json", "*.json", "*/*.json", "data/*.json"):
        files = [path for path in sorted(folder.glob(pattern)) if not path.name.startswith((*_NOT_BOXES, ".")) and path.is_file()]
        if pattern == "*/*.json":
            files = [path for path in files if is_split_name(path.parent.name)]
        if files:
            return by_split(files)
    return {}
