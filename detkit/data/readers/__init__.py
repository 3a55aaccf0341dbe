"""Readers of labels, one a format, behind one protocol; the format is recognized from the path."""

from pathlib import Path

from detkit.data.readers.coco import CocoReader
from detkit.data.readers.folders import FolderReader
from detkit.data.readers.protocol import Reader, chosen_split, find_split
from detkit.data.readers.voc import VocReader
from detkit.data.readers.yolo import YoloReader
from detkit.data.readers.yolo_files import USUAL_NAMES

BOX_READERS: tuple[Reader, ...] = (YoloReader(), VocReader(), CocoReader())
"""Of objects and where they are. Asked in this order: a YOLO or VOC folder may hold some JSON besides."""

READERS: tuple[Reader, ...] = (*BOX_READERS, FolderReader())
"""All of them; folders of images say least of themselves, so they are taken for labels only where there are no others."""


def recognize(path: Path) -> Reader:
    """The reader of the format that lies at ``path``.

    Raises:
        ValueError: there is none; the message says what was looked for.
    """
    for reader in READERS:
        if reader.recognizes(path):
            return reader
    looked = "; ".join(f"{reader.name}: {reader.expects}" for reader in READERS)
    raise ValueError(f"{path}: no labels in a known format; looked for {looked}{_hint(path)}")


def _hint(path: Path) -> str:
    unnamed = next((file for name in USUAL_NAMES if (file := path / name).is_file()), None)
    if unnamed is not None:
        return f"; {unnamed} has no names, which YOLO data need: add the key names with a list of the classes"
    if path.is_dir() and (path / "labels").is_dir():
        return f"; it has a folder of labels but no data.yaml: write {path}/data.yaml with the keys train, val and names"
    if path.is_file():
        return f"; the file ends in {path.suffix or 'nothing'!r}"
    inside = sorted(entry.name for entry in path.iterdir())[:8]
    return f"; the folder has {', '.join(inside) or 'nothing'}"


__all__ = ["BOX_READERS", "READERS", "Reader", "chosen_split", "find_split", "recognize"]
