"""The tiles that a detector was trained on, and so is used on, as its checkpoint records them; read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from detkit.checkpoint.fields import Field, check_fields, is_count, is_mapping, is_number
from detkit.json_text import parse_json

_FIELDS = {
    "size": Field("the side of a tile in pixels, 32 or more", lambda value: is_count(value, 1 << 16) and value >= 32),
    "overlap": Field("a number from 0 to below 1", lambda value: is_number(value) and 0 <= value < 1),
    "whole": Field("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1),
}


@dataclass(frozen=True)
class TrainedTiles:
    """Tiles on which a detector works as it was trained.

    Attributes:
        size: Side of a tile in pixels of the image.
        overlap: Overlap of neighboring tiles, as a fraction of their sides.
        whole: Whether it was trained on whole images too, which then are one more view.
    """

    size: int
    overlap: float = 0.2
    whole: bool = True

    @property
    def views(self) -> dict[str, Any]:
        """Arguments of :class:`detkit.inference.ImagePyramid` for these tiles."""
        return {"scales": None if self.whole else (), "tiles": self.size, "tile_overlap": self.overlap}

    @classmethod
    def of_header(cls, header: Mapping[str, Any]) -> Self | None:
        """Return the tiles that the header of a checkpoint records; None without any.

        Raises:
            ValueError: If the recorded settings are damaged.
        """
        name = "checkpoint header: experiment"
        experiment = parse_json(header["experiment"], name) if header.get("experiment") else None
        tiles = _value(_value(experiment, "data"), "tiles")
        if tiles is None:
            return None
        check_fields(tiles, _FIELDS, f"{name}: data.tiles", "use another checkpoint")
        return cls(tiles["size"], tiles["overlap"], tiles["whole"] > 0)


def _value(values: Any, key: str) -> Any:
    """Return the value of a key; None where there is none."""
    return values.get(key) if is_mapping(values) else None
