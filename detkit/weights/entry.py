"""What is known about a file of published weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

NOT_STATED = "not stated"


@dataclass(frozen=True)
class WeightEntry:
    """A file of published weights, with what its publisher states; :data:`NOT_STATED` where the publisher is silent.

    Attributes:
        name: As typed.
        kind: Of a whole detector, or of a backbone alone.
        model: What the weights are for: a name of the backbone table, or the detector's preset.
        file_name: As published.
        url: Where it is published; a package's page where it comes with a Python package.
        size: In MiB; None where it is not stated.
        sha256: The whole digest, or the digits of its beginning that the publisher states.
        training_data: What they were trained on.
        parameters: How many numbers the published network has.
        figures: Published figures, in percent: ``top-1`` on ImageNet-1K's validation images, ``AP`` on COCO val2017.
        read_from: Where all this was read.
        license: Of the weights.
        package: The Python package the file comes with, or empty: then it is downloaded.
    """

    name: str
    kind: Literal["backbone", "detector"]
    model: str
    file_name: str
    url: str
    size: float | None
    sha256: str
    training_data: str
    parameters: int
    read_from: str
    figures: Mapping[str, float] = field(default_factory=dict)
    license: str = NOT_STATED
    package: str = ""

    def figures_spoken(self) -> str:
        """The figures in words: ``AP 37.0``."""
        return ", ".join(f"{what} {value:.1f}" for what, value in self.figures.items()) or NOT_STATED

    def size_spoken(self) -> str:
        """The size in words, in MiB: ``159.7``."""
        return NOT_STATED if self.size is None else f"{self.size:.1f}"
