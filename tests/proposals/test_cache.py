from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib import format as npy

from detkit.checkpoint.temporary import temporary_path
from detkit.proposals import ProposalCache
from detkit.proposals.cache import MARK, MARKER
from detkit.structures import Proposals

KEY = "ab12" * 10


def some_proposals(count: int = 3) -> Proposals:
    boxes = torch.arange(count * 4, dtype=torch.float32).reshape(-1, 4)
    return Proposals(boxes, torch.linspace(1, 0, count))


def filled_cache(folder: Path, megabytes: float, count: int) -> tuple[ProposalCache, list[str]]:
    """Return a cache with files that were used one second apart, the last one now."""
    cache = ProposalCache(folder, megabytes)
    keys = [f"{number:04x}" * 10 for number in range(count)]
    for number, key in enumerate(keys):
        cache.put(key, some_proposals())
        if cache.path(key).exists():
            os.utime(cache.path(key), (time.time() - count + number,) * 2)
    return cache, keys


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_put_and_get(tmp_path: Path, count: int) -> None:
    cache = ProposalCache(tmp_path / "new" / "folder", 1)
    assert cache.get(KEY) is None
    assert not (tmp_path / "new").exists()
    cache.put(KEY, some_proposals(count))
    cached = cache.get(KEY)
    assert cached is not None
    torch.testing.assert_close(cached.boxes, some_proposals(count).boxes, rtol=0, atol=0)
    torch.testing.assert_close(cached.scores, some_proposals(count).scores, rtol=0, atol=0)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").rglob("*.*")) == [MARKER, f"{KEY}.npz"]


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "other"])
def test_corrupt_file_is_reported_and_rebuilt(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    cache = ProposalCache(tmp_path, 1)
    cache.put(KEY, some_proposals(200))
    path = cache.path(KEY)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    with path.open("wb") as handle:
        if damage == "other":
            np.savez(handle, boxes=np.zeros((2, 3)))
        else:
            handle.write({"cut": path.read_bytes(), "empty": b"", "changed": bytes(content)}[damage])
    if damage == "cut":
        path.write_bytes(bytes(content[: len(content) // 2]))
    with caplog.at_level(logging.WARNING):
        assert cache.get(KEY) is None
    assert f"{path} is corrupt" in caplog.text
    cache.put(KEY, some_proposals())
    assert cache.get(KEY) is not None


def test_changing_a_byte_never_gives_wrong_proposals(tmp_path: Path) -> None:
    cache, expected = ProposalCache(tmp_path, 1), some_proposals(20)
    cache.put(KEY, expected)
    path = cache.path(KEY)
    good = path.read_bytes()
    rejected = 0
    for index in range(0, len(good), 5):
        path.write_bytes(good[:index] + bytes([good[index] ^ 0x55]) + good[index + 1 :])
        cached = cache.get(KEY)
        rejected += cached is None
        if cached is not None:  # the byte was part of a date, for example
            torch.testing.assert_close(cached.boxes, expected.boxes, rtol=0, atol=0)
            torch.testing.assert_close(cached.scores, expected.scores, rtol=0, atol=0)
    assert rejected > 20


def test_least_recently_used_files_are_removed_first(tmp_path: Path) -> None:
    size = (lambda cache: (cache.put("aa" * 20, some_proposals()), cache.path("aa" * 20).stat().st_size)[1])(
        ProposalCache(tmp_path / "one", 1)
    )
    cache, keys = filled_cache(tmp_path / "all", 10.5 * size / 1e6, 10)
    assert all(cache.get(key) is not None for key in keys[:2])  # marks them as just used
    cache.put("ff" * 20, some_proposals())
    kept = [key for key in keys if cache.path(key).exists()]
    assert kept[:2] == keys[:2]
    assert keys[2] not in kept
    assert cache.path("ff" * 20).exists()
    assert sum(path.stat().st_size for path in (tmp_path / "all").rglob("*.npz")) <= 10.5 * size


def test_budget_counts_files_of_other_processes(tmp_path: Path) -> None:
    size = (lambda cache: (cache.put("aa" * 20, some_proposals()), cache.path("aa" * 20).stat().st_size)[1])(
        ProposalCache(tmp_path / "one", 1)
    )
    filled_cache(tmp_path / "all", 100, 20)
    # Another process, with a smaller budget, counts the existing files when it writes its first.
    ProposalCache(tmp_path / "all", 5 * size / 1e6).put("ff" * 20, some_proposals())
    assert len(list((tmp_path / "all").rglob("*.npz"))) <= 5


def test_leftovers_of_a_killed_process_are_ignored_and_removed(tmp_path: Path) -> None:
    cache = ProposalCache(tmp_path, 1)
    folder = cache.path(KEY).parent
    folder.mkdir()
    old, new, foreign = temporary_path(cache.path(KEY)), temporary_path(cache.path(KEY)), folder / ".mine.tmp"
    for path in (old, new, foreign):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - 100_000,) * 2)
    os.utime(new)
    assert cache.get(KEY) is None
    cache.put("ab34" * 10, some_proposals())
    assert not old.exists()
    assert new.exists()  # another thread of this process may still be writing it
    assert foreign.exists()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def member(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def stating(shape: tuple[int, ...]) -> bytes:
    """An archive whose boxes have a header that asks for more memory than any machine has."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("boxes.npy", member(shape))
        archive.writestr("scores.npy", member((0,)))
    return stream.getvalue()


BOXES, SCORES = np.array([[1, 1, 5, 6], [2, 2, 4, 4]], np.float32), np.array([0.9, 0.5], np.float32)
NAN, INVERTED, FAR = BOXES.copy(), BOXES[:, [2, 1, 0, 3]].copy(), BOXES.copy()
NAN[1, 2], FAR[0, 3] = np.nan, np.inf


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npz(boxes=NAN, scores=SCORES), r"box 1: expected finite x1 y1 x2 y2 .*, got \[2.0, 2.0, nan, 4.0\]"),
        (npz(boxes=INVERTED, scores=SCORES), "box 0: expected finite x1 y1 x2 y2 with x2 >= x1"),
        (npz(boxes=FAR, scores=SCORES), "box 0: expected finite"),
        (npz(boxes=BOXES, scores=np.array([0.9, np.nan], np.float32)), "expected finite scores"),
        (npz(boxes=BOXES, scores=SCORES[:1]), r"Proposals.scores: expected shape \(2,\), got \(1,\)"),
        (npz(boxes=BOXES.astype(np.float64), scores=SCORES), "Proposals.boxes: expected torch.float32"),
        (npz(boxes=BOXES, scores=SCORES, more=SCORES), "expected boxes and scores, got boxes, more, scores"),
        (stating((1 << 40, 4)), r"an array of shape \(1099511627776, 4\) has 0 bytes"),
    ],
)
def test_files_that_hold_no_proposals_are_reported_and_rebuilt(
    content: bytes, message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = ProposalCache(tmp_path, 1)
    cache.put(KEY, some_proposals())
    cache.path(KEY).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert cache.get(KEY) is None
    assert len(caplog.records) == 1
    assert re.search(message, caplog.text)
    cache.put(KEY, some_proposals())
    assert cache.get(KEY) is not None


def test_an_archive_that_unpacks_to_more_than_proposals_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("detkit.proposals.cache.MAX_BYTES", 100_000)
    cache = ProposalCache(tmp_path, 1)
    cache.put(KEY, some_proposals())
    cache.path(KEY).write_bytes(npz(boxes=np.zeros((10_000, 4), np.float32), scores=np.zeros(10_000, np.float32)))
    assert cache.get(KEY) is None
    assert "bytes would become 200,256, expected at most 100,000" in caplog.text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    cache = ProposalCache(tmp_path, 1)
    cache.path(KEY).parent.mkdir()
    os.mkfifo(cache.path(KEY))
    assert cache.get(KEY) is None


def own_files(folder: Path) -> dict[Path, bytes]:
    """Files of a user in a folder that is named as a cache by mistake, some with names as the cache gives them."""
    files = {
        folder / "project" / "precious.npz": npz(a=np.arange(9)),
        folder / "ab" / "precious.npz": npz(a=np.arange(9)),
        folder / "ab" / f"{'cd' * 20}.npz": npz(boxes=BOXES, scores=SCORES),
        folder / "cd" / f"{'cd' * 20}.npz": npz(boxes=BOXES, scores=SCORES),
        folder / "cd" / ".draft.tmp": b"mine",
        folder / "notes.txt": b"mine",
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1.0, 1.0))
    return files


def test_files_of_others_are_never_removed(tmp_path: Path) -> None:
    files = own_files(tmp_path)
    cache = ProposalCache(tmp_path, 1e-6)
    for number in range(3):
        cache.put(f"{number:02x}" * 20, some_proposals())
    assert {path: path.read_bytes() for path in files} == files
    assert not list((tmp_path / "00").glob("*.npz"))  # its own are


def test_without_its_marker_nothing_is_removed(tmp_path: Path) -> None:
    cache, keys = filled_cache(tmp_path, 1, 3)
    (tmp_path / MARKER).write_text("a folder of mine")
    ProposalCache(tmp_path, 1e-6).put("ff" * 20, some_proposals())
    assert all(cache.path(key).exists() for key in keys)
    (tmp_path / MARKER).write_text(MARK)
    ProposalCache(tmp_path, 1e-6).put("ff" * 20, some_proposals())
    assert not any(cache.path(key).exists() for key in keys)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere, _ = filled_cache(tmp_path / "elsewhere", 1, 3)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "00").symlink_to(elsewhere.folder / "00")
    ProposalCache(tmp_path / "cache", 1e-6).put("ff" * 20, some_proposals())
    assert len(list(elsewhere.folder.rglob("*.npz"))) == 3


def test_threads_share_a_cache(tmp_path: Path) -> None:
    """Threads of one process write the same files at once, while each cleans up after the others."""
    cache, expected, errors = ProposalCache(tmp_path, 0.005), some_proposals(300), []

    def work() -> None:
        try:
            for turn in range(12):
                key = f"{turn % 3:02x}" * 20
                found = cache.get(key)
                assert found is None or torch.equal(found.boxes, expected.boxes)
                cache.put(key, expected)
        except Exception as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors
    assert not list(tmp_path.rglob("*.tmp"))


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="expected a folder, got a file; choose another path"):
        ProposalCache(tmp_path / "file", 1)
