from __future__ import annotations

from pathlib import Path

from detkit.training.folder import find_run, new_run_folder


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
