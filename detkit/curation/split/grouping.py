"""Groups of images that stay in one part: by folder, by a pattern in their names, by a field of a COCO file, and as copies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic_core import from_json

from detkit.arrays import Integers
from detkit.curation.duplicates.groups import Sets
from detkit.curation.parts import Part
from detkit.data.storage.files import local_copy
from detkit.json_lists import NotStreamableError, read_lists
from detkit.json_text import parse_json
from detkit.registry import did_you_mean

FOLDER, REGEX = "folder", "regex:"
Key = str | None
"""The group of an image; None if it is a group of its own."""


def group_keys(parts: Sequence[Part], rule: str) -> list[Key]:
    """Return the group of each image of several parts.

    Args:
        parts: The parts.
        rule: ``folder``, the folder of the image in the image folder of its part; ``regex:PATTERN``, the first group of the pattern, or all
            of it, where it matches in the image's path in the image folder; or a field of the images in a COCO file, such as ``video_id``.

    Raises:
        ValueError: If the pattern is not valid or matches nothing, or the data has no such field.
    """
    names = [name for part in parts for name in part.names]
    if rule == FOLDER:
        return _folders(names)
    if rule.startswith(REGEX):
        return _matches(names, rule.removeprefix(REGEX))
    return [key for part in parts for key in _field(part, rule)]


def join_groups(keys: Sequence[Key], copies: Integers | None) -> Integers:
    """Return the group of each image as the smallest index in it, shape ``(M,)``; images of one key or one set of copies are together."""
    sets = Sets(len(keys))
    first: dict[Any, int] = {}
    for index, key in enumerate(keys):
        if key is not None:
            sets.join(first.setdefault(key, index), index)
    for index, copy in enumerate(() if copies is None else copies.tolist()):
        sets.join(first.setdefault(copy, index), index)  # keys are texts, copies are numbers
    return sets.all()


def _folders(names: Sequence[str]) -> list[Key]:
    keys: list[Key] = [str(PurePosixPath(name).parent) for name in names]
    if len(set(keys)) < 2:
        raise ValueError("--group-by folder: all images are in one folder; expected several, or group by 'regex:...' or by a field")
    return keys


def _matches(names: Sequence[str], pattern: str) -> list[Key]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"--group-by regex: {pattern!r} is not a regular expression: {error}") from None
    found = [compiled.search(name) for name in names]
    keys = [None if match is None else match.group(1 if compiled.groups else 0) for match in found]
    if not any(key is not None for key in keys):
        raise ValueError(f"--group-by regex: {pattern!r} matches no image; expected a pattern in names such as {names[0]!r}")
    return keys


def _field(part: Part, name: str) -> list[Key]:
    file = part.data.coco_file
    if file is None:
        raise ValueError(
            f"--group-by {name}: {part.data.name} is not read from a COCO file, whose images have fields; use 'folder' or 'regex:...'"
        )
    images = {image.get("id"): image for image in _coco_images(local_copy(file.path)) if isinstance(image, dict)}
    rows = [images.get(image_id, {}) for image_id in part.data.records.image_ids]
    if not any(name in row for row in rows):
        known = sorted({key for row in rows for key in row})
        raise ValueError(f"--group-by {name}: no image in {file.path} has this field: {did_you_mean(name, known)}")
    return [None if row.get(name) is None else f"{row[name]}" for row in rows]


def _coco_images(path: Path) -> list[Any]:
    texts: list[bytes] = []
    try:
        read_lists(path, lambda key, text, _: texts.append(text) if key == "images" else None)
        return [image for text in texts for image in from_json(b"[" + text + b"]")]
    except NotStreamableError:
        images = parse_json(path.read_bytes(), str(path)).get("images", [])
        return list(images)
