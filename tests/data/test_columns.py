"""A column that is declared in one place goes all the way from a label file to a batch."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.testing import assert_close

from detkit.data import ClassMapping, DetectionData, ImageRecord, ReadReport, Records
from detkit.data.augment import AugmentationConfig, Augmenter
from detkit.data.augment.annotated_image import crop_rows
from detkit.data.batches import SampleBatch
from detkit.data.dataset import DetectionDataset
from detkit.data.readers.assemble import RawLabels, assemble
from detkit.ops.windows import Window
from detkit.structures import Segmentations, Targets, column


@dataclass(frozen=True, eq=False)
class Tracked(Targets):
    """Targets with a track id and the size of the object's shadow."""

    track_ids: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64), metadata=column(torch.int64, default=-1))
    shadow_areas: Tensor = field(default_factory=lambda: torch.zeros(0), metadata=column(torch.float32, follows="area"))


@pytest.fixture
def data(tmp_path: Path) -> DetectionData:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80), (90, 120, 60)).save(tmp_path / name)
    raw = RawLabels(
        source="made",
        paths=[str(tmp_path / "a.png"), str(tmp_path / "b.png")],
        names=["a.png", "b.png"],
        image_ids=[1, 2],
        sizes=[(80, 100), (80, 100)],
        image_index=np.array([0, 1, 0]),
        boxes=np.array([[10, 10, 30, 40], [20, 0, 60, 20], [50, 40, 90, 80]], np.float64),
        labels=np.array([0, 1, 1]),
        columns={
            "track_ids": np.array([7, 8, 9]),
            "shadow_areas": np.array([60.0, np.nan, 5.0]),
            "segmentations": Segmentations.of_polygons([[[[10, 10], [30, 10], [30, 40]]], [], [[[50, 40], [90, 40], [90, 80]]]]),
        },
        kind=Tracked,
        report=ReadReport("made"),
    )
    return DetectionData("made", ("cat", "dog"), (1, 2), assemble(raw, 10))


def tracked(targets: Targets) -> Tracked:
    assert isinstance(targets, Tracked)
    return targets


def test_reading_keeps_the_column(data: DetectionData) -> None:
    first, second = (tracked(record.targets) for record in data.records)
    assert (first.track_ids.tolist(), second.track_ids.tolist()) == ([7, 9], [8])
    assert_close(first.shadow_areas, torch.tensor([60.0, 5.0]))
    assert_close(second.shadow_areas, torch.tensor([800.0]))  # as for the published areas, that of the box where there is none
    assert first.segmentations is not None
    assert first.segmentations.stored(1) == [[50, 40, 90, 40, 90, 80]]
    assert second.segmentations is not None
    assert second.segmentations.stored(0) is None


def test_tables_keep_the_column(data: DetectionData) -> None:
    again = Records.of(list(data.records))
    both = pickle.loads(pickle.dumps(Records.cat([again, data.records.take([1])])))
    assert [tracked(record.targets).track_ids.tolist() for record in both] == [[7, 9], [8], [8]]
    with pytest.raises(ValueError, match="Records.columns: expected boxes, labels, .*track_ids, shadow_areas, got boxes"):
        Records((), (), np.zeros((0, 2), np.int64), np.zeros(1, np.int64), {"boxes": np.zeros((0, 4), np.float32)}, None, Tracked)


def test_mapping_classes_keeps_the_column(data: DetectionData) -> None:
    dogs = ClassMapping.by_name(data.class_names, ("dog",)).apply(data)
    assert [tracked(record.targets).track_ids.tolist() for record in dogs.records] == [[9], [8]]


def test_a_crop_selects_the_column(data: DetectionData) -> None:
    cropped = tracked(crop_rows(data.records[0].targets, Window(0, 0, 100, 60), 0.1))
    assert cropped.track_ids.tolist() == [7, 9]
    assert_close(cropped.shadow_areas, torch.tensor([60.0, 2.5]))
    assert tracked(crop_rows(data.records[0].targets, Window(40, 30, 100, 80), 0.1)).track_ids.tolist() == [9]


@pytest.mark.parametrize("preset", ["ssd", "yolox", "micrographs", "lsj"])
def test_augmentation_and_batches_keep_the_column(data: DetectionData, preset: str) -> None:
    augmenter = Augmenter(AugmentationConfig.model_validate({"preset": preset, "resize": {"kind": "fixed", "size": (64, 64)}}))
    dataset = DetectionDataset(data.records, augmenter)
    samples = [dataset[(epoch, index)] for epoch in range(3) for index in range(2)]
    batch = pickle.loads(pickle.dumps(SampleBatch.of(samples)))
    assert sum(map(len, batch.targets)) > 6
    for sample, sent in zip(samples, batch.targets, strict=True):
        for targets in (tracked(sample.targets), tracked(sent)):
            known = {7: (0, [[10, 10, 30, 10, 30, 40]]), 8: (1, None), 9: (1, [[50, 40, 90, 40, 90, 80]])}
            assert targets.segmentations is not None
            for row, track in enumerate(targets.track_ids.tolist()):
                assert (int(targets.labels[row]), targets.segmentations.stored(row)) == known[track]
        assert_close(tracked(sent).shadow_areas, tracked(sample.targets).shadow_areas)


def test_an_image_without_objects_has_the_column() -> None:
    empty = Tracked.empty()
    assert empty.track_ids.dtype == torch.int64
    assert len(Tracked.cat([empty, empty]).track_ids) == 0
    records = Records.of([ImageRecord(Path("a.png"), 1, (80, 100), empty)])
    assert len(tracked(records[0].targets).track_ids) == 0


def test_rows_of_a_source_without_the_column_get_its_default() -> None:
    rows = Tracked.filled(torch.tensor([[0.0, 0, 4, 5]]), labels=torch.tensor([1]))
    assert rows.track_ids.tolist() == [-1]
    assert rows.shadow_areas.tolist() == [20.0]
    assert rows.segmentations is None
    assert_close(rows.resized((10, 10), (20, 10)).shadow_areas, torch.tensor([40.0]))
