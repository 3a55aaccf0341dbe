"""What was computed is stored, survives kills and damage, and is computed again for changed files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from duplicate_images import dataset, photographs, save

from detkit.curation.duplicates import check_pixels, find_duplicates, scan
from detkit.curation.duplicates.cache import PixelCache
from detkit.curation.parts import LabeledParts


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded."""
    names: list[str] = []
    original = scan._decode

    def decode(path: str, windows: object) -> object:
        names.append(Path(path).name)
        return original(path, windows)  # type: ignore[arg-type]

    monkeypatch.setattr(scan, "_decode", decode)
    return names


@pytest.fixture
def data(tmp_path: Path) -> LabeledParts:
    """Twelve images, of which the last is a copy of the first."""
    images = [*photographs()[:11], photographs()[0]]
    return dataset({"train": [save(tmp_path / f"{n}.jpg", image, 90 - n) for n, image in enumerate(images)]}, "stored")


def rows_file() -> Path:
    return PixelCache.of("stored").images


def test_a_second_run_decodes_nothing(data: LabeledParts, decoded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = find_duplicates(data)
    assert (len(decoded), len(first.pairs)) == (12, 1)
    monkeypatch.setattr("detkit.curation.duplicates.find.read_image", None)  # the compared pairs are stored, too
    assert find_duplicates(data).pairs == first.pairs
    assert len(decoded) == 12


def test_a_changed_file_is_decoded_again(data: LabeledParts, decoded: list[str], tmp_path: Path) -> None:
    find_duplicates(data)
    save(tmp_path / "11.jpg", photographs()[20])
    os.utime(tmp_path / "11.jpg", ns=(1, 1))
    assert find_duplicates(data).pairs == ()
    assert decoded[12:] == ["11.jpg"]


def test_a_run_that_was_stopped_resumes(data: LabeledParts, decoded: list[str]) -> None:
    def stop(done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_pixels(data, workers=1, progress=stop)
    decoded.clear()
    seen: list[int] = []
    check_pixels(data, progress=lambda done, total: seen.append(done))
    assert seen == list(range(8, 13))
    assert len(decoded) == 5


@pytest.mark.parametrize("damage", ["cut", "flipped", "garbage"])
def test_damaged_rows_are_computed_again(data: LabeledParts, decoded: list[str], damage: str) -> None:
    expected = find_duplicates(data).pairs
    content = bytearray(rows_file().read_bytes())
    length = len(content) // 12
    if damage == "cut":
        content = content[: -length // 2]
    elif damage == "flipped":
        content[3 * length + 100] ^= 1
    else:
        content = bytearray(b"garbage" * 99)
    rows_file().write_bytes(content)
    decoded.clear()
    assert find_duplicates(data).pairs == expected
    assert len(decoded) == (12 if damage == "garbage" else 1)
    assert len(rows_file().read_bytes()) == 12 * length
    decoded.clear()
    find_duplicates(data)
    assert decoded == []


def test_a_cache_that_cannot_be_written_is_done_without(data: LabeledParts, own_cache: Path, decoded: list[str]) -> None:
    shutil.rmtree(own_cache, ignore_errors=True)
    own_cache.write_text("a file where the folder would be")
    assert len(find_duplicates(data).pairs) == 1
    assert len(decoded) == 12


def test_windows_of_a_file_are_images_of_their_own(tmp_path: Path, decoded: list[str]) -> None:
    from dataclasses import replace

    import numpy as np

    path = save(tmp_path / "large.png", np.concatenate(photographs()[:2], axis=1))
    height, width = photographs()[0].shape[:2]
    parts = dataset({"train": [path, path, path]}, "windows")
    records = parts.parts["train"].data.records
    windows = np.array([[0, 0, width, height], [width, 0, 2 * width, height], [0, 0, width, height]], np.int64)
    cut = parts.map(lambda part: replace(part, data=replace(part.data, records=replace(records, windows=windows))))
    found = find_duplicates(cut)
    assert (len(found.images), decoded, found.pairs) == (2, ["large.png"], ())
