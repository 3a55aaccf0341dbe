from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from detkit.proposals import ProposalCache
from detkit.structures import Proposals


def some_proposals(count: int = 3) -> Proposals:
    boxes = torch.arange(count * 4, dtype=torch.float32).reshape(-1, 4)
    return Proposals(boxes, torch.linspace(1, 0, count))


def filled_cache(folder: Path, megabytes: float, count: int) -> tuple[ProposalCache, list[str]]:
    """Return a cache with files that were used one second apart, the last one now."""
    cache = ProposalCache(folder, megabytes)
    keys = [f"{number:04x}" for number in range(count)]
    for number, key in enumerate(keys):
        cache.put(key, some_proposals())
        if cache.path(key).exists():
            os.utime(cache.path(key), (time.time() - count + number,) * 2)
    return cache, keys


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_put_and_get(tmp_path: Path, count: int) -> None:
    cache = ProposalCache(tmp_path / "new" / "folder", 1)
    assert cache.get("ab12") is None
    assert not (tmp_path / "new").exists()
    cache.put("ab12", some_proposals(count))
    cached = cache.get("ab12")
    assert cached is not None
    torch.testing.assert_close(cached.boxes, some_proposals(count).boxes, rtol=0, atol=0)
    torch.testing.assert_close(cached.scores, some_proposals(count).scores, rtol=0, atol=0)
    assert [path.name for path in (tmp_path / "new" / "folder").rglob("*.*")] == ["ab12.npz"]


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "other"])
def test_corrupt_file_is_reported_and_rebuilt(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    cache = ProposalCache(tmp_path, 1)
    cache.put("ab12", some_proposals(200))
    path = cache.path("ab12")
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
        assert cache.get("ab12") is None
    assert f"{path} is corrupt" in caplog.text
    assert not path.exists()
    cache.put("ab12", some_proposals())
    assert cache.get("ab12") is not None


def test_changing_a_byte_never_gives_wrong_proposals(tmp_path: Path) -> None:
    cache, expected = ProposalCache(tmp_path, 1), some_proposals(20)
    cache.put("ab12", expected)
    path = cache.path("ab12")
    good = path.read_bytes()
    rejected = 0
    for index in range(0, len(good), 5):
        path.write_bytes(good[:index] + bytes([good[index] ^ 0x55]) + good[index + 1 :])
        cached = cache.get("ab12")
        rejected += cached is None
        if cached is not None:  # the byte was part of a date, for example
            torch.testing.assert_close(cached.boxes, expected.boxes, rtol=0, atol=0)
            torch.testing.assert_close(cached.scores, expected.scores, rtol=0, atol=0)
    assert rejected > 20


def test_least_recently_used_files_are_removed_first(tmp_path: Path) -> None:
    size = (lambda cache: (cache.put("aa", some_proposals()), cache.path("aa").stat().st_size)[1])(ProposalCache(tmp_path / "one", 1))
    cache, keys = filled_cache(tmp_path / "all", 10.5 * size / 1e6, 10)
    assert all(cache.get(key) is not None for key in keys[:2])  # marks them as just used
    cache.put("ffff", some_proposals())
    kept = [key for key in keys if cache.path(key).exists()]
    assert kept[:2] == keys[:2]
    assert keys[2] not in kept
    assert cache.path("ffff").exists()
    assert sum(path.stat().st_size for path in (tmp_path / "all").rglob("*.npz")) <= 10.5 * size


def test_budget_counts_files_of_other_processes(tmp_path: Path) -> None:
    size = (lambda cache: (cache.put("aa", some_proposals()), cache.path("aa").stat().st_size)[1])(ProposalCache(tmp_path / "one", 1))
    filled_cache(tmp_path / "all", 100, 20)
    # Another process, with a smaller budget, counts the existing files when it writes its first.
    ProposalCache(tmp_path / "all", 5 * size / 1e6).put("ffff", some_proposals())
    assert len(list((tmp_path / "all").rglob("*.npz"))) <= 5


def test_leftovers_of_a_killed_process_are_ignored_and_removed(tmp_path: Path) -> None:
    cache = ProposalCache(tmp_path, 1)
    folder = cache.path("ab12").parent
    folder.mkdir()
    old, new = folder / ".ab12.npz.17.tmp", folder / ".ab12.npz.18.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert cache.get("ab12") is None
    cache.put("ab34", some_proposals())
    assert not old.exists()
    assert new.exists()  # another process may still be writing it


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="expected a folder, got a file; choose another path"):
        ProposalCache(tmp_path / "file", 1)
