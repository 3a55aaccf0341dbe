"""Streaming of a JSON object whose values are long lists, such as COCO's, in parts of a few megabytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

BLOCK = 2 << 20
"""Bytes that are read at once."""

_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_OPENING = tuple(b"[{")
_TABLE = bytes(character in b'"[]{}' for character in range(256))
"""1 for every character that matters for the structure."""
_KEY = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:\s*$')

Consume = Callable[[str, bytes, int], None]
"""Takes the key of a list, the text of some of its items, and the position of the text in the file."""


class NotStreamableError(ValueError):
    """The file is not an object with lists, or not valid JSON; it must be parsed as a whole."""


@dataclass
class _Scan:
    """The position between two blocks: text that is not consumed yet, which begins outside of strings."""

    consume: Consume
    text: bytes = b""
    position: int = 0
    depth: int = 0
    key: str | None = None
    begun: bool = False
    keys: set[str] = field(default_factory=set)
    skeleton: list[bytes] = field(default_factory=list)


def read_lists(path: Path, consume: Consume) -> dict[str, Any]:
    """Pass the items of every list in a JSON object to ``consume``, and return the object with these lists empty.

    The text of a part is what is between the brackets: items with commas, without a comma at either end.

    Raises:
        NotStreamableError: If the file is not a JSON object, or has a key more than once.
    """
    scan = _Scan(consume)
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            scan.position = len(codecs.BOM_UTF8)
        else:
            file.seek(0)
        _scan_blocks(file, scan)
    try:
        content = from_json(b"".join([*scan.skeleton, scan.text]))
    except ValueError as error:
        raise NotStreamableError(str(error)) from None
    if not isinstance(content, dict):
        raise NotStreamableError(f"expected an object, got {type(content).__name__}")
    return content


def parsed_items(text: bytes) -> list[Any]:
    """Parse items with commas between them.

    Raises:
        NotStreamableError: If they are not valid JSON.
    """
    try:
        items: list[Any] = from_json(b"[" + text + b"]")
    except ValueError as error:
        raise NotStreamableError(str(error)) from None
    return items


def _scan_blocks(file: BinaryIO, scan: _Scan) -> None:
    size = BLOCK
    while block := file.read(size):
        before = len(scan.text)
        scan.text += block
        _scan_text(scan)
        # An item that is longer than the blocks would be scanned again and again, so the blocks grow with it.
        size = max(BLOCK, len(scan.text)) if len(scan.text) > before else BLOCK


def _scan_text(scan: _Scan) -> None:
    """Consume the complete items in the text, and keep the rest."""
    positions, steps = _brackets(scan.text)
    depths = scan.depth + np.cumsum(steps)
    start = 0
    for event in np.flatnonzero((depths <= 1) | ((depths == 2) & (steps > 0))).tolist():
        place, depth, opens = int(positions[event]), int(depths[event]), steps[event] > 0
        if opens and depth == 2:
            scan.skeleton.append(scan.text[start : place + 1])
            scan.key, scan.begun, start = _list_key(scan, start, place), False, place + 1
        elif not opens and depth == 1:
            _consume(scan, start, place)
            scan.key, start = None, place
    inside = depths[-1] >= 2 if len(depths) else scan.depth >= 2
    if inside:
        ends = np.flatnonzero((depths == 2) & (steps < 0))
        if len(ends) and (end := int(positions[ends[-1]]) + 1) > start:
            _consume(scan, start, end)
            start = end
    elif start or len(depths):
        end = start if not len(positions) else max(start, int(positions[-1]) + 1)
        scan.skeleton.append(scan.text[start:end])
        start = end
    scan.depth = 2 if inside else int(depths[-1]) if len(depths) else scan.depth
    scan.text, scan.position = scan.text[start:], scan.position + start


def _list_key(scan: _Scan, start: int, place: int) -> str | None:
    """Return the key of the list that opens at ``place``; None for an object, which is skipped."""
    match = _KEY.search(scan.text[start:place])
    if match is None:
        raise NotStreamableError("a list without a key")
    key = match.group(1).decode("utf-8", "replace")
    if key in scan.keys:
        raise NotStreamableError(f"the key {key!r} occurs more than once")
    scan.keys.add(key)
    return key if scan.text[place : place + 1] == b"[" else None


def _consume(scan: _Scan, start: int, end: int) -> None:
    if scan.key is None:
        scan.skeleton.append(scan.text[start:end])
        return
    text = scan.text[start:end]
    stripped = text.lstrip()
    if not stripped:
        return
    if scan.begun:
        items = stripped[1:].lstrip()
        if not stripped.startswith(b",") or not items:
            raise NotStreamableError(f"{scan.key}: a comma that is missing or has nothing after it")
        stripped = items
    scan.begun = True
    scan.consume(scan.key, stripped, scan.position + start + len(text) - len(stripped))


def _brackets(text: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the positions of all brackets and braces outside of strings, and 1 for each that opens, -1 for each that closes."""
    positions = np.flatnonzero(np.frombuffer(text.translate(_TABLE), np.bool_))
    characters = np.frombuffer(text, np.uint8)[positions]
    brackets = characters != _QUOTE
    quotes = ~brackets
    quotes[_escaped(text, positions, quotes)] = False
    outside = brackets & ~np.logical_xor.accumulate(quotes) if len(quotes) else brackets
    opens = (characters[outside] == _OPENING[0]) | (characters[outside] == _OPENING[1])
    return positions[outside], np.where(opens, 1, -1)


def _escaped(text: bytes, positions: npt.NDArray[np.int64], quotes: npt.NDArray[np.bool_]) -> list[int]:
    """Return which of the positions are quotes with an odd number of backslashes before them."""
    before = np.frombuffer(text, np.uint8)[positions - 1]
    return [index for index in np.flatnonzero(quotes & (before == _BACKSLASH)).tolist() if _backslashes(text, positions[index]) % 2]


def _backslashes(text: bytes, position: int) -> int:
    """Return the number of backslashes directly before a position."""
    start = position
    while start and text[start - 1] == _BACKSLASH:
        start -= 1
    return position - start
