"""Label readers, one per format, behind one protocol; the format is detected from the path."""

from pathlib import Path

from detkit.data.media.files import check_regular
from detkit.data.readers.coco.reader import CocoReader
from detkit.data.readers.createml import CreateMlReader
from detkit.data.readers.cvat.reader import CvatReader
from detkit.data.readers.folders import FolderReader
from detkit.data.readers.label_studio.reader import LabelStudioReader
from detkit.data.readers.labelme import LabelmeReader
from detkit.data.readers.protocol import Reader, ReadOptions, find_split, resolve_split
from detkit.data.readers.semantic.reader import LabelMapReader
from detkit.data.readers.tables.forms import HEADER, first_line
from detkit.data.readers.tables.reader import CsvReader
from detkit.data.readers.voc.reader import VocReader
from detkit.data.readers.yolo.files import DESCRIPTION_NAMES
from detkit.data.readers.yolo.reader import YoloReader
from detkit.data.shards.reader import ShardReader

BOX_READERS: tuple[Reader, ...] = (
    ShardReader(),
    YoloReader(),
    CvatReader(),
    VocReader(),
    LabelmeReader(),
    CocoReader(),
    CreateMlReader(),
    LabelStudioReader(),
    CsvReader(),
    LabelMapReader(),
)
"""Readers of formats with boxes, in the order in which they are tried: shards, and a YOLO or VOC folder, may also contain JSON
files, and an XML file is of CVAT or of VOC."""

READERS: tuple[Reader, ...] = (*BOX_READERS, FolderReader())
"""All readers. Class folders are tried last, because any folder of images could be one."""


def recognize(path: Path) -> Reader:
    """Return the reader for the format at ``path``.

    Raises:
        ValueError: If no reader recognizes it; the message lists what each one expects.
    """
    check_regular(path)
    for reader in READERS:
        if reader.recognizes(path):
            return reader
    shards, *formats = READERS
    expected = "; ".join(f"{reader.name}: {reader.expects}" for reader in (*formats, shards))
    raise ValueError(f"{path}: no labels in a known format; expected {expected}{_hint(path)}")


def _hint(path: Path) -> str:
    unnamed = next((file for name in DESCRIPTION_NAMES if (file := path / name).is_file()), None)
    if unnamed is not None:
        if not unnamed.stat().st_size:
            return f"; {unnamed} is empty"
        return f"; {unnamed} has no names, which YOLO data needs: add the key names with a list of the classes"
    if path.is_dir() and (path / "labels").is_dir():
        return f"; it has a folder of labels but no data.yaml: write {path}/data.yaml with the keys train, val and names"
    if path.is_dir() and (csv := next(path.rglob("*.csv"), None)) is not None:
        return f"; {csv} begins with {first_line(csv)!r}; expected the header {HEADER}"
    if path.is_file() and path.suffix.lower() == ".csv":
        return f"; it begins with {first_line(path)!r}; expected the header {HEADER}"
    if path.is_file():
        return f"; the file ends in {path.suffix or 'nothing'!r}"
    entries = sorted(entry.name for entry in path.iterdir())[:8]
    return f"; the folder contains {', '.join(entries) or 'nothing'}"


__all__ = ["BOX_READERS", "READERS", "ReadOptions", "Reader", "find_split", "recognize", "resolve_split"]
