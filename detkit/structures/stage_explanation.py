"""What one stage of a detector did with one image, for whoever wants to see why it found what it found."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from detkit.structures.detections import Detections


@dataclass(frozen=True, eq=False)
class StageExplanation:
    """One stage of a detector on one image; boxes and points are in the pixels of the image that the model saw.

    Attributes:
        name: Of the stage, in one word.
        location_name: What one of its places is called: anchor, point, proposal, query.
        locations: For each level ``(N_l, 4)`` boxes or ``(N_l, 2)`` points at which it predicts; N counts those of all levels.
        assignment: ``(N,)`` the row of the target that each place would answer for in training, or ``BELOW`` (background) or
            ``BETWEEN`` (nothing) of ``ops.match``.
        scores: ``(N,)`` the best score of each place.
        before_nms: What is found before suppression: all candidates, best first.
        after_nms: What is left of them.
        has_classes: Whether labels are classes; else there is one label, 0.
    """

    name: str
    location_name: str
    locations: tuple[Tensor, ...]
    assignment: Tensor
    scores: Tensor
    before_nms: Detections
    after_nms: Detections
    has_classes: bool = True
