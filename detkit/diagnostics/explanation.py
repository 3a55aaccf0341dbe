"""Explanation of the detections on one image: locations, their assignment to objects, and detections before and after NMS."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from detkit.inference.image_like import ImageLike
from detkit.inference.min_scores import MinScore, MinScores
from detkit.inference.predictor import Predictor
from detkit.ops.match import extend_regions
from detkit.preprocess import Placement, as_image
from detkit.structures import Size, StageExplanation, Targets

DEFAULT_MIN_SCORE = 0.5
"""Lowest score of detections that stand for ground truth, where neither the caller nor the detector has one."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Intermediate results of one image; boxes are in the pixels of the resized image.

    Attributes:
        image: ``(3, H, W)`` RGB in [0, 1], as the detector saw it, before normalization and padding.
        placement: Where the original image is in the resized one.
        targets: The objects that the assignments refer to.
        from_detections: Whether the targets are the detector's own detections, because no ground truth was given.
        stages: Results of each stage.
    """

    image: Tensor
    placement: Placement
    targets: Targets
    from_detections: bool
    stages: tuple[StageExplanation, ...]

    @property
    def original_size(self) -> Size:
        """``(height, width)`` of the original image."""
        return self.placement.original


def explain(predictor: Predictor, image: ImageLike, targets: Targets | None = None, *, min_score: MinScore | None = None) -> Explanation:
    """Run a detector on an image and keep the results of its stages.

    Args:
        predictor: The detector.
        image: Any image that a predictor accepts.
        targets: Ground truth in the image's own pixels, with the labels of the detector. None: the detections with at least
            ``min_score`` are used instead.
        min_score: See ``targets``. None: the operating points of the detector if it has any, otherwise .5.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not an image, a label is unknown, or the detector cannot be explained.
    """
    prepared = predictor.prepare(image)
    from_detections = targets is None
    if targets is None:
        (detections,) = predictor.without_operating_points().detect([prepared])
        lowest = (predictor.min_scores.points or DEFAULT_MIN_SCORE) if min_score is None else min_score
        detections = detections[torch.from_numpy(MinScores(lowest, predictor.class_names).keep(detections.numpy()))]
        targets = Targets.of(detections.boxes, detections.labels)
    targets = targets.checked(len(predictor.class_names), "targets")
    resized_targets = prepared.placement.apply(targets.to(predictor.device))
    proposals = () if prepared.proposals is None else ([prepared.proposals],)
    with predictor.running() as detector:
        batch = detector.prepare([prepared.image])
        (learned,) = extend_regions([resized_targets], batch.sizes)
        stages = detector.explain(detector.raw(batch, *proposals), batch, learned)
    resized = as_image(prepared.image, predictor.preprocess)
    results = tuple(_on_cpu(stage) for stage in stages)
    return Explanation(resized.cpu(), prepared.placement, resized_targets.to("cpu"), from_detections, results)


def _on_cpu(stage: StageExplanation) -> StageExplanation:
    return replace(
        stage,
        locations=tuple(level.cpu() for level in stage.locations),
        assignment=stage.assignment.cpu(),
        scores=stage.scores.float().cpu(),
        before_rows=stage.before_rows.cpu(),
        after_rows=stage.after_rows.cpu(),
        before_nms=stage.before_nms.to("cpu"),
        after_nms=stage.after_nms.to("cpu"),
        refinement={name: boxes.float().cpu() for name, boxes in stage.refinement.items()},
    )
