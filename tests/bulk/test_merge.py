"""Checks and merging of shards."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from brightness import Brightness, listed, write_images

from detkit.bulk import Shard, check_shards, detect_shard, shard_writer
from detkit.bulk.shard_info import KEY


def name(index: int, count: int = 4) -> str:
    return f"{Shard(index, count).stem}.parquet"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("merge") / "in", 60)


@pytest.fixture(scope="module")
def complete(images: Path) -> Path:
    """Four shards, and in other folders the file of a single run and one of another model."""
    folder = images.parent
    for index in range(4):
        listing, info = listed(images, Shard(index, 4))
        detect_shard(Brightness(), listing, folder / "four", replace(info, machine={"device": f"cpu:{index % 2}"}))
    listing, info = listed(images, Shard(0, 1))
    detect_shard(Brightness(), listing, folder / "one", replace(info, machine={"device": "cpu:0, cpu:1"}))
    listing, info = listed(images, Shard(1, 4), model_sha256="1" * 64)
    detect_shard(Brightness(), listing, folder / "other", info)
    return folder / "four"


@pytest.fixture
def shards(complete: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(complete, tmp_path / "shards"))


@pytest.mark.parametrize("rows_of_group", [2, 7, 16_384])
def test_four_shards_are_one_run(complete: Path, tmp_path: Path, rows_of_group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the row groups are, which are read one at a time."""
    monkeypatch.setattr(shard_writer, "ROWS_OF_GROUP", rows_of_group)
    folder = tmp_path / "small"
    folder.mkdir()
    for path in complete.iterdir():
        table = pq.read_table(path)
        pq.write_table(table, folder / path.name, row_group_size=rows_of_group)
    merged = check_shards(folder)
    assert merged.problems == ()
    assert (merged.images, merged.failed) == (61, 1)
    merged.write(tmp_path / "merged.parquet")
    monkeypatch.undo()
    one = complete.parent / "one" / name(0, 1)
    assert pq.read_table(tmp_path / "merged.parquet").equals(pq.read_table(one), check_metadata=True)
    assert merged.detections == sum(map(len, pq.read_table(one)["scores"].drop_null().to_pylist()))


def test_the_merged_file_is_that_of_one_run_byte_by_byte(complete: Path, tmp_path: Path) -> None:
    check_shards(complete).write(tmp_path / "merged.parquet")
    assert (tmp_path / "merged.parquet").read_bytes() == (complete.parent / "one" / name(0, 1)).read_bytes()


def rewritten(folder: Path, index: int, change: Callable[[pa.Table], pa.Table]) -> None:
    path = folder / name(index)
    table = change(pq.read_table(path))
    pq.write_table(table, path)


def missing(folder: Path) -> None:
    (folder / name(1)).unlink()
    (folder / name(3)).unlink()


def unfinished(folder: Path) -> None:
    path = folder / name(2)
    path.with_suffix(".parts").mkdir()
    path.rename(path.with_suffix(".parts") / "part-000000000000.parquet")


def damaged(folder: Path) -> None:
    path = folder / name(2)
    path.write_bytes(path.read_bytes()[:-100])


