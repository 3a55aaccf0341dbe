"""Shards and images in object storage: the same batches as from files, every byte read once, and only addresses that were named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from object_store import S3, FaultyServer, faulty_server, s3_server

from detkit.data import SourceConfig, read_image, read_source
from detkit.data.augment import Augmenter
from detkit.data.augment.config import AugmentationConfig
from detkit.data.loader import LoaderConfig, SampleBatch, SampleError, build_loader
from detkit.data.shards.reader import ShardReader
from detkit.data.storage import retries
from detkit.preprocess import PreprocessConfig

MODEL = PreprocessConfig(short_side=48, long_side=64)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as store:
        yield store


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DETKIT_STORAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DETKIT_STORAGE_ATTEMPTS", "2")
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
    return tmp_path / "cache"


def batches(path: str | Path, workers: int = 0, rank: int = 0, world: int = 1, steps: int = 7) -> list[SampleBatch]:
    """Augmented batches, by default of two epochs."""
    data = read_source(SourceConfig(path=str(path), split="train"))
    config = LoaderConfig(batch_size=2, workers=workers)
    augmenter = Augmenter(AugmentationConfig(preset="yolox"), MODEL)
    return list(build_loader(data, augmenter, config, seed=3, stop_step=steps, rank=rank, world=world))


def assert_equal(one: list[SampleBatch], other: list[SampleBatch]) -> None:
    assert len(one) == len(other) > 0
    for first, second in zip(one, other, strict=True):
        assert (first.image_ids, first.seeds) == (second.image_ids, second.seeds)
        torch.testing.assert_close(first.images, second.images, rtol=0, atol=0)
        for left, right in zip(first.targets, second.targets, strict=True):
            torch.testing.assert_close(left.boxes, right.boxes, rtol=0, atol=0)
            torch.testing.assert_close(left.labels, right.labels, rtol=0, atol=0)


def test_batches_are_equal_bit_for_bit_and_every_byte_is_read_once(source: Path, shards: Path, s3: S3) -> None:
    local = batches(source)
    assert len({image_id for batch in local for image_id in batch.image_ids}) == 7
    assert_equal(local, batches(shards))
    address = s3.upload(shards, "batches")
    assert_equal(local, batches(address, workers=1))
    train = sum(path.stat().st_size for path in shards.glob("train*") if not path.name.endswith(".json"))
    read = s3.read_below("/bucket/batches/train")
    assert 0.3 * train < read <= 1.05 * train, s3.requests
    halves = [batches(address, rank=rank, world=2) for rank in (0, 1)]  # as two processes of a training would
    assert [image_id for batch in local for image_id in batch.image_ids] == [
        image_id for pair in zip(*halves, strict=True) for batch in pair for image_id in batch.image_ids
    ]
    assert s3.read_below("/bucket/batches/train") == read  # all from the cache


def test_a_batch_has_images_of_several_shards(shards: Path) -> None:
    data = read_source(SourceConfig(path=str(shards), split="train"))
    shard_of = {image_id: path.partition("#")[0] for image_id, path in zip(data.records.image_ids, data.records.paths, strict=True)}
    assert len(set(shard_of.values())) >= 3
    assert any(len({shard_of[image_id] for image_id in batch.image_ids}) > 1 for batch in batches(shards))


def test_without_room_in_the_cache_batches_are_the_same(source: Path, shards: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    address = s3.upload(shards, "uncached")
    monkeypatch.setenv("DETKIT_STORAGE_CACHE_GB", "0")
    assert_equal(batches(source, steps=2), batches(address, steps=2))


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    with faulty_server(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def server(listener: FaultyServer, source: Path) -> FaultyServer:
    listener.folder, listener.repeats = source, False
    listener.faults.clear()
    listener.requests.clear()
    return listener


def test_images_of_a_coco_file_are_read_by_their_addresses(source: Path, server: FaultyServer, tmp_path: Path) -> None:
    server.folder = tmp_path / "served"
    shutil.copytree(source / "images" / "val" / "day 0", server.folder)
    content = json.loads((source / "annotations" / "instances_val.json").read_text())
    content["images"] = [image for image in content["images"] if image["file_name"].startswith("day 0")]
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] in {image["id"] for image in content["images"]}]
    for image in content["images"]:
        image["file_name"] = f"{server.url}/{Path(image['file_name']).name}"
    path = tmp_path / "manifest" / "labels.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="its images are addresses, such as http://.*, and only addresses that you name are opened"):
        read_source(SourceConfig(path=str(path)))
    with pytest.raises(ValueError, match=r"is not below http://127\.0\.0\.1:1/other, the address that was named"):
        read_source(SourceConfig(path=str(path), images="http://127.0.0.1:1/other"))
    assert not server.requests
    for config in (SourceConfig(path=str(path), images=server.url), SourceConfig(path=str(path), outside=True)):
        data = read_source(config)
        assert data.report.checked == 0
        assert [read_image(record.path).shape for record in data.records] == [(40, 60, 3)] * len(content["images"])
    for image in content["images"]:
        image["file_name"] = image["file_name"].rpartition("/")[2]
    path.write_text(json.dumps(content))
    read_image(read_source(SourceConfig(path=str(path), images=server.url)).records[0].path)
    assert len(server.requests) == len(content["images"])  # each was read once


def test_a_table_names_images_by_their_addresses(source: Path, server: FaultyServer, tmp_path: Path) -> None:
    server.folder = next((source / "images" / "val").iterdir())
    name = next(server.folder.iterdir()).name
    path = tmp_path / "labels.csv"
    path.write_text(f"filename,width,height,class,xmin,ymin,xmax,ymax\n{server.url}/{name},60,40,cat,1,2,20,30\n")
    data = read_source(SourceConfig(path=str(path), images=server.url))
    assert read_image(data.records[0].path).shape == (40, 60, 3)


def test_a_training_stops_with_one_line_at_an_image_that_cannot_be_read(shards: Path, server: FaultyServer) -> None:
    server.folder = shards
    data = read_source(SourceConfig(path=server.url, split="train"))
    server.faults, server.repeats = ["wrong"], True
    loader = build_loader(data, Augmenter(AugmentationConfig(), MODEL), LoaderConfig(batch_size=2, workers=0), stop_step=1)
    with pytest.raises(SampleError, match=r"train-00000\d\.tar: day .*: 2 attempts in 0 s failed, the last with: wrong checksum") as caught:
        list(loader)
    assert "\n" not in str(caught.value)


def test_an_address_without_shards_is_reported(server: FaultyServer) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"shards\.json: no such file; expected a folder of shards, which 'detkit data shard' writes"
    ):
        read_source(SourceConfig(path=f"{server.url}/nothing"))
    assert ShardReader().recognizes(Path(server.url))


def test_shards_take_no_folder_of_images(shards: Path) -> None:
    with pytest.raises(ValueError, match="shards contain their own images; remove images=s3:/bucket"):
        read_source(SourceConfig(path=str(shards), split="train", images="s3://bucket"))
