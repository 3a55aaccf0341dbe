"""Objects that are blurred in everything that is written, and the drawing of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.results import ClassNames
from detkit.registry import did_you_mean

if TYPE_CHECKING:
    from detkit.structures import DetectionMethods


class Blurring:
    """Blurs the objects of some classes, and draws the boxes of the others.

    Args:
        class_names: Class names by label.
        classes: Names of the classes to blur.
        reported: Classes that the detector reports; None: do not check the names.

    Raises:
        ValueError: If a class is not reported, so that its objects would stay visible.
    """

    def __init__(self, class_names: ClassNames, classes: Sequence[str] = (), reported: Sequence[str] | None = None) -> None:
        self._class_names = class_names
        for name in classes:
            if reported is not None and name not in reported:
                raise ValueError(f"--blur: class {name!r} is not {_not_reported(name, class_names, reported)}")
        self._labels = [label for label, name in enumerate(class_names) if name in set(classes)]

    @property
    def is_needed(self) -> bool:
        """Whether there are classes to blur."""
        return bool(self._labels)

    def blur(self, image: Any, detections: DetectionMethods) -> Any:
        """Return a copy of an image, ``(H, W, 3)`` uint8 RGB, with the objects blurred; the image itself if there are none."""
        if not self._labels:
            return image
        import numpy as np

        from detkit.drawing.blur import blur_boxes

        rows = detections.numpy()
        rows = rows[np.isin(rows.labels, self._labels)]
        return blur_boxes(image, rows.boxes, masks=rows.masks)

    def draw(self, image: Any, detections: DetectionMethods) -> Any:
        """Return a copy of a blurred image with the boxes of the other classes."""
        from detkit.drawing import draw_detections, readable_scale

        shown: Any = detections
        if self._labels:
            import numpy as np

            rows = detections.numpy()
            shown = rows[~np.isin(rows.labels, self._labels)]
        scale = readable_scale((image.shape[0], image.shape[1]))
        return draw_detections(image, shown, self._class_names, scale=scale)


def _not_reported(name: str, class_names: ClassNames, reported: Sequence[str]) -> str:
    if name in class_names:
        return "reported, so its objects would stay visible; add it to --classes"
    return f"among the {len(reported)} classes of the model: {did_you_mean(name, list(reported))}"
