"""Why a detector finds what it finds on one image: where it looks, what each object asks of it, what suppression leaves."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.preprocess import as_image
from detkit.structures import Size, StageExplanation, Targets


@dataclass(frozen=True, eq=False)
class Explanation:
    """What happened to one image. Boxes are in the pixels of the image as the detector saw it.

    Attributes:
        image: ``(3, H, W)`` RGB in [0, 1], as the detector saw it, before normalization and padding.
        original_size: ``(height, width)`` of the image itself.
        targets: What the matches are about.
        own: Whether these are the detector's own detections, because no truth was given.
        stages: What each stage did.
    """

    image: Tensor
    original_size: Size
    targets: Targets
    own: bool
    stages: tuple[StageExplanation, ...]


def explain(predictor: Predictor, image: ImageLike, targets: Targets | None = None, *, min_score: float = 0.5) -> Explanation:
    """Run a detector on a image and keep what its stages did.

    Args:
        predictor: The detector.
        image: As a predictor takes it.
        targets: The truth, in the image's own pixels and with the detector's labels; None: the detector's own detections that
            score at least ``min_score`` stand for it.
        min_score: See ``targets``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image, a label is none of the detector's, or the detector cannot be explained.
    """
    prepared = predictor.prepare(image)
    own = targets is None
    if targets is None:
        (found,) = predictor.detect([prepared])
        found = found[found.scores >= min_score]
        targets = Targets.of(found.boxes, found.labels)
    targets = targets.checked(len(predictor.class_names), "targets")
    seen = prepared.placement.place(targets.to(predictor.device))
    told = () if prepared.proposals is None else ([prepared.proposals],)
    with predictor.running() as detector:
        batch = detector.prepare([prepared.image])
        stages = detector.explain(detector.raw(batch, *told), batch, seen)
    prepared_image = as_image(prepared.image, predictor.preprocess)
    return Explanation(prepared_image.cpu(), prepared.original_size, seen.to("cpu"), own, tuple(_on_cpu(stage) for stage in stages))


def _on_cpu(stage: StageExplanation) -> StageExplanation:
    locations, found = tuple(level.cpu() for level in stage.locations), (stage.before_nms.to("cpu"), stage.after_nms.to("cpu"))
    return StageExplanation(
        stage.name, stage.location_name, locations, stage.assignment.cpu(), stage.scores.float().cpu(), *found, stage.has_classes
    )
