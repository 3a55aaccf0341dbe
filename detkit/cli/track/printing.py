"""Lines and tables that ``detkit track`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.report import LONGEST_CELL, MOST_ROWS, ROWS_OF_MANY, count, duration, memory_line, table
from detkit.cli.track.results import ClassNames, SourceTracks, classes_of
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.inference.tracks import TrackingSetup

_HEADER = ("track", "class", "from", "to", "seconds", "frames", "score")


def score_line(setup: TrackingSetup) -> str:
    """Return the line about the scores that the tracker uses."""
    settings, scores, parts = setup.settings, setup.scores, list[str]()
    if "min_new_score" in settings:
        parts.append(f"from {settings['min_new_score']:.3g} a detection starts a track")
        if "low_score" in settings:
            parts += [f"from {settings['high_score']:.3g} it continues one", f"from {settings['low_score']:.3g} if no better one does"]
        elif setup.lowest < settings["min_new_score"]:
            parts.append(f"from {setup.lowest:.3g} it continues one")
    if scores is not None and scores.scales:
        parts.append(f"scores are scaled so that the minimum score of each class becomes {scores.high:.3g}")
    return f"tracker: {setup.name}{'; ' if parts else ''}{', '.join(parts)}"


def print_source(source: SourceTracks, class_names: ClassNames, drawings: Sequence[Path] = ()) -> None:
    """Print the tracks of a source and its counts, if it has any frames.

    Args:
        source: The source.
        class_names: Class names by label.
        drawings: The drawn videos.
    """
    if source.size is None:
        return
    summaries = [source.summaries[track] for track in sorted(source.summaries)]
    kinds = classes_of(summaries, class_names)
    arrow = f" -> {printable(', '.join(map(str, drawings)))}" if drawings else ""
    frames = count(source.read, "frame") + (f", {source.dropped:,} dropped" if source.live else "")
    speed = f"{duration(source.seconds)}, {source.read / max(source.seconds, 1e-9):.1f} frames/s"
    found = f"{count(len(summaries), 'track')}{': ' + kinds if kinds else ''}"
    print(f"\n{printable(source.name)} ({source.size[1]} x {source.size[0]}, {frames}): {found} in {speed}{arrow}")
    longest = sorted(summaries, key=lambda summary: -summary.frames)[: ROWS_OF_MANY if len(summaries) > MOST_ROWS else None]
    rows = [
        (
            summary.track,
            class_names[summary.label],
            f"{summary.first[1]:.2f}",
            f"{summary.last[1]:.2f}",
            f"{summary.seconds:.2f}",
            summary.frames,
            f"{summary.score_sum / summary.frames:.2f}",
        )
        for summary in sorted(longest, key=lambda summary: summary.track)
    ]
    if rows:
        print("\n".join("  " + line for line in table(rows, _HEADER, {*_HEADER} - {"class"}).splitlines()))
    if len(rows) < len(summaries):
        print(f"  and {len(summaries) - len(rows):,} shorter tracks")
    for line in count_lines(source):
        print(f"  {line}")
    print(end="", flush=True)


def count_lines(source: SourceTracks) -> list[str]:
    """Return a line about each counting line and zone."""
    if source.counting is None:
        return []
    content = source.counting.to_dict()
    lines = [f"{printable(row['name'], LONGEST_CELL)}: {_counted(row, 'in')}, {_counted(row, 'out')}" for row in content["lines"]]
    for row in content["zones"]:
        times = row["seconds"]
        stay = f"; {times['mean']:.1f} s on average, {times['longest']:.1f} s at most" if row["unique"] else ""
        numbers = f"{row['inside']:,} inside at the end, {_counted(row, 'entered')}, {_counted(row, 'left')}, {_counted(row, 'unique')}"
        lines.append(f"{printable(row['name'], LONGEST_CELL)}: {numbers} in all{stay}")
    return lines


def _counted(row: dict[str, Any], kind: str) -> str:
    """Return ``3 in (2 person, 1 cat)``."""
    classes = ", ".join(f"{counts[kind]:,} {printable(name, LONGEST_CELL)}" for name, counts in row["classes"].items() if counts[kind])
    return f"{row[kind]:,} {kind}" + (f" ({classes})" if classes else "")


def print_totals(sources: Sequence[SourceTracks], class_names: ClassNames, loading: float, tracking: float) -> None:
    """Print the numbers of frames and tracks, times and memory.

    Args:
        sources: The sources.
        class_names: Class names by label.
        loading: Seconds until the detector was loaded.
        tracking: Seconds since then.
    """
    frames = sum(source.read for source in sources)
    summaries = [summary for source in sources for summary in source.summaries.values()]
    kinds = classes_of(summaries, class_names)
    found = f"{count(len(summaries), 'track')}{': ' + kinds if kinds else ''}"
    print(f"\n{count(len(sources), 'source')} of {count(frames, 'frame')}, {found}")
    per_frame = f", {duration(tracking / frames)} per frame" if frames > 1 else ""
    print(f"{duration(tracking)}{per_frame}, plus {duration(loading)} to load; {memory_line()}")
