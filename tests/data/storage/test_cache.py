"""The local cache: bounded, shared by processes, and safe against those that are killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detkit.checkpoint.temporary import temporary_path
from detkit.data.storage import cache as cache_module
from detkit.data.storage.cache import ByteCache


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def sizes(cache: ByteCache) -> int:
    return sum(size for _, size, _ in cache.files())


def age(cache: ByteCache, number: int, seconds: float) -> None:
    path = cache.path(key(number), "data")
    os.utime(path, (time.time() - seconds,) * 2)


def test_what_is_put_is_found_and_nothing_else(tmp_path: Path) -> None:
    cache = ByteCache(tmp_path / "cache", 1e6)
    assert cache.get(key(1)) is None
    assert not cache.folder.exists()
    cache.put(key(1), b"abc")
    cache.put(key(2), b"")
    assert (cache.get(key(1)), cache.get(key(2)), cache.get(key(3))) == (b"abc", b"", None)
    assert (cache.folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_the_size_is_bounded_and_files_of_this_run_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ByteCache(tmp_path, 5000)
    for number in range(10):
        cache.put(key(number), bytes(1000))
    assert sizes(cache) <= 5000
    kept = [number for number in range(10) if cache.get(key(number)) is not None]
    assert kept == [0, 1, 2, 3]  # an epoch over more than fits finds the same part each time
    for number in kept:
        age(cache, number, 3600 - number)
    other = ByteCache(tmp_path, 5000)  # the next run: what it does not use makes room, the oldest first
    assert other.get(key(0)) == bytes(1000)
    for number in (20, 21):
        other.put(key(number), bytes(1000))
    assert [number for number in (0, 1, 2, 3, 20, 21) if other.get(key(number)) is not None] == [0, 3, 20, 21]
    assert sizes(other) <= 5000
    other.put(key(30), bytes(6000))
    assert other.get(key(30)) is None


def test_only_files_of_the_cache_are_removed(tmp_path: Path) -> None:
    cache = ByteCache(tmp_path, 2500)
    cache.put(key(0), bytes(1000))
    mine = [tmp_path / "notes.txt", tmp_path / key(0)[:2] / "photo.jpg", tmp_path / "ab" / f"{key(1)}.data"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(3000))
        os.utime(path, (0, 0))
    age(cache, 0, 3600)
    again = ByteCache(tmp_path, 2500)
    for number in (1, 2, 3):
        again.put(key(number), bytes(1000))
    assert all(path.is_file() for path in mine)
    assert again.get(key(0)) is None
    assert again.get(key(1)) == bytes(1000)


def test_a_damaged_file_is_removed_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = ByteCache(tmp_path, 1e6)
    cache.put(key(0), bytes(1000))
    path = cache.path(key(0), "data")
    path.write_bytes(path.read_bytes()[:500])
    assert cache.get(key(0)) is None
    assert "is damaged; it is read from the storage again" in caplog.text
    assert not path.exists()


def test_a_full_disk_costs_only_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    cache = ByteCache(tmp_path, 1e6)

    def full(temporary: Path, path: Path) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "adopt", full)
    cache.put(key(0), bytes(1000))
    cache.put(key(1), bytes(1000))
    assert caplog.text.count("not written") == 1
    assert not list(tmp_path.glob("*/.*"))


_HOLD = """
import sys, time
from pathlib import Path
from detkit.checkpoint.temporary import temporary_path
from detkit.data.storage.cache import ByteCache, locked
cache = ByteCache(Path(sys.argv[1]), 1e6)
with cache.reading(sys.argv[2]), locked(cache.folder / "lock"):
    temporary_path(cache.path(sys.argv[2], "data")).write_bytes(bytes(700))
    print("holding", flush=True)
    time.sleep(600)
"""


def test_a_killed_writer_leaves_no_lock_and_no_half_file(tmp_path: Path) -> None:
    cache = ByteCache(tmp_path, 2500)
    cache.put(key(0), bytes(1000))
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path), key(0)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    half = list(tmp_path.glob("*/.*.tmp"))
    assert len(half) == 1
    with cache.reading(key(0)):
        cache.put(key(1), bytes(1000))
    assert cache.get(key(1)) == bytes(1000)
    age(cache, 0, 3600)
    age(cache, 1, 3600)
    own = temporary_path(cache.path(key(5), "data"))  # of a process that lives
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(bytes(10))
    ByteCache(tmp_path, 2500).put(key(2), bytes(1000))
    assert not half[0].exists()
    assert own.exists()


_READ = """
import os, sys, time
from pathlib import Path
from detkit.data.storage import files
from detkit.data.storage.settings import StorageSettings
def fetch(path):
    time.sleep(0.3)
    with open(sys.argv[2], "a") as file:
        file.write(f"{os.getpid()}\\n")
    return b"content of " + path.encode()
files._fetch = fetch
store = files.StoredFiles(StorageSettings(Path(sys.argv[1])))
print(store.read("s3://bucket/a.jpg").decode())
"""


def test_processes_that_need_the_same_file_read_it_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _READ, str(tmp_path / "cache"), str(tmp_path / "fetched.txt")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate()[0] for process in processes]
    assert outputs == ["content of s3://bucket/a.jpg\n"] * 3
    assert len((tmp_path / "fetched.txt").read_text().splitlines()) == 1


def test_files_that_are_read_ahead_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detkit.data.storage import files
    from detkit.data.storage.settings import StorageSettings

    fetched: list[str] = []

    def fetch(path: str) -> bytes:
        fetched.append(path)
        if path.endswith("b"):
            raise FileNotFoundError(path)
        return path.encode()

    monkeypatch.setattr(files, "_fetch", fetch)
    store = files.StoredFiles(StorageSettings(tmp_path, gigabytes=0))  # nothing is kept on the disk
    store.prefetch(["s3://bucket/a", "s3://bucket/b", "s3://bucket/a", "s3://bucket/c"])
    assert sorted(fetched) == ["s3://bucket/a", "s3://bucket/b", "s3://bucket/c"]
    assert store.read("s3://bucket/a") == b"s3://bucket/a"
    assert len(fetched) == 3
    with pytest.raises(FileNotFoundError):
        store.read("s3://bucket/b")
    assert store.read("s3://bucket/a") == b"s3://bucket/a"
    assert len(fetched) == 5
    assert not list(ByteCache(tmp_path, 1).files())


def test_the_module_waits_before_it_tries_to_make_room_again(tmp_path: Path) -> None:
    cache = ByteCache(tmp_path, 1000)
    cache.put(key(0), bytes(900))
    cache.put(key(1), bytes(900))
    assert cache._paused_until > time.time() + 0.5 * cache_module._PAUSE
