"""From words to picture files."""

from __future__ import annotations

from pathlib import Path

from detkit.cli.inputs import picture_files


def empty(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_what_macos_puts_beside_pictures_is_passed_over(tmp_path: Path) -> None:
    empty(tmp_path, "a.jpg", "._a.jpg", "._b.mp4")
    assert picture_files([str(tmp_path)], videos=True) == [tmp_path / "a.jpg"]
