"""Writes of several threads, on full disks, and what killed processes leave."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from detkit.checkpoint import atomic_write, checkpoint, make_header, save_checkpoint, save_state, write_text
from detkit.checkpoint.atomic import WriteError, write_json
from detkit.checkpoint.temporary import STALE_SECONDS, remove_stale_temporaries, temporary_path
from detkit.data import DetectionData, ImageRecord
from detkit.data.writers import WRITERS, write_labels
from detkit.structures import Targets

LARGE = {"x": torch.zeros(2_000_000)}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB, which only root can make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.safetensors", lambda path: save_checkpoint(path, LARGE, make_header("{}", ["a"]))),
        ("a.state", lambda path: save_state(path, LARGE)),
        ("a.json", lambda path: write_json(path, "x" * 2_000_000)),
    ],
)
def test_a_full_disk_is_named_and_the_old_file_stays(small_disk: Path, name: str, write: Callable[[Path], None]) -> None:
    path = small_disk / name
    path.write_text("old")
    with pytest.raises(WriteError) as caught:
        write(path)
    assert str(caught.value) == (
        f"{path}: could not be written: no space left on the disk; make room, or choose another folder; what was there before is unchanged"
    )
    assert path.read_text() == "old"
    assert [file.name for file in small_disk.iterdir()] == [name]


@pytest.mark.parametrize("kind", WRITERS)
def test_labels_on_a_full_disk_name_the_file(small_disk: Path, kind: str) -> None:
    (small_disk / "fill").write_bytes(b"0" * ((1 << 20) - (8 << 12)))
    boxes = torch.rand(3000, 2)
    targets = Targets.of(torch.cat([boxes, boxes + 5], 1), torch.zeros(3000, dtype=torch.int64))
    records = [ImageRecord(small_disk / f"{number}.jpg", number, (100, 100), targets) for number in range(3)]
    with pytest.raises(WriteError, match=rf"{small_disk}/.*: could not be written: no space left on the disk; make room"):
        write_labels(DetectionData.of("data", ["thing"], records), small_disk, kind, "train")


def test_the_error_of_a_library_about_a_full_disk_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save_file(*values: object, **options: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", save_file)
    with pytest.raises(WriteError, match=r"a\.safetensors: could not be written: no space left on the disk"):
        save_checkpoint(tmp_path / "a.safetensors", {}, make_header("{}", ["a"]))
    assert not any(tmp_path.iterdir())


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="^mine$"), atomic_write(tmp_path / "a"):
        raise RuntimeError("mine")
    with pytest.raises(FileNotFoundError, match=r"other\.txt"), atomic_write(tmp_path / "a"):
        (tmp_path / "other.txt").read_text()


def test_threads_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    texts = [f"{number}" * 100_000 for number in range(8)]

    def write(text: str) -> None:
        try:
            for _ in range(10):
                write_text(tmp_path / "a.txt", text)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert (tmp_path / "a.txt").read_text() in texts
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_names_of_any_length_can_be_written(tmp_path: Path) -> None:
    for name in ("x" * 250, "\u00e4" * 125, "x"):
        write_text(tmp_path / name, "text")
        assert (tmp_path / name).read_text() == "text"


def test_only_temporary_files_of_ended_processes_are_removed(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal\nfrom detkit.checkpoint import atomic_write\n"
        "with atomic_write(sys.argv[1]) as path:\n    path.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")], check=False, timeout=60)
    left = list(tmp_path.glob(".a.txt.*.tmp"))
    assert len(left) == 1
    own, foreign, old = temporary_path(tmp_path / "b"), tmp_path / ".mine.tmp", temporary_path(tmp_path / "c")
    other_machine = left[0].with_name(left[0].name.replace(left[0].name.split(".")[-2][:8], "0" * 8))
    for path in (own, foreign, old, other_machine):
        path.touch()
    os.utime(old, (time.time() - STALE_SECONDS - 10,) * 2)
    assert remove_stale_temporaries(tmp_path, tmp_path / "missing") == 2
    assert set(tmp_path.iterdir()) == {own, foreign, other_machine}
