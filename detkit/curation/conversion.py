"""Convert a data set to another label format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detkit.curation.output import Copy, OutputOptions, Progress, Written, write_parts
from detkit.curation.parts import read_parts
from detkit.data import SourceConfig


def convert(
    source: str | Path,
    output: str | Path,
    kind: str,
    *,
    parts: Sequence[str] = (),
    images: str | Path | None = None,
    copy: Copy = "link",
    strict: bool = False,
    voc_integers: bool = False,
    polygons: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Write a data set with its labels in another format into a new folder; the source stays as it is.

    Boxes, classes, file names and subfolders are kept. What the format cannot hold is counted in ``Written.lost``.

    Args:
        source: The data set, in any format that detkit reads.
        output: A new folder.
        kind: A label format of :data:`detkit.data.writers.WRITERS`.
        parts: Its parts to convert; empty: all.
        images: Folder of its images, if it is not where the labels say.
        copy: How images get into the new folder; see :class:`~detkit.curation.output.OutputOptions`.
        strict: Refuse to write what the format cannot hold.
        voc_integers: Round the boxes of VOC labels to whole pixels.
        polygons: Write outlines instead of boxes where the format has only one of them for an object.
        progress: Called with the number of images written so far, and the number of all.

    Raises:
        FileExistsError: If the output exists and is not empty.
        FileNotFoundError: If the source does not exist.
        ValueError: If the source cannot be read, or the format cannot hold it.
        WriteError: If the disk is full, or the output cannot be written.
    """
    data = read_parts(SourceConfig(path=str(source), images=None if images is None else str(images)), parts)
    options = OutputOptions(kind=kind, copy=copy, strict=strict, voc_integers=voc_integers, polygons=polygons)
    return write_parts(data, output, options, progress)
