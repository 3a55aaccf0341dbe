"""``detkit data split``."""

from __future__ import annotations

from pathlib import Path

import pytest
from duplicate_images import photographs, save

from detkit.cli.main import main
from detkit.curation.parts import read_parts


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A YOLO data set of 24 images in train and 6 in val, of which one is a mirrored copy of a training image."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "source"
    images = [*photographs()[:29], photographs()[3][:, ::-1]]
    for number, image in enumerate(images):
        part = "train" if number < 24 else "val"
        save(folder / "images" / part / f"cam{number % 5}_{number}.jpg", image, quality=70)
        labels = folder / "labels" / part / f"cam{number % 5}_{number}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text(f"{number % 2} 0.5 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat, dog]\n")
    return folder


def test_a_pooled_data_set_is_divided(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new"
    assert main(["data", "split", str(source), str(target), "--val", "0.2", "--test", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "parts divided as one: train, val" in out
    assert "1 copy of other images found by their pixels" in out
    assert "group cam3_3.jpg: 2 images in " in out
    assert "wanted" in out
    assert f"{target}: ready" in out
    data = read_parts(target)
    counts = [len(data.parts[name]) for name in ("train", "val", "test")]
    assert sum(counts) == 30
    assert counts == pytest.approx([21, 6, 3], abs=1)
    where = {name: part_name for part_name, part in data for name in part.names}
    assert where["cam3_3.jpg"] == where["cam4_29.jpg"]


def test_groups_and_parts_to_divide(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new"
    words = [
        "--parts",
        "train",
        "--val",
        "0",
        "--test",
        "0.2",
        "--group-by",
        "regex:^(cam[0-4])",
        "--duplicates",
        "ignore",
        "--no-stratify",
    ]
    assert main(["data", "split", str(source), str(target), *words]) == 0
    out = capsys.readouterr().out
    assert "found by their pixels" not in out
    assert "group cam0: 5 images in " in out
    data = read_parts(target)
    assert set(data.parts) == {"train", "val", "test"}
    assert len(data.parts["val"]) == 6
    cameras = [{name[:4] for name in data.parts[part].names} for part in ("train", "test")]
    assert not cameras[0] & cameras[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--val", "0.6", "--test", "0.5"], "whose sum is between 0 and 1"),
        (["--group-by", "video_id", "--duplicates", "ignore"], "is not read from a COCO file"),
        (["--group-by", "regex:^frame", "--duplicates", "ignore"], "matches no image; expected a pattern in names such as 'cam"),
        (["--parts", "train"], "its part 'val' is kept, so there cannot be a new one; divide it, too, or give --val 0"),
    ],
)
def test_errors(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(["data", "split", str(source), str(tmp_path / "new"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
