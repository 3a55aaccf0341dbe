"""Output files of commands: what killed commands left beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from detkit.cli.outputs import check_file, check_folder


def killed_write(path: Path) -> Path:
    """Kill a process that writes a file, and return the temporary file that it leaves."""
    code = (
        "import os, signal, sys\nfrom detkit.checkpoint import atomic_write\n"
        "with atomic_write(sys.argv[1]) as temporary:\n    temporary.touch()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    return next(path.parent.glob("*.tmp"))


def test_the_next_command_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    for check, path in ((check_file, tmp_path / "model.onnx"), (check_folder, tmp_path)):
        left = killed_write(tmp_path / "model.onnx")
        (tmp_path / "mine.tmp").touch()
        check("--output", path)
        assert not left.exists()
        assert (tmp_path / "mine.tmp").exists()
        (tmp_path / "mine.tmp").unlink()
