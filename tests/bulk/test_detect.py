"""Detection on one shard: its file, and what is left when it is stopped."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from brightness import Brightness, listed, write_images

from detkit.bulk import Listing, Shard, ShardInfo, detect_shard
from detkit.bulk.shard_writer import ShardWriter
from detkit.checkpoint.folder_lock import FolderInUseError

ALL = Shard(0, 1)
NAME = "shard-00000-of-00001"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("bulk") / "in")


@pytest.fixture(scope="module")
def undisturbed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return detect_shard(Brightness(), *of(images, folder)).path.read_bytes()


def of(images: Path, output: Path, shard: Shard = ALL, **changes: Any) -> tuple[Listing, Path, ShardInfo]:
    listing, info = listed(images, shard, **changes)
    return listing, output, info


class Stopped(Brightness):
    """Raises an error after some images."""

    def __init__(self, error: BaseException, after: int) -> None:
        super().__init__()
        self.error, self.after = error, after

    def detect(self, prepared: Any) -> Any:
        if self.images >= self.after:
            raise self.error
        return super().detect(prepared)


def test_one_row_for_each_image_in_order(images: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    listing, folder, info = of(images, tmp_path / "new" / "out")
    result = detect_shard(Brightness(), listing, folder, info, progress=lambda *row: seen.append(row), part_images=6)
    assert (result.images, result.failed, result.resumed) == (21, 1, 0)
    assert [path.name for path in folder.iterdir()] == [f"{NAME}.parquet"]
    rows = pq.read_table(result.path).to_pylist()
    assert [row["image"] for row in rows] == listing.paths
    assert rows[0]["boxes"] == []
    assert (rows[1]["width"], rows[1]["height"], len(rows[1]["scores"])) == (9, 6, 2)
    assert rows[19]["classes"] == ["bright", "bright"]
    assert "broken.png: not a readable image" in rows[20]["error"]
    assert seen == [(0, 0), (6, 0), (12, 0), (18, 0)]
    recorded = ShardInfo.from_metadata(pq.read_schema(result.path).metadata, "file")
    assert recorded == info


def test_a_complete_shard_is_not_computed_again(images: Path, tmp_path: Path) -> None:
    detect_shard(Brightness(), *of(images, tmp_path))
    again = Brightness()
    result = detect_shard(again, *of(images, tmp_path))
    assert (again.images, result.resumed, result.failed) == (0, 21, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("no memory")])
def test_what_was_detected_before_an_error_is_kept(images: Path, tmp_path: Path, undisturbed: bytes, error: BaseException) -> None:
    with pytest.raises(type(error)):
        detect_shard(Stopped(error, 9), *of(images, tmp_path))
    assert not (tmp_path / f"{NAME}.parquet").exists()
    again = Brightness()
    result = detect_shard(again, *of(images, tmp_path))
    assert 8 <= result.resumed <= 16
    assert again.images == 20 - result.resumed
    assert result.path.read_bytes() == undisturbed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_lose_nothing_and_change_nothing(images: Path, tmp_path: Path, undisturbed: bytes) -> None:
    kills = 0
    for parts in (1, 3, 6):
        child = os.fork()
        if not child:
            os.setsid()
            try:
                detect_shard(Brightness(0.02), *of(images, tmp_path), part_images=2)
            finally:
                os._exit(0)
        folder = tmp_path / f"{NAME}.parts"
        end = time.monotonic() + 60
        while len(list(folder.glob("part-*"))) < parts and time.monotonic() < end:
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        kills += os.waitpid(child, 0)[1] == signal.SIGKILL
        assert not (tmp_path / f"{NAME}.parquet").exists()
    assert kills == 3
    again = Brightness()
    result = detect_shard(again, *of(images, tmp_path), part_images=2)
    assert result.resumed >= 12
    assert again.images == 20 - result.resumed
    assert result.path.read_bytes() == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.parquet"]


def test_parts_that_are_damaged_are_computed_again(images: Path, tmp_path: Path, undisturbed: bytes) -> None:
    with pytest.raises(KeyboardInterrupt):
        detect_shard(Stopped(KeyboardInterrupt(), 16), *of(images, tmp_path), part_images=4)
    first, second, *_ = sorted((tmp_path / f"{NAME}.parts").glob("part-*"))
    second.write_bytes(first.read_bytes()[:-40])
    result = detect_shard(Brightness(), *of(images, tmp_path))
    assert result.resumed == 4
    assert result.path.read_bytes() == undisturbed


def test_a_kill_while_the_parts_are_joined(images: Path, tmp_path: Path, undisturbed: bytes) -> None:
    """The file exists, and so do the parts: the next run removes them."""
    with pytest.raises(KeyboardInterrupt):
        detect_shard(Stopped(KeyboardInterrupt(), 16), *of(images, tmp_path))
    (tmp_path / f"{NAME}.parquet").write_bytes(undisturbed)
    assert detect_shard(Brightness(), *of(images, tmp_path)).resumed == 21
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.parquet"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_sha256": "1" * 64}, r"another model, brightness \(SHA-256 000000000000\), expected brightness \(SHA-256 111111111111\)"),
        ({"settings": {"min_score": 0.25}}, "other settings: min_score 0.5, expected 0.25; give another --output"),
        ({"listing": "0" * 32, "listed": 4}, "a shard of other images, 21 in all, expected 4; give another"),
    ],
)
@pytest.mark.parametrize("complete", [True, False])
def test_rows_of_another_run_are_kept(images: Path, tmp_path: Path, changes: dict[str, Any], message: str, complete: bool) -> None:
    if complete:
        detect_shard(Brightness(), *of(images, tmp_path))
    else:
        with pytest.raises(KeyboardInterrupt):
            detect_shard(Stopped(KeyboardInterrupt(), 6), *of(images, tmp_path))
    before = sorted(path.name for path in tmp_path.rglob("*.parquet"))
    with pytest.raises(ValueError, match=message):
        detect_shard(Brightness(), *of(images, tmp_path, **changes))
    assert sorted(path.name for path in tmp_path.rglob("*.parquet")) == before


def test_other_files_are_not_overwritten(images: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(detect_shard(Brightness(), *of(images, tmp_path)).path).replace_schema_metadata(None), tmp_path / "other")
    (tmp_path / "other").rename(tmp_path / f"{NAME}.parquet")
    with pytest.raises(ValueError, match="expected results of `detkit detect --shard`, got another Parquet file; give another --output"):
        detect_shard(Brightness(), *of(images, tmp_path))


def test_a_shard_is_computed_by_one_process(images: Path, tmp_path: Path) -> None:
    listing, folder, info = of(images, tmp_path)
    with ShardWriter(folder, info) as writer:
        assert writer.resume(listing.paths).done == 0
        with pytest.raises(FolderInUseError, match="in use by"):
            detect_shard(Brightness(), listing, folder, info)


def test_a_shard_without_images(images: Path, tmp_path: Path) -> None:
    listing, folder, info = of(images, tmp_path)
    result = detect_shard(Brightness(), replace(listing, paths=[]), folder, replace(info, images=0))
    assert (result.images, pq.read_table(result.path).num_rows) == (0, 0)


def test_only_the_rows_of_one_part_are_held(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    class Watched(ShardWriter):
        def flush(self) -> bool:
            held.append(len(self._rows))
            return super().flush()

    monkeypatch.setattr("detkit.bulk.detect.ShardWriter", Watched)
    listing, folder, info = of(images, tmp_path)
    paths = [f"missing/{index:04d}.png" for index in range(1000)]
    assert detect_shard(Brightness(), replace(listing, paths=paths), folder, replace(info, images=1000), part_images=200).failed == 1000
    assert held == [200] * 5 + [0, 0]
