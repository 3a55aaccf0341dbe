"""The files that ``detkit track`` writes at the end: JSON, CSV, and MOTChallenge's format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from detkit.cli.outputs import Outputs, write_output
from detkit.cli.results.cells import csv_text, quoted_cell
from detkit.cli.track.results import ClassNames, SourceTracks, as_dict

_COLUMNS = ("source", "frame", "seconds", "track", "class", "label", "score", "x1", "y1", "x2", "y2")


def write_files(
    sources: Sequence[SourceTracks],
    outputs: Outputs,
    failed: Mapping[str, str],
    class_names: ClassNames,
    metadata: Mapping[str, object],
) -> None:
    """Write the requested files.

    Args:
        sources: The sources.
        outputs: The files that flags name.
        failed: Messages about sources that could not be read completely, by name.
        class_names: Class names by label.
        metadata: Further keys of the JSON file.
    """

    def write_json(path: str) -> None:
        write_output(path, json.dumps(as_dict(sources, failed, class_names, metadata), ensure_ascii=False, indent=1) + "\n")

    outputs.write("json", write_json)
    outputs.write("csv", lambda path: write_output(path, as_csv(sources, class_names)))
    outputs.write("mot", lambda path: write_mot(path, sources))


def as_csv(sources: Sequence[SourceTracks], class_names: ClassNames) -> str:
    """Return one CSV row per track and frame, with a header; corners in pixels."""
    rows: list[Sequence[object]] = [_COLUMNS]
    for source in sources:
        name = quoted_cell(source.name)
        for frame in source.frames:
            for track, row in frame.tracks:
                kind = quoted_cell(class_names[row.label] or "")
                box = [round(value, 4) for value in row.box]
                rows.append([name, frame.index, round(frame.seconds, 3), track, kind, row.label, round(row.score, 7), *box])
    return csv_text(rows)


def is_mot_folder(path: str, sources: int) -> bool:
    """Return whether ``--mot`` names a folder: of a file for each source."""
    return Path(path).is_dir() or path.endswith(("/", "\\")) or (sources > 1 and not Path(path).suffix)


def check_mot(path: str, stems: Sequence[str]) -> None:
    """Check before any work that each source has a file of its own.

    Raises:
        ValueError: If there are several sources and the path is that of a file, or two sources would have the same file.
    """
    if not is_mot_folder(path, len(stems)):
        if len(stems) > 1:
            raise ValueError(f"--mot {path}: expected a folder, as there are {len(stems)} sources and each has a file; give '{path}/'")
        return
    repeated = next((stem for stem in stems if stems.count(stem) > 1), None)
    if repeated is not None:
        raise ValueError(f"--mot {path}: two sources would be written to {repeated}.txt; track them one after the other")


def write_mot(path: str, sources: Sequence[SourceTracks]) -> None:
    """Write a file in MOTChallenge's format, in which frames count from 1; for a folder, a file for each source, ``SOURCE.txt``.

    Raises:
        OSError: If a file cannot be written.
    """
    from detkit.tracking.mot import write_tracks

    if not is_mot_folder(path, len(sources)):
        write_tracks(path, _mot_rows(sources[0]) if sources else ())
        return
    Path(path).mkdir(parents=True, exist_ok=True)
    for source in sources:
        write_tracks(Path(path) / f"{source.stem}.txt", _mot_rows(source))


def _mot_rows(source: SourceTracks) -> Iterator[tuple[int, int, tuple[float, float, float, float], float]]:
    for frame in source.frames:
        for track, row in frame.tracks:
            yield frame.index + 1, track, row.box, row.score