def from_another_file(folder: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        strange = pq.read_table(folder / name(3)).slice(0, 1)
        return pa.concat_tables([table.slice(0, table.num_rows - 1), strange.cast(table.schema)]).sort_by("image").cast(table.schema)

    rewritten(folder, 2, lambda table: change(table).replace_schema_metadata(table.schema.metadata))


def twice(folder: Path) -> None:
    rewritten(folder, 2, lambda table: pa.concat_tables([table.slice(0, 1), table.slice(0, table.num_rows - 1)]))


PROBLEMS: list[tuple[Callable[[Path], object], list[str]]] = [
    (missing, ["shard 1/4 is missing; run `detkit detect ... --shard 1/4`", "shard 3/4 is missing; run `detkit detect ... --shard 3/4`"]),
    (unfinished, [f"DIR/{name(2).replace('.parquet', '.parts')}: the shard is unfinished; run its `detkit detect --shard` again"]),
    (damaged, [f"DIR/{name(2)}: damaged (", "shard 2/4 is missing"]),
    (
        lambda folder: shutil.copy(folder / name(1), folder / "copy.parquet"),
        [f"DIR/{name(1)}: shard 1/4 again, it is also in DIR/copy.par"],
    ),
    (lambda folder: shutil.copy(folder.parent / "one", folder / name(0, 1)), [f"DIR/{name(0, 1)}: one of 1 shards, expected one of 4"]),
    (
        lambda folder: shutil.copy(folder.parent / "other", folder / name(1)),
        [
            f"DIR/{name(1)}: another model, brightness (SHA-256 111111111111), expected brightness (SHA-256 000000000000)",
            "shard 1/4 is mis",
        ],
    ),
    (twice, [f"DIR/{name(2)}: duplicate images: "]),
    (from_another_file, [f"DIR/{name(2)}: images of another shard: "]),
    (lambda folder: rewritten(folder, 0, lambda table: table.slice(1)), [f"DIR/{name(0)}: ", "rows, expected"]),
    (lambda folder: rewritten(folder, 0, lambda table: table.take([1, 0, 2])), [f"DIR/{name(0)}: its rows are not in order"]),
    (
        lambda folder: rewritten(
            folder, 0, lambda table: table.replace_schema_metadata({KEY: b'{"format": "detkit detections", "version": 3}'})
        ),
        [f"DIR/{name(0)}: expected version 1 or 2 of the results, got 3; read it", "shard 0/4 is missing"],
    ),
    (lambda folder: pq.write_table(pa.table({"a": [1]}), folder / "x.parquet"), ["DIR/x.parquet: expected results of `detkit detect --sh"]),
]


@pytest.mark.parametrize(("damage", "lines"), PROBLEMS)
def test_problems_are_named(complete: Path, shards: Path, damage: Callable[[Path], object], lines: list[str]) -> None:
    for other, file in (("one", name(0, 1)), ("other", name(1))):
        shutil.copy(complete.parent / other / file, shards.parent / other)
    damage(shards)
    problems = "\n".join(check_shards(shards).problems).replace(str(shards), "DIR")
    for line in lines:
        assert line in problems, problems
    assert len(problems.splitlines()) == (2 if len(lines) == 2 and "rows" not in lines[1] else 1), problems


def test_shards_of_other_images(images: Path, shards: Path, tmp_path: Path) -> None:
    """An image was added while the shards were computed."""
    more = Path(shutil.copytree(images, tmp_path / "more"))
    shutil.copy(more / "001.png", more / "new.png")
    listing, info = listed(more, Shard(1, 4))
    (shards / name(1)).unlink()
    detect_shard(Brightness(), listing, shards, info)
    first, second = check_shards(shards).problems
    assert first.endswith(f"{name(1)}: a shard of other images, 62 in all, expected 61")
    assert second.startswith("shard 1/4 is missing")


def test_a_folder_without_results(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "no"):
        with pytest.raises(FileNotFoundError, match="expected a folder with Parquet files of `detkit detect --shard`, got none"):
            check_shards(folder)


def test_only_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"x")
    merged = check_shards(tmp_path)
    assert len(merged.problems) == 1
    assert merged.images == 0


def test_shards_without_images(tmp_path: Path) -> None:
    """More shards than images: some have no rows, and a folder of one black image has no detections."""
    images = write_images(tmp_path / "in", 1)
    for index in range(5):
        listing, info = listed(images, Shard(index, 5))
        detect_shard(Brightness(), listing, tmp_path / "out", info)
    merged = check_shards(tmp_path / "out")
    assert (merged.problems, merged.images, merged.failed, merged.detections) == ((), 2, 1, 0)
    merged.write(tmp_path / "all.parquet")
    assert pq.read_table(tmp_path / "all.parquet")["boxes"].to_pylist() == [[], None]
