from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detkit.cli.main import main
from detkit.curation.parts import read_splits
from detkit.data import DetectionData, ImageRecord, SourceConfig, read_image, read_source, splits_of
from detkit.data.classes import ClassMapping
from detkit.data.record_image import read_record
from detkit.data.shards import writer
from detkit.data.shards.index import ShardIndex
from detkit.data.shards.manifest import FILE, read_manifest
from detkit.data.shards.table import VERSION_KEY, id_type, read_table
from detkit.data.shards.writer import write_shards
from detkit.data.storage.retries import StorageError
from detkit.evaluation.dataset_truth import dataset_ground_truth
from detkit.structures import Targets
from detkit.training.fingerprint import DataFingerprint

MEGABYTES = 0.008


def assert_same_data(one: DetectionData, other: DetectionData) -> None:
    """Check that everything but the names of the images' files is equal."""
    assert (one.class_names, one.category_ids, one.is_classification) == (other.class_names, other.category_ids, other.is_classification)
    assert one.report.totals() == other.report.totals()
    assert one.records.image_ids == other.records.image_ids
    np.testing.assert_array_equal(one.records.sizes, other.records.sizes)
    np.testing.assert_array_equal(one.records.offsets, other.records.offsets)
    for name, values in one.records.columns.items():
        if isinstance(values, np.ndarray):
            assert values.dtype == other.records.columns[name].dtype
            np.testing.assert_array_equal(values, other.records.columns[name], err_msg=name)
    assert segmentations(one) == segmentations(other)


def segmentations(data: DetectionData) -> list[Any]:
    values = data.records.segmentations
    return [] if values is None else [values.stored(row) for row in range(len(values))]


def same_bytes(one: Path, other: Path) -> bool:
    files = [sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in (one, other)]
    return files[0] == files[1] and all((one / name).read_bytes() == (other / name).read_bytes() for name in files[0])


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("difficult", ["ignore", "object"])
def test_shards_hold_all_that_the_source_holds(source: Path, shards: Path, split: str, difficult: Any) -> None:
    assert splits_of(SourceConfig(path=str(shards))) == ("train", "val")
    one, other = (read_source(SourceConfig(path=str(path), split=split, difficult=difficult)) for path in (source, shards))
    assert_same_data(one, other)
    assert one.records.is_ignore.any()
    assert one.records.is_crowd.any()
    assert any(isinstance(value, dict) for value in segmentations(other))
    assert (one.records.lengths == 0).sum() == 1
    for first, second in zip(one.records, other.records, strict=True):
        np.testing.assert_array_equal(read_record(first), read_record(second))
    assert segmentations(other.take([1, 0])) == segmentations(one.take([1, 0]))
    prints = [DataFingerprint.of(data) for data in (one, other)]
    assert prints[0] == prints[1]


def test_the_ground_truth_of_metrics_is_that_of_the_published_file(source: Path, shards: Path) -> None:
    one, other = (read_source(SourceConfig(path=str(path), split="train")) for path in (source, shards))
    truths = [dataset_ground_truth(data, frozenset({0, 1})) for data in (one, other)]
    assert truths[0].annotations == truths[1].annotations
    assert any(20.01 in row["bbox"] for row in truths[1].annotations)  # not rounded to float32
    mapped = [ClassMapping.by_name(data.class_names, ("dog",)).apply(data) for data in (one, other)]
    assert dataset_ground_truth(mapped[0], frozenset({0})).annotations == dataset_ground_truth(mapped[1], frozenset({0})).annotations


def test_the_same_data_gives_the_same_bytes(splits: dict[str, DetectionData], shards: Path, tmp_path: Path) -> None:
    write_shards(splits, tmp_path / "again", MEGABYTES)
    assert same_bytes(shards, tmp_path / "again")
    assert len(list(shards.glob("train-*.tar"))) >= 3


class _KilledError(BaseException):
    pass


def kill_after(monkeypatch: pytest.MonkeyPatch, name: str, count: int) -> None:
    """Stop the writer at a call of one of its functions."""
    original, calls = getattr(writer, name), []

    def stopping(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) > count:
            raise _KilledError
        return original(*arguments, **options)

    monkeypatch.setattr(writer, name, stopping)


@pytest.mark.parametrize(("name", "count"), [("_read_image", 0), ("_read_image", 4), ("_write_labels", 1), ("to_json", 0)])
def test_an_interrupted_run_goes_on_where_it_was(
    splits: dict[str, DetectionData], shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: int
) -> None:
    folder = tmp_path / "shards"
    with monkeypatch.context() as patch:
        kill_after(patch, name, count)
        with pytest.raises(_KilledError):
            write_shards(splits, folder, MEGABYTES)
    assert not (folder / FILE).exists()
    with pytest.raises(ValueError, match="these shards are not complete; repeat the command that writes them"):
        read_source(SourceConfig(path=str(folder)))
    with pytest.raises(FileExistsError, match="unfinished shards of other data, or with other options"):
        write_shards(splits, folder, 2 * MEGABYTES)
    kept = len(list(folder.glob("*.tar")))
    done: list[tuple[int, int]] = []
    assert write_shards(splits, folder, MEGABYTES, lambda *row: done.append(row)).resumed == kept
    assert same_bytes(folder, shards)
    assert not done or done[-1] == (10, 10)
    with pytest.raises(FileExistsError, match="nothing is overwritten"):
        write_shards(splits, folder, MEGABYTES)


