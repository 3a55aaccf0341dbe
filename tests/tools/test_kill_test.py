"""The kill suite: what its checks notice, and three kills."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.checkpoint import make_header, save_checkpoint, save_state

TOOL = Path(__file__).resolve().parents[2] / "tools" / "kill_test.py"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_test", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kill_test"] = module
    spec.loader.exec_module(module)
    return module


def test_torn_files_of_every_kind_are_noticed(tool: ModuleType, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", {"x": torch.zeros(100)}, make_header("{}", ["a"]))
    save_state(tmp_path / "a.state", {"x": torch.zeros(100)})
    np.savez(tmp_path / "a.npz", x=np.zeros(100))
    Image.new("RGB", (50, 50)).save(tmp_path / "a.jpg")
    Image.new("RGB", (50, 50)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps(list(range(100))))
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2}\n{"cut')  # only the last line, which a resumed run deletes, may be cut
    assert tool.torn(tmp_path) == []
    names = sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".jsonl")
    for name in names:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert [line.split(":")[0] for line in tool.torn(tmp_path)] == names


def test_what_is_left_behind_is_noticed(tool: ModuleType, tmp_path: Path) -> None:
    for name in (".a.json.0.tmp", "features/regions-1"):
        (tmp_path / name).mkdir(parents=True)
    assert sorted(path.name for path in tool.temporary_files(tmp_path)) == [".a.json.0.tmp", "regions-1"]


@pytest.mark.slow
def test_three_kills(tmp_path: Path) -> None:
    file = tmp_path / "kills.json"
    command = [sys.executable, str(TOOL), "--kills", "3", "--jobs", "train", "propose", "detect", "--seed", "7", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(job["kills"] for job in json.loads(file.read_text())["jobs"].values()) >= 2
