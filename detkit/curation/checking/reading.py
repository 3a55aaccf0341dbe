"""Read the parts of a data set one by one, so that one that cannot be read does not hide the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detkit.curation.parts import WHOLE, LabeledParts, of_data, without_unions
from detkit.data import DetectionData, SourceConfig, read_source
from detkit.data.checks.findings import Finding
from detkit.data.checks.rules import UNREADABLE_PART
from detkit.data.readers import find_split, recognize, resolve_split
from detkit.data.sources import existing_path
from detkit.printable import printable_message


@dataclass(frozen=True, eq=False)
class ReadParts:
    """The parts of a data set that could be read.

    Attributes:
        name: Name of the data set.
        parts: Those parts; None if there are none.
        failures: A finding for each part that could not be read.
    """

    name: str
    parts: LabeledParts | None
    failures: tuple[Finding, ...] = ()


def read_each(source: SourceConfig, only: Sequence[str] = ()) -> ReadParts:
    """Read all parts of a data set, or those named ``only``; a part that cannot be read becomes a finding.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If the format is not recognized, or there is no such part.
    """
    path = existing_path(source)
    reader = recognize(path)
    try:
        available = reader.splits(path)
    except (ValueError, OSError) as error:
        return ReadParts(source.path, None, (Finding.of_texts(UNREADABLE_PART, "", [printable_message(error)]),))
    for name in only:
        resolve_split(path, name, available)  # an unknown part is a mistake of the user, not of the data
    names = tuple(only) or ((source.split,) if source.split else tuple(sorted(available, key=_position)))
    sources = {name: source.replace(split=name) for name in names} or {WHOLE: source}
    read: dict[str, DetectionData] = {}
    failures = []
    for name, part in sources.items():
        try:
            read[name] = read_source(part)
        except (ValueError, OSError) as error:
            failures.append(Finding.of_texts(UNREADABLE_PART, name, [printable_message(error)]))
    parts = of_data(source.path, read if only else without_unions(read)) if read else None
    return ReadParts(source.path, parts, tuple(failures))


def _position(part: str) -> int:
    """Return where a part is listed: train, val, test, others."""
    names = ("train", "val", "test")
    return next((number for number, name in enumerate(names) if find_split(name, (part,)) is not None), len(names))
