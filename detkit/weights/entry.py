"""The catalog entry of a file of published weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

NOT_STATED = "not stated"


@dataclass(frozen=True)
class WeightEntry:
    """A file of published weights and the information its publisher states; :data:`NOT_STATED` where the publisher states none.

    Attributes:
        name: The name by which users refer to it.
        kind: Whether it is a whole detector or only a backbone.
        model: The model it is for: a name in the registry of backbones, or the detector's preset.
        file_name: As published.
        url: Address of the file, or of the page of the Python package that ships it.
        size: In MiB; None where it is not stated.
        sha256: The whole digest, or the leading digits that the publisher states.
        training_data: The training data.
        parameters: Number of parameters of the published network.
        metrics: Published results, in percent: ``top-1`` on the validation images of ImageNet-1K, ``AP`` (of boxes) and
            ``mask AP`` on COCO val2017.
        source: Where this information is published.
        license: Of the weights.
        package: The Python package that ships the file; empty if it is downloaded.
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
    source: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    license: str = NOT_STATED
    package: str = ""

    def format_metrics(self) -> str:
        """Return the metrics as text: ``AP 37.0``."""
        return ", ".join(f"{name} {value:.1f}" for name, value in self.metrics.items()) or NOT_STATED

    def format_size(self) -> str:
        """Return the size in MiB as text: ``159.7``."""
        return NOT_STATED if self.size is None else f"{self.size:.1f}"
