"""The tiles that a checkpoint records."""

from __future__ import annotations

import json

import pytest

from detkit.checkpoint import make_header
from detkit.checkpoint.trained_tiles import TrainedTiles
from detkit.data import DataConfig
from detkit.data.tiles import TileConfig
from detkit.experiment import Experiment


@pytest.mark.parametrize(
    ("tiles", "expected"),
    [
        (None, None),
        (TileConfig(size=320, overlap=0.3), TrainedTiles(320, 0.3, True)),
        (TileConfig(size=320, whole=0.0), TrainedTiles(320, 0.2, False)),
    ],
)
def test_tiles_of_a_training_are_read_from_its_header(tiles: TileConfig | None, expected: TrainedTiles | None) -> None:
    header = make_header("{}", ("a",), experiment=Experiment(data=DataConfig(tiles=tiles)).to_json())
    assert TrainedTiles.of_header(header) == expected
    assert (tiles and tiles.trained) == expected


def test_whole_images_are_a_view_only_if_they_were_trained_on() -> None:
    assert TrainedTiles(320).views == {"scales": None, "tiles": 320, "tile_overlap": 0.2}
    assert TrainedTiles(320, whole=False).views["scales"] == ()


def test_headers_without_and_with_damaged_tiles() -> None:
    for experiment in ("", "{}", "[]", json.dumps({"data": "folder"})):
        assert TrainedTiles.of_header({"experiment": experiment}) is None
    assert TrainedTiles.of_header({}) is None
    good = {"size": 640, "overlap": 0.2, "whole": 0.1}
    for name, value in (("size", 7), ("size", "640"), ("overlap", 1.0), ("whole", None)):
        text = json.dumps({"data": {"tiles": {**good, name: value}}})
        with pytest.raises(ValueError, match=f"checkpoint header: experiment: data.tiles: {name}: expected"):
            TrainedTiles.of_header({"experiment": text})
