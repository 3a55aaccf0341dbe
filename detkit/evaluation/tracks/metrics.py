"""The metrics of tracks: HOTA, CLEAR (MOTA) and identity (IDF1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from detkit.evaluation.tracks.clear import Clear, clear_of
from detkit.evaluation.tracks.hota import Hota, hota_of
from detkit.evaluation.tracks.identity import Identity, identity_of
from detkit.evaluation.tracks.rows import TrackRows, compared


@dataclass(frozen=True, eq=False)
class TrackNumbers:
    """All metrics of a sequence, or of several together.

    Attributes:
        hota: Detection and association, at 19 thresholds of the IoU.
        clear: Errors of detection and changes of ids, at IoU .5.
        identity: Boxes with the right id, at IoU .5.
        frames: Number of frames.
    """

    hota: Hota
    clear: Clear
    identity: Identity
    frames: int

    def as_dict(self) -> dict[str, float]:
        """Return the metrics by their usual names."""
        return {**self.hota.as_dict(), **self.clear.as_dict(), **self.identity.as_dict(), "frames": self.frames}


def evaluate_sequence(
    truth: TrackRows, results: TrackRows, classes: Collection[int] | None = None, distractors: Collection[int] = (), frames: int = 0
) -> TrackNumbers:
    """Compare the results of one sequence with its labels; see :func:`~detkit.evaluation.tracks.rows.compared` for the rules."""
    comparison = compared(truth, results, classes, distractors, frames)
    return TrackNumbers(hota_of(comparison), clear_of(comparison), identity_of(comparison), len(comparison.frames))


def combine(numbers: Sequence[TrackNumbers]) -> TrackNumbers:
    """Return the metrics of several sequences together: those of the sums of their counts, as MOTChallenge has them."""
    return TrackNumbers(
        Hota.sum([row.hota for row in numbers]),
        Clear.sum([row.clear for row in numbers]),
        Identity.sum([row.identity for row in numbers]),
        sum(row.frames for row in numbers),
    )
