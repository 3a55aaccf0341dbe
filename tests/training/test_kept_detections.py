"""Detections kept in a run's folder: exact, tied to their images, and never a reason for a training to fail."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from detkit.structures import Detections
from detkit.training.kept_detections import BEST, LAST, KeptDetections, keep


def some(count: int) -> Detections:
    generator = torch.Generator().manual_seed(count)
    return Detections(torch.rand(count, 4, generator=generator), torch.rand(count, generator=generator), torch.arange(count))


def test_round_trip_is_exact(tmp_path: Path) -> None:
    images, detections = [3, 1, 7], [some(2), Detections.empty(), some(3)]
    keep(KeptDetections.of(40, images, detections), tmp_path, best=True)
    for name in (BEST, LAST):
        kept = KeptDetections.read(tmp_path / name)
        assert kept.step == 40
        for before, after in zip(detections, kept.by_image(images), strict=True):
            for column in ("boxes", "scores", "labels"):
                assert_close(getattr(after, column), getattr(before, column), rtol=0, atol=0)


def test_no_images_and_only_the_last(tmp_path: Path) -> None:
    keep(KeptDetections.of(1, [], []), tmp_path, best=False)
    assert KeptDetections.read(tmp_path / LAST).by_image([]) == []
    assert not (tmp_path / BEST).exists()


def test_other_images_are_refused(tmp_path: Path) -> None:
    kept = KeptDetections.of(5, ["a", "b"], [some(1), some(1)])
    with pytest.raises(ValueError, match="other images"):
        kept.by_image(["b", "a"])


def test_a_damaged_file_is_a_value_error(tmp_path: Path) -> None:
    (tmp_path / LAST).write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="zip"):
        KeptDetections.read(tmp_path / LAST)


def test_a_full_disk_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "detkit"):
        keep(KeptDetections.of(5, [1], [some(1)]), tmp_path / "file", best=True)
    assert "not kept for the report" in caplog.text
