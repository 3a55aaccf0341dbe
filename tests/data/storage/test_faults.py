"""Faults of the store: each is repeated, then reported in one line, and nothing half-read is returned."""

from __future__ import annotations

from pathlib import Path

import pytest
from object_store import FaultyServer

from detkit.data.media.images import image_size, read_image
from detkit.data.storage import door
from detkit.data.storage.addresses import Member
from detkit.data.storage.cache import digest_of
from detkit.data.storage.files import local_copy, read_stored
from detkit.data.storage.retries import StorageError

CONTENT = bytes(range(256)) * 40
START, LENGTH = 1000, 5000


def member(server: FaultyServer, content: bytes = CONTENT) -> str:
    """Write a container and return a member of it."""
    (server.folder / "a.tar").write_bytes(content)
    return str(Member(f"{server.url}/a.tar", START, LENGTH, digest_of(CONTENT[START : START + LENGTH]), "a.jpg"))


@pytest.mark.parametrize("fault", ["error", "slow", "cut", "short", "wrong"])
def test_a_fault_that_passes_costs_an_attempt(server: FaultyServer, fault: str) -> None:
    path = member(server)
    server.faults[:] = [fault]
    assert read_stored(path) == CONTENT[START : START + LENGTH]
    assert server.requests == [("/a.tar", f"bytes={START}-{START + LENGTH - 1}")] * 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("error", "the server answered 500"),
        ("cut", "payload|Payload"),
        ("short", "expected 5,000 bytes, got 4,999"),
        ("wrong", "wrong checksum of the 5,000 bytes at byte 1,000"),
        ("whole", "expected 5,000 bytes, got 10,240; the server ignores ranges"),
    ],
)
def test_a_fault_that_stays_is_one_clear_line(server: FaultyServer, fault: str, reason: str) -> None:
    path = member(server)
    server.faults, server.repeats = [fault], True
    with pytest.raises(StorageError, match=rf"a\.tar: a\.jpg: 3 attempts in \d+ s failed, the last with: .*({reason})") as caught:
        read_stored(path)
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 3
    server.faults.clear()
    assert read_stored(path) == CONTENT[START : START + LENGTH]  # nothing wrong was kept


def test_a_store_that_does_not_answer_is_left_in_time(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETKIT_STORAGE_ATTEMPTS", "1")
    path = member(server)
    server.faults[:] = ["slow"]
    with pytest.raises(StorageError, match="no answer in time"):
        read_stored(path)


def test_a_missing_file_is_not_asked_for_again(server: FaultyServer) -> None:
    path = member(server)
    (server.folder / "a.tar").unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.tar: a\.jpg: no such file in the storage; check the address"):
        read_stored(path)
    assert len(server.requests) == 1
    with pytest.raises(FileNotFoundError, match="no such file in the storage"):
        read_image(f"{server.url}/b.jpg")


def test_a_server_that_cannot_be_reached_is_reported(server: FaultyServer) -> None:
    with pytest.raises(StorageError, match=r"http://127\.0\.0\.1:9/a\.jpg: 3 attempts .* failed, the last with: .*[Cc]onnect"):
        door.read("http://127.0.0.1:9/a.jpg")


@pytest.mark.parametrize("fault", ["error", "cut", "wrong"])
def test_a_whole_file_is_checked_as_well(server: FaultyServer, fault: str) -> None:
    (server.folder / "labels.parquet").write_bytes(CONTENT)
    path = str(Member(f"{server.url}/labels.parquet", 0, len(CONTENT), digest_of(CONTENT), "labels.parquet"))
    server.faults[:] = [fault]
    assert local_copy(path).read_bytes() == CONTENT
    count = len(server.requests)
    assert local_copy(path).read_bytes() == CONTENT
    assert len(server.requests) == count  # from the cache


def test_an_image_at_an_address_is_read_once(server: FaultyServer, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (30, 20), (10, 200, 30)).save(server.folder / "a.png")
    server.faults[:] = ["cut"]
    path = Path(f"{server.url}/a.png")
    assert image_size(path) == (20, 30)
    assert read_image(path)[3, 4].tolist() == [10, 200, 30]
    assert len(server.requests) == 2
    (server.folder / "b.png").write_bytes(b"<html>not an image</html>")
    with pytest.raises(ValueError, match="not a readable image"):
        read_image(f"{server.url}/b.png")


def test_a_damaged_shard_on_a_disk_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(CONTENT)
    part = Member(str(path), START, LENGTH, digest_of(CONTENT[START : START + LENGTH]), "a.jpg")
    assert read_stored(str(part)) == CONTENT[START : START + LENGTH]
    path.write_bytes(CONTENT[: START + 10] + b"?" + CONTENT[START + 11 :])
    with pytest.raises(StorageError, match=r"a\.tar: a\.jpg: wrong checksum .*; the shard is damaged"):
        read_stored(str(part))
    path.write_bytes(CONTENT[: START + 10])
    with pytest.raises(StorageError, match="expected 5,000 bytes at byte 1,000, got 10"):
        read_stored(str(part))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no such shard, which holds a\.jpg"):
        read_stored(str(part))


def test_what_is_written_is_compared_with_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(CONTENT)
    door.upload(path, "memory://test/upload/a")
    assert door.read("memory://test/upload/a") == CONTENT
    assert door.read("memory://test/upload/a", 5, 9) == CONTENT[5:9]
    assert (door.exists("memory://test/upload/a"), door.exists("memory://test/upload/b")) == (True, False)
    with pytest.raises(ValueError, match="nothing can be written to http addresses"):
        door.upload(path, "https://host/a")


def test_a_setting_that_is_no_number_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETKIT_STORAGE_ATTEMPTS", "many")
    with pytest.raises(ValueError, match="DETKIT_STORAGE_ATTEMPTS: expected a number of at least 1, got 'many'"):
        door.read("memory://a")


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.core

    def missing(address: str) -> None:
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ImportError, match=r"gs://bucket/a: reading gs:// needs a package that is not installed .*; pip install gcsfs"):
        door.read("gs://bucket/a")
