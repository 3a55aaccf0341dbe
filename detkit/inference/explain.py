"""Why a detector finds what it finds on one picture: where it looks, what each object asks of it, what suppression leaves."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from detkit.inference.pictures import PictureLike
from detkit.inference.predictor import Predictor
from detkit.preprocess import as_picture
from detkit.structures import Size, Stage, Targets


@dataclass(frozen=True, eq=False)
class Explanation:
    """What happened to one picture. Boxes are in the pixels of the picture as the detector saw it.

    Attributes:
        image: ``(3, H, W)`` RGB in [0, 1], as the detector saw it, before normalisation and padding.
        original_size: ``(height, width)`` of the picture itself.
        targets: What the matches are about.
        own: Whether these are the detector's own detections, because no truth was given.
        stages: What each stage did.
    """

    image: Tensor
    original_size: Size
    targets: Targets
    own: bool
    stages: tuple[Stage, ...]


def explain(predictor: Predictor, picture: PictureLike, targets: Targets | None = None, *, min_score: float = 0.5) -> Explanation:
    """Run a detector on a picture and keep what its stages did.

    Args:
        predictor: The detector.
        picture: As a predictor takes it.
        targets: The truth, in the picture's own pixels and with the detector's labels; None: the detector's own detections that
            score at least ``min_score`` stand for it.
        min_score: See ``targets``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no picture, a label is none of the detector's, or the detector cannot be explained.
    """
    prepared = predictor.prepare(picture)
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
    image = as_picture(prepared.image, predictor.preprocess)
    return Explanation(image.cpu(), prepared.original_size, seen.to("cpu"), own, tuple(_on_cpu(stage) for stage in stages))


def _on_cpu(stage: Stage) -> Stage:
    places, found = tuple(level.cpu() for level in stage.places), (stage.before.to("cpu"), stage.after.to("cpu"))
    return Stage(stage.name, stage.place, places, stage.matches.cpu(), stage.scores.float().cpu(), *found, stage.knows_classes)
