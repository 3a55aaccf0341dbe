from __future__ import annotations

from pathlib import Path

import pytest

from detkit.training.folder import claimed, find_run, new_run_folder


def test_run_folders_are_numbered_and_found(tmp_path: Path) -> None:
    root = str(tmp_path / "runs")
    first, second = new_run_folder("net", root=root), new_run_folder("net", root=root)
    assert [first.path.name, second.path.name] == ["net-1", "net-2"]
    second.state.write_bytes(b"")
    first.state.write_bytes(b"")
    import os

    os.utime(second.state, (1, 1))
    assert find_run(root=root) == first
    assert find_run(str(second.path)) == second
    assert find_run(str(second.last)) == second


def test_a_new_run_is_not_mixed_with_other_files(tmp_path: Path) -> None:
    output = tmp_path / "mine"
    output.mkdir()
    (output / ".gitkeep").write_text("")
    assert new_run_folder("net", str(output)).path == output
    for name in ("results.json", "photo.jpg"):
        (output / name).write_text("mine")
    message = "mine: expected a new or empty folder for the run, .*; it has photo.jpg, results.json; choose another --output"
    with pytest.raises(ValueError, match=message):
        new_run_folder("net", str(output))
    (output / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="mine already holds a run: choose another --output, or resume this run with --resume"):
        new_run_folder("net", str(output))


def test_a_run_holds_its_folder(tmp_path: Path) -> None:
    folder = new_run_folder("net", str(tmp_path / "run"))
    with claimed(folder, new=True):
        folder.config.write_text("{}")
        with pytest.raises(ValueError, match="run: in use by process"), claimed(folder):
            pass
    with pytest.raises(ValueError, match="already holds a run"), claimed(folder, new=True):
        pass  # another run started and ended between the check and the claim
    with claimed(folder):
        pass
