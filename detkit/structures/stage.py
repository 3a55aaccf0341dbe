"""What one stage of a detector did with one image, for whoever wants to see why it found what it found."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from detkit.structures.detections import Detections


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage of a detector on one image; boxes and points are in the pixels of the image that the model saw.

    Attributes:
        name: Of the stage, in one word.
        place: What one of its places is called: anchor, point, proposal, query.
        places: For each level ``(N_l, 4)`` boxes or ``(N_l, 2)`` points at which it predicts; N counts those of all levels.
        matches: ``(N,)`` the row of the target that each place would answer for in training, or ``BELOW`` (background) or
            ``BETWEEN`` (nothing) of ``ops.match``.
        scores: ``(N,)`` the best score of each place.
        before: What is found before suppression: all candidates, best first.
        after: What is left of them.
        knows_classes: Whether labels are classes; else there is one label, 0.
    """

    name: str
    place: str
    places: tuple[Tensor, ...]
    matches: Tensor
    scores: Tensor
    before: Detections
    after: Detections
    knows_classes: bool = True
