"""Merge data sets: classes and parts by name, images kept apart."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from detkit.curation.parts import LabeledParts, Part
from detkit.data import ClassMapping, DetectionData, Records
from detkit.data.media.files import read_regular
from detkit.data.readers.protocol import find_split
from detkit.data.shards.plan import file_lengths
from detkit.data.storage.cache import digest_of

_EXAMPLES = 3


@dataclass(frozen=True)
class Merged:
    """Several data sets as one.

    Attributes:
        data: The data set.
        notes: Lines about what a person may want to change, such as images that are in two of them.
    """

    data: LabeledParts
    notes: tuple[str, ...] = ()


def merge_parts(sources: Sequence[LabeledParts]) -> Merged:
    """Merge data sets; nothing is written.

    Classes are joined by name, in the order in which they first occur, and so are parts; ``valid`` and ``val`` are one part. All images
    stay: equal file names get different ones when the data set is written, and equal ids are numbered.

    Raises:
        ValueError: If there are fewer than two data sets, or one is given twice.
    """
    if len(sources) < 2:
        raise ValueError(f"merge: expected two data sets or more, got {len(sources)}; give another one")
    paths = [os.path.realpath(source.name) for source in sources]
    if twice := next((source.name for source, path in zip(sources, paths, strict=True) if paths.count(path) > 1), None):
        raise ValueError(f"merge: {twice} is given twice; give every data set once")
    names, ids = _classes(sources)
    groups: dict[str, list[Part]] = {}
    notes = list(_class_notes(names))
    for source in sources:
        for name, part in source:
            known = find_split(name, tuple(groups)) or name
            if known != name:
                notes.append(f"part {name} of {source.name} is added to {known}")
            groups.setdefault(known, []).append(_with_classes(part, names, ids))
    parts = {name: join_parts(group) for name, group in groups.items()}
    title = " + ".join(source.name for source in sources)
    return Merged(LabeledParts(title, parts), (*notes, *_same_image_notes(sources)))


def _classes(sources: Sequence[LabeledParts]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return all classes in the order of their first occurrence, with their ids; numbers from 1 if two classes have the same id."""
    ids: dict[str, int] = {}
    for source in sources:
        for name, category_id in zip(source.class_names, source.category_ids, strict=True):
            ids.setdefault(name, category_id)
    is_unique = len(set(ids.values())) == len(ids)
    return tuple(ids), tuple(ids.values()) if is_unique else tuple(range(1, len(ids) + 1))


def _with_classes(part: Part, names: tuple[str, ...], ids: tuple[int, ...]) -> Part:
    data = part.data
    if data.class_names != names:
        data = ClassMapping.by_name(data.class_names, names).apply(data)
    return replace(part, data=replace(data, category_ids=ids))


def join_parts(parts: Sequence[Part]) -> Part:
    """Return the images of several parts with the same classes as one part, in their order; names may occur more than once."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0].data
    data = DetectionData(
        " + ".join(part.data.name for part in parts),
        first.class_names,
        first.category_ids,
        Records.cat([part.data.records for part in parts]),
        is_classification=all(part.data.is_classification for part in parts),
    )
    return Part(data, tuple(name for part in parts for name in part.names))


def _class_notes(names: Sequence[str]) -> Iterator[str]:
    """Yield a line for each group of classes whose names differ only by case or spaces."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault("".join(name.split()).casefold(), []).append(name)
    for group in groups.values():
        if len(group) > 1:
            listed = " and ".join(map(repr, group))
            yield f"classes {listed} differ only by case or spaces; they stay apart: join them with detkit data rename if they are one"


def _same_image_notes(sources: Sequence[LabeledParts]) -> Iterator[str]:
    pairs = list(_same_images(sources))
    if pairs:
        examples = "; ".join(f"{first} and {second}" for first, second in pairs[:_EXAMPLES])
        more = f"; and {len(pairs) - _EXAMPLES:,} more" if len(pairs) > _EXAMPLES else ""
        yield f"images with the same bytes as one of another data set: {len(pairs):,}, both kept: {examples}{more}"


def _same_images(sources: Sequence[LabeledParts]) -> Iterator[tuple[str, str]]:
    """Yield each image that equals one of an earlier data set byte by byte, after that image; only files of equal size are read."""
    paths = [tuple(dict.fromkeys(path for _, part in source for path in part.data.records.paths)) for source in sources]
    sizes = [dict(zip(group, file_lengths(group), strict=True)) for group in paths]
    known: dict[str, str] = {}
    for number, group in enumerate(sizes):
        others = {size for other in (*sizes[:number], *sizes[number + 1 :]) for size in other.values()}
        digests = _digests(path for path, size in group.items() if size in others)
        yield from ((known[digest], path) for path, digest in digests.items() if digest in known)
        for path, digest in digests.items():
            known.setdefault(digest, path)


def _digests(paths: Iterator[str]) -> Mapping[str, str]:
    return {path: digest_of(read_regular(path)) for path in paths}
