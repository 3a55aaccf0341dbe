"""The command in a process in which some libraries cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import detkit

SLOW_LIBRARIES = ("torch", "torchvision", "timm", "scipy", "skimage", "sklearn", "numba", "albumentations", "pycocotools", "safetensors")
_BLOCKED = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if path is None and name in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}: blocked by the test", name=name)
sys.meta_path.insert(0, Refuse())
from detkit.cli.main import main
raise SystemExit(main(sys.argv[1:]))
"""


def run_without(names: tuple[str, ...], *words: str | Path) -> str:
    """Run ``detkit`` without the named libraries, and return what it prints."""
    root = str(Path(detkit.__file__).parents[1])
    command = [sys.executable, "-c", _BLOCKED.format(names=names), *map(str, words)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout
