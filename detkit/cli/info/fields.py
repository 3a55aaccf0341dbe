"""Receptive fields of a detector's maps, next to the sizes of the boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from detkit.arrays import Floats
    from detkit.data import DetectionData
    from detkit.models.detector import Detector
    from detkit.preprocess import PreprocessConfig
    from detkit.structures import Size

PERCENTILES = (5, 50, 95)
_IMAGES = 2
"""Images of the data on which effective receptive fields are measured."""


@dataclass(frozen=True)
class Fields:
    """Receptive fields of the maps of a detector, those of the backbone first, and the boxes that they are compared with.

    Attributes:
        theoretical: Widths in pixels of the input; None: the whole image.
        effective: Widths in pixels of the input.
        measured_on: What the effective ones were measured on.
        sides: Sides of the boxes of the data at the input of the model; None without data.
    """

    theoretical: tuple[int | None, ...]
    effective: tuple[float, ...]
    measured_on: str
    sides: Floats | None

    @property
    def header(self) -> tuple[str, ...]:
        """Names of the columns."""
        return ("receptive field", "effective", *(() if self.sides is None else ("boxes up to it",)))

    def cells(self, index: int) -> tuple[str, ...]:
        """Return the columns of a map."""
        field, effective = self.theoretical[index], self.effective[index]
        cells = ("whole image" if field is None else str(field), f"{effective:.0f}")
        return cells if self.sides is None else (*cells, f"{100 * self.share(index):.0f} %")

    def share(self, index: int) -> float:
        """Return the fraction of the boxes that are at most as large as the effective receptive field of a map."""
        return float("nan") if self.sides is None else float((self.sides <= self.effective[index]).mean())

    def as_dict(self, index: int) -> dict[str, Any]:
        """Return the numbers of a map for JSON."""
        values = {"receptive_field": self.theoretical[index], "effective_receptive_field": round(self.effective[index], 1)}
        return values if self.sides is None else values | {"boxes_up_to_effective": round(self.share(index), 4)}

    def about(self) -> dict[str, Any]:
        """Return what the numbers of all maps have in common for JSON: null as a receptive field is the whole image."""
        percentiles = None if self.sides is None else {str(p): round(float(np.percentile(self.sides, p)), 1) for p in PERCENTILES}
        return {"effective_receptive_fields": self.measured_on, "box_side_percentiles": percentiles}

    def lines(self) -> list[str]:
        """Return the sizes of the boxes, and what the columns mean."""
        lines = []
        if self.sides is not None:
            values = ", ".join(f"{percent} % below {np.percentile(self.sides, percent):.0f}" for percent in PERCENTILES)
            lines.append(f"sides of the boxes at the input of the model, the square root of the area, in pixels: {values}")
        lines.append("receptive field: width in pixels of the input on which a cell depends at all; effective: width that holds 95.45 % of")
        lines.append(f"the gradient of a cell, four standard deviations of a Gaussian, {self.measured_on}")
        return lines


def measure_fields(detector: Detector, preprocess: PreprocessConfig, padded: Size, data: DetectionData | None, weights: str) -> Fields:
    """Measure the receptive fields of the maps of a detector.

    Args:
        detector: The detector, in evaluation mode.
        preprocess: How images are resized for it.
        padded: Size of its input.
        data: Labeled data, whose images and boxes are used; None: noise.
        weights: What is known about its weights.

    Raises:
        ValueError: If the network takes images of one size only.
    """
    from detkit.diagnostics.input_sizes import resized_sides
    from detkit.diagnostics.receptive_fields import center_crop, effective_fields, maps_of, noise, receptive_fields, side_for

    network = maps_of(detector)
    theoretical = receptive_fields(network)
    side = side_for(theoretical)
    images = [] if data is None else _images(detector, preprocess, data)
    rows = [effective_fields(network, center_crop(image, side)) for image in images or [noise(padded)]]
    source = f"{len(rows)} images of {data.name}" if data is not None and images else "an image of noise"
    sides = None if data is None or not len(data.records.boxes) else resized_sides(data, preprocess)
    return Fields(theoretical, tuple(np.mean(rows, axis=0).tolist()), f"measured with {weights} on {source}", sides)


def _images(detector: Detector, preprocess: PreprocessConfig, data: DetectionData) -> list[Tensor]:
    """Return images of the data, evenly spaced, as the network sees them."""
    from detkit.data.media.images import read_image
    from detkit.preprocess import preprocess as prepare

    indices = np.linspace(0, len(data) - 1, min(_IMAGES, len(data))).astype(int).tolist()
    images = []
    for index in indices:
        record = data.records[index]
        pixels = read_image(record.path)
        if record.window is not None:
            x1, y1, x2, y2 = record.window
            pixels = pixels[y1:y2, x1:x2]
        images.append(detector.prepare([prepare(pixels, preprocess).image]).images)
    return images
