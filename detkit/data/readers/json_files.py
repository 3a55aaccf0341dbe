"""JSON label files: parsing with an error that names the file, and the formats that begin with a list."""

from __future__ import annotations

import codecs
import math
from pathlib import Path
from typing import Any, Literal

from pydantic_core import from_json

from detkit.data.media.files import read_regular

_HEAD = 65_536
"""Bytes at the start of a file from which its format is detected."""

ListFormat = Literal["createml", "label_studio"]


def parse_json(file: Path, expected: str) -> Any:
    """Return the content of a JSON file.

    Args:
        file: The file, in UTF-8, maybe with a byte order mark.
        expected: The name of the format, for the message.

    Raises:
        ValueError: If it is empty, or not valid JSON.
    """
    data = read_regular(file).removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        raise ValueError(f"{file}: the file is empty; expected {expected}")
    try:
        return from_json(data)
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error}); {json_advice(data)}") from None


_OTHER_FILES: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF16_LE, "it is UTF-16, save it as UTF-8"),
    (codecs.BOM_UTF16_BE, "it is UTF-16, save it as UTF-8"),
    (b"\x1f\x8b", "it is compressed by gzip: unpack it with gunzip"),
    (b"PK\x03\x04", "it is a zip archive: unpack it"),
    (b"PAR1", "it is a Parquet file"),
    (b"version https://git-lfs", "it is a Git LFS pointer: get the file itself with `git lfs pull`"),
    (b"<", "it is a web page or XML: download or export the file again"),
)
"""Beginnings of files that are not JSON, and what they are."""


def json_advice(data: bytes) -> str:
    """Return what to do about a file that is not valid JSON, from its bytes."""
    start = data[:100].lstrip()
    known = next((advice for signature, advice in _OTHER_FILES if start.startswith(signature)), None)
    if known is not None:
        return known
    if data.rstrip(b"\0") != data:
        return "zero bytes follow its content, as after a failed copy: copy it again"
    first, _, rest = start.partition(b"\n")
    if first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{"):
        return "each line is a JSON document of its own: write one list or object"
    return "the file may be truncated, download or export it again"


def list_format(file: Path) -> ListFormat | None:
    """Return the format of a JSON file that is a list of images or tasks, from its first bytes; None if it is another file."""
    if file.suffix.lower() != ".json" or not file.is_file():
        return None
    with file.open("rb") as opened:
        head = opened.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip()
    if not head.startswith(b"["):
        return None
    try:
        content = from_json(head, allow_partial=True)
    except ValueError:
        return None
    return _format_of(next((item for item in content if isinstance(item, dict)), {}))


def _format_of(item: dict[str, Any]) -> ListFormat | None:
    """Return the format of a list by its first item, whose end may be missing."""
    objects = item.get("annotations", item.get("annotation"))
    first = objects[0] if isinstance(objects, list) and objects else None
    if isinstance(item.get("data"), dict) and item.keys() & {"annotations", "completions", "predictions", "id"}:
        return "label_studio"
    if isinstance(first, dict) and "result" in first and "coordinates" not in first:
        return "label_studio"
    if any(_is_region(value[0]) for value in item.values() if isinstance(value, list) and value):
        return "label_studio"
    if isinstance(objects, list) and (item.keys() & {"image", "imagefilename"} or (isinstance(first, dict) and "coordinates" in first)):
        return "createml"
    return None


def _is_region(value: Any) -> bool:
    return isinstance(value, dict) and "original_width" in value


def number(value: Any) -> float:
    """Return a number of a JSON file as a float, which is infinite beyond all floats.

    Raises:
        ValueError: If it is no number; the message states what was expected and what was given.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, got {str(value)[:80]!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf
