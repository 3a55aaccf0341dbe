"""``detkit evaluate --metric hota``: evaluate tracks in MOTChallenge's format, of one sequence or of several."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.about import __version__
from detkit.cli.evaluate.options import TRACKS_METRIC, EvaluateOptions
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import table

if TYPE_CHECKING:
    from detkit.evaluation.tracks import TrackNumbers, TrackRows

_SHOWN = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "recall", "precision", "IDSW", "Frag")
_MEANINGS = {
    "HOTA": "geometric mean of detection and association, mean over IoU .05 to .95",
    "DetA": "detection: share of boxes that are found",
    "AssA": "association: how far tracks that are matched are the same",
    "MOTA": "1 - (missed + false + changes of ids) / labels, at IoU .5",
    "IDF1": "F1 of boxes with the id of their labeled track, at IoU .5",
    "IDSW": "changes of the id of a labeled track",
    "Frag": "interruptions of labeled tracks",
}


def evaluate_tracks(options: EvaluateOptions, outputs: Outputs) -> int:
    """Evaluate, print and write the numbers as JSON."""
    from detkit.evaluation.tracks import MOT_DISTRACTORS, MOT_PEDESTRIAN, combine, evaluate_sequence, read_results, read_truth

    numbers: dict[str, TrackNumbers] = {}
    not_evaluated: Counter[str] = Counter()
    for name, (truth_file, results_file) in sequence_files(Path(str(options.annotations)), Path(str(options.results))).items():
        truth = read_truth(truth_file)
        not_evaluated.update(_not_evaluated(truth))
        numbers[name] = evaluate_sequence(truth, read_results(results_file), (MOT_PEDESTRIAN,), MOT_DISTRACTORS)
    together = combine(list(numbers.values()))
    _print(numbers, together, not_evaluated)
    content = {
        "detkit": __version__,
        "metric": TRACKS_METRIC,
        "annotations": options.annotations,
        "results": options.results,
        "tracks": together.as_dict(),
        "sequences": {name: row.as_dict() for name, row in numbers.items()},
        "not_evaluated": dict(not_evaluated),
    }
    outputs.write("json", lambda path: write_output(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n"))
    return 0


def sequence_files(annotations: Path, results: Path) -> dict[str, tuple[Path, Path]]:
    """Return the files of labels and results of each sequence.

    Both are files of one sequence, or folders: ``SEQUENCE/gt/gt.txt`` and ``SEQUENCE.txt``, as MOTChallenge has them.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If one is a file and the other a folder, or the folder has no sequences.
    """
    for path in (annotations, results):
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder; check the path")
    if annotations.is_dir() != results.is_dir():
        raise ValueError(f"--annotations {annotations} and --results {results}: expected two files, or two folders of sequences")
    if annotations.is_file():
        return {annotations.stem: (annotations, results)}
    files = {
        path.parent.parent.name: (path, results / f"{path.parent.parent.name}.txt") for path in sorted(annotations.glob("*/gt/gt.txt"))
    }
    if not files:
        raise ValueError(f"{annotations}: no sequences; expected SEQUENCE/gt/gt.txt, as MOTChallenge has them")
    missing = next((found for _, found in files.values() if not found.is_file()), None)
    if missing is not None:
        raise FileNotFoundError(f"{missing}: the results of a sequence are missing; expected one file for each of {', '.join(files)}")
    return files


def _not_evaluated(truth: TrackRows) -> dict[str, int]:
    from detkit.evaluation.tracks import MOT_PEDESTRIAN

    other = truth.classes != MOT_PEDESTRIAN
    counts = {"labels of other classes": int(other.sum()), "labels with score 0": int(((truth.scores == 0) & ~other).sum())}
    return {reason: count for reason, count in counts.items() if count}


def _print(numbers: dict[str, TrackNumbers], together: TrackNumbers, not_evaluated: Counter[str]) -> None:
    rows = [*numbers.items(), *([("all", together)] if len(numbers) > 1 else [])]
    cells = [(name, *(_shown(row.as_dict()[metric]) for metric in _SHOWN)) for name, row in rows]
    print(table(cells, ("sequence", *_SHOWN), set(_SHOWN)))
    print()
    for metric, meaning in _MEANINGS.items():
        print(f"{metric:<5} {meaning}")
    counts = together.as_dict()
    labels, found = int(counts["TP"] + counts["FN"]), int(counts["TP"] + counts["FP"])
    print(f"\n{together.frames:,} frames, {labels:,} labels in {int(counts['tracks']):,} tracks; {found:,} results")
    for reason, count in not_evaluated.items():
        print(f"not evaluated: {count:,} {reason}")


def _shown(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
