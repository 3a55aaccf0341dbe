from __future__ import annotations

from pathlib import Path

import pytest

from detkit.cli.main import main
from detkit.data import SourceConfig, make_sample, read_source

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "data"
    make_sample(folder, 4, val_images=2)
    return folder


def test_shards_are_written_and_reported(sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "shard", str(sample), str(tmp_path / "shards"), "--size-mb", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("train: 4 images, ")
    assert lines[1].startswith("val: 2 images, ")
    assert lines[1].endswith(" MB")
    assert lines[-1] == f"{tmp_path / 'shards'}: ready; look at it with: detkit data check {tmp_path / 'shards'}"
    assert len(read_source(SourceConfig(path=str(tmp_path / "shards"), split="val"))) == 2
    assert main(["data", "shard", str(sample), str(tmp_path / "shards")]) == 2
    assert "nothing is overwritten: give a new folder" in capsys.readouterr().err


def test_one_part_is_written_without_annotations(sample: Path, tmp_path: Path) -> None:
    assert main(["data", "shard", str(sample), str(tmp_path / "val"), "--parts", "val", "--no-copy-annotations"]) == 0
    assert sorted(path.name for path in (tmp_path / "val").iterdir()) == ["shards.json", "val-000000.tar", "val.parquet"]


def test_shards_in_the_folder_of_the_source_are_refused(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "shard", str(sample), str(sample / "shards")]) == 2
    assert "it is in the folder of the source" in capsys.readouterr().err


def test_without_pyarrow_the_advice_is_one_sentence(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert main(["data", "shard", str(sample), str(tmp_path / "shards")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "shards need pyarrow, which is not installed: pip install 'detkit-vision[parquet]'" in error
    assert not (tmp_path / "shards").exists()