def test_a_half_written_tar_is_not_kept(
    splits: dict[str, DetectionData], shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shards"
    with monkeypatch.context() as patch:
        kill_after(patch, "_read_image", 6)
        with pytest.raises(_KilledError):
            write_shards(splits, folder, MEGABYTES)
    first = folder / "train-000000.tar"
    first.write_bytes(first.read_bytes()[:-1000])  # as after a failure of power
    write_shards(splits, folder, MEGABYTES)
    assert same_bytes(folder, shards)


@pytest.mark.oracle("webdataset", "samples of shards", tolerance="pixels 3 of 255, boxes 1e-4")
def test_webdataset_reads_the_shards(shards: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    data = read_source(SourceConfig(path=str(shards), split="train"))
    urls = [str(path) for path in sorted(shards.glob("train-*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in samples] == [f"{index:09}" for index in range(7)]
    for sample, record in zip(samples, data.records, strict=True):
        pixels = sample.get("jpg", sample.get("png"))
        assert np.abs(pixels.astype(int) - read_record(record)).max() <= 3  # JPEG by another decoder
        label = sample["json"]
        assert (label["image_id"], label["height"], label["width"]) == (record.image_id, 40, 60)
        assert label["name"] == record.path.as_posix().partition(".tar#")[2].partition("/")[2]
        boxes = np.array([row["box"] for row in label["objects"]]).reshape(-1, 4)
        np.testing.assert_allclose(boxes, record.targets.boxes.numpy(), atol=1e-4)
        assert [row["label"] for row in label["objects"]] == record.targets.labels.tolist()
        assert [row.get("is_ignore", False) for row in label["objects"]] == record.targets.is_ignore.tolist()
    assert samples[0]["json"]["objects"][0]["class"] == "cat"


def test_the_index_points_at_members_of_plain_tar_files(shards: Path) -> None:
    index = ShardIndex.open(shards, "val")
    table = index.table
    for row in range(len(index)):
        with tarfile.open(shards / index.split.shards[table.shards[row]].file) as tar:
            (member,) = [item for item in tar if item.offset_data == table.starts[row]]
            content = tar.extractfile(member)
            assert content is not None
            assert content.read() == index.read(row)
            assert (member.name.partition(".")[0], member.mtime, member.uid, member.uname) == (f"{row:09}", 0, 0, "")


def test_reading_needs_no_torch(shards: Path) -> None:
    code = (
        "import sys; from detkit.data.shards.index import ShardIndex; index = ShardIndex.open(sys.argv[1], 'train');"
        "print(len(index), len(index.read(3)), index.table.columns['boxes'].shape, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(shards)], capture_output=True, text=True, check=True)
    size = Path(read_source(SourceConfig(path=str(shards), split="train")).records.paths[3]).as_posix().split("+")[1]
    assert result.stdout.split() == ["7", size, "(18,", "4)", "False"]


def test_the_schema_has_a_version(shards: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    rows = parquet.read_table(shards / "train.parquet")
    assert rows.schema.metadata[VERSION_KEY] == b"1"
    assert {"image_id", "name", "shard", "start", "length", "digest", *(Targets.columns.keys() - {"masks"})} <= set(rows.column_names)
    parquet.write_table(rows.replace_schema_metadata({VERSION_KEY: b"2"}), tmp_path / "new.parquet")
    with pytest.raises(ValueError, match="labels of version 2; this detkit reads up to version 1: update detkit"):
        read_table(tmp_path / "new.parquet")
    parquet.write_table(rows.replace_schema_metadata({}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="not the labels of shards"):
        read_table(tmp_path / "other.parquet")


def test_a_column_that_an_older_version_did_not_write_has_its_default(shards: Path, tmp_path: Path) -> None:
    def drop(rows: Any) -> Any:
        return rows.drop_columns(["is_difficult", "segmentations"])

    data = read_source(SourceConfig(path=str(changed(shards, tmp_path, drop)), split="train"))
    assert not data.records.is_difficult.any()
    assert data.records.segmentations is None
    with pytest.raises(ValueError, match="a column 'depth' that this detkit does not know: update detkit"):
        read_source(SourceConfig(path=str(changed(shards, tmp_path, lambda t: t.append_column("depth", t["areas"]))), split="train"))


def changed(shards: Path, folder: Path, change: Callable[[Any], Any]) -> Path:
    """Return a copy of the shards with other labels."""
    import shutil

    import pyarrow.parquet as parquet

    copy = folder / f"copy {len(list(folder.iterdir()))}"
    shutil.copytree(shards, copy)
    parquet.write_table(change(parquet.read_table(copy / "train.parquet")), copy / "train.parquet")
    return copy


def test_files_that_do_not_belong_together_are_reported(shards: Path, tmp_path: Path) -> None:
    folder = changed(shards, tmp_path, lambda rows: rows.slice(0, 5))
    with pytest.raises(ValueError, match="expected 7 images and 18 boxes, got 5 and 12; the files do not belong together"):
        read_source(SourceConfig(path=str(folder), split="train"))
    tar = folder / "val-000000.tar"
    tar.write_bytes(bytes(len(tar.read_bytes())))
    with pytest.raises(StorageError, match="wrong checksum"):
        read_image(read_source(SourceConfig(path=str(folder), split="val")).records.paths[0])
    text = (folder / FILE).read_text()
    (folder / FILE).write_text(text.replace('"version": 1', '"version": 7'))
    with pytest.raises(ValueError, match="shards of version 7; this detkit reads up to version 1: update detkit"):
        splits_of(SourceConfig(path=str(folder)))
    (folder / FILE).write_text("{}")
    with pytest.raises(ValueError, match=r"shards\.json: not the index of shards: splits"):
        splits_of(SourceConfig(path=str(folder)))
    (folder / FILE).write_text(text.replace("train.parquet", "../train.parquet"))
    with pytest.raises(ValueError, match="expected a plain name"):
        read_source(SourceConfig(path=str(folder), split="train"))


def test_data_that_is_not_divided_stays_so(source: Path, tmp_path: Path) -> None:
    path = source / "annotations" / "instances_val.json"
    write_shards(read_splits(SourceConfig(path=str(path))), tmp_path / "shards", 1)
    assert splits_of(SourceConfig(path=str(tmp_path / "shards"))) == ()
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        "images-000000.tar",
        "images.coco.json",
        "images.parquet",
        "shards.json",
    ]
    assert_same_data(read_source(SourceConfig(path=str(path))), read_source(SourceConfig(path=str(tmp_path / "shards"))))


def test_class_folders_stay_class_folders(source: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        (tmp_path / "classes" / name / "0.png").write_bytes(next((source / "images").rglob("*.png")).read_bytes())
    config = SourceConfig(path=str(tmp_path / "classes"))
    write_shards(read_splits(config), tmp_path / "shards", 1)
    read = read_source(SourceConfig(path=str(tmp_path / "shards")))
    assert_same_data(read_source(config), read)
    assert read.records.image_ids == ("a/0.png", "b/0.png")


def test_shards_of_shards_are_the_same(shards: Path, tmp_path: Path) -> None:
    write_shards(read_splits(SourceConfig(path=str(shards))), tmp_path / "again", MEGABYTES)
    assert same_bytes(shards, tmp_path / "again")


def test_an_image_that_is_missing_stops_the_writer(splits: dict[str, DetectionData], tmp_path: Path) -> None:
    data = splits["val"]
    records = replace(data.records, paths=(*data.records.paths[:2], str(tmp_path / "gone.png")))
    with pytest.raises(FileNotFoundError, match=r"gone\.png: the image cannot be read"):
        write_shards({"val": replace(data, records=records)}, tmp_path / "shards", 1)


def test_ids_of_two_types_are_refused() -> None:
    assert (id_type([1, 2]), id_type(["a"]), id_type([])) == ("int64", "string", "string")
    with pytest.raises(ValueError, match="the ids of the images are numbers and texts"):
        id_type([1, "a"])


def test_parts_of_files_are_refused(splits: dict[str, DetectionData], tmp_path: Path) -> None:
    from detkit.ops.windows import Window

    record = splits["val"].records[0]
    part = ImageRecord(record.path, 1, (20, 20), Targets.empty(), Window(0, 0, 20, 20))
    with pytest.raises(ValueError, match="its images are parts of files"):
        write_shards({"": DetectionData.of("parts", ["a"], [part])}, tmp_path / "shards", 1)


def test_the_manifest_lists_every_file_with_its_checksum(shards: Path) -> None:
    from detkit.data.storage.cache import digest_of_file

    entries = [
        entry for split in read_manifest(shards).splits.values() for entry in (*split.shards, split.labels, split.annotations) if entry
    ]
    assert sorted([FILE, *(entry.file for entry in entries)]) == sorted(path.name for path in shards.iterdir())
    for entry in entries:
        path = shards / entry.file
        assert (entry.bytes, entry.digest) == (path.stat().st_size, digest_of_file(path))
    assert json.loads((shards / FILE).read_text())["splits"]["train"]["report"]["degenerate"] == {"day 1/train.1.JPG": 1}


def test_commands_on_data_read_shards(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(shards), "--pixels"]) == 0
    assert "10 images (train 7, val 3)" in capsys.readouterr().out
    assert main(["info", str(shards)]) == 0
    assert "shards (train): 7 images (1 image without objects), 18 boxes" in capsys.readouterr().out
    assert main(["data", "convert", str(shards), str(tmp_path / "coco"), "--format", "coco"]) == 0
    assert (tmp_path / "coco" / "images" / "train" / "day 1" / "train.1.JPG").is_file()
