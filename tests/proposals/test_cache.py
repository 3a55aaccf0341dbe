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


def some(count: int = 3) -> Proposals:
    boxes = torch.arange(count * 4, dtype=torch.float32).reshape(-1, 4)
    return Proposals(boxes, torch.linspace(1, 0, count))


def filled(folder: Path, megabytes: float, count: int) -> tuple[ProposalCache, list[str]]:
    """A cache with files that were used a second after each other, the last one now."""
    cache = ProposalCache(folder, megabytes)
    keys = [f"{number:04x}" for number in range(count)]
    for number, key in enumerate(keys):
        cache.put(key, some())
        if cache.path(key).exists():
            os.utime(cache.path(key), (time.time() - count + number,) * 2)
    return cache, keys


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_what_was_put_comes_back(tmp_path: Path, count: int) -> None:
    cache = ProposalCache(tmp_path / "made" / "later", 1)
    assert cache.get("ab12") is None
    assert not (tmp_path / "made").exists()
    cache.put("ab12", some(count))
    found = cache.get("ab12")
    assert found is not None
    torch.testing.assert_close(found.boxes, some(count).boxes, rtol=0, atol=0)
    torch.testing.assert_close(found.scores, some(count).scores, rtol=0, atol=0)
    assert [path.name for path in (tmp_path / "made" / "later").rglob("*.*")] == ["ab12.npz"]


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "other"])
def test_a_damaged_file_is_told_and_made_anew(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    cache = ProposalCache(tmp_path, 1)
    cache.put("ab12", some(200))
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
    assert f"{path} is damaged" in caplog.text
    assert not path.exists()
    cache.put("ab12", some())
    assert cache.get("ab12") is not None


def test_no_changed_byte_gives_other_proposals(tmp_path: Path) -> None:
    cache, expected = ProposalCache(tmp_path, 1), some(20)
    cache.put("ab12", expected)
    path = cache.path("ab12")
    good = path.read_bytes()
    refused = 0
    for place in range(0, len(good), 5):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        found = cache.get("ab12")
        refused += found is None
        if found is not None:  # a date, say, was changed
            torch.testing.assert_close(found.boxes, expected.boxes, rtol=0, atol=0)
            torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=0)
    assert refused > 20


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    size = (lambda cache: (cache.put("aa", some()), cache.path("aa").stat().st_size)[1])(ProposalCache(tmp_path / "one", 1))
    cache, keys = filled(tmp_path / "all", 10.5 * size / 1e6, 10)
    assert all(cache.get(key) is not None for key in keys[:2])  # used now
    cache.put("ffff", some())
    kept = [key for key in keys if cache.path(key).exists()]
    assert kept[:2] == keys[:2]
    assert keys[2] not in kept
    assert cache.path("ffff").exists()
    assert sum(path.stat().st_size for path in (tmp_path / "all").rglob("*.npz")) <= 10.5 * size


def test_the_budget_holds_over_processes(tmp_path: Path) -> None:
    size = (lambda cache: (cache.put("aa", some()), cache.path("aa").stat().st_size)[1])(ProposalCache(tmp_path / "one", 1))
    filled(tmp_path / "all", 100, 20)
    # Another process, with a smaller budget, counts at its first file what is there already.
    ProposalCache(tmp_path / "all", 5 * size / 1e6).put("ffff", some())
    assert len(list((tmp_path / "all").rglob("*.npz"))) <= 5


def test_a_killed_process_leaves_nothing_that_is_taken_for_proposals(tmp_path: Path) -> None:
    cache = ProposalCache(tmp_path, 1)
    folder = cache.path("ab12").parent
    folder.mkdir()
    old, new = folder / ".ab12.npz.17.tmp", folder / ".ab12.npz.18.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert cache.get("ab12") is None
    cache.put("ab34", some())
    assert not old.exists()
    assert new.exists()  # it may still be written


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="expected a folder, found a file; name another place"):
        ProposalCache(tmp_path / "file", 1)
