"""A command in another process and folder, with a real checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from bright import image, saved
from PIL import Image

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig

ROOT = Path(__file__).resolve().parents[2]
CONFIG = FasterRCNNConfig(
    backbone=BackboneConfig(name="shufflenet_v2_x0_5", weights=None),
    neck=FPNConfig(out_channels=16),
    preprocess=PreprocessConfig(short_side=64, long_side=128),
)


def test_detect_with_the_newest_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    header = make_header(CONFIG.to_json(), ["Katze", "gato", "кошка"])
    save_checkpoint(tmp_path / "runs" / "first-1" / "best.safetensors", CONFIG.build(3).state_dict(), header)
    saved(tmp_path, "an image.jpg", image())
    (tmp_path / "bad.jpg").write_bytes(b"")
    command = [
        sys.executable,
        str(ROOT / "tools" / "detect.py"),
        "an image.jpg",
        "bad.jpg",
        "--latest",
        "--min-score",
        "0.01",
        "--json",
        "found.json",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONUTF8": "1"})
    assert done.returncode == 1, done.stderr
    assert f"model: {Path('runs/first-1/best.safetensors')} (the newest run; 3 classes)" in done.stdout
    assert "bad.jpg: the file is empty" in done.stderr
    assert "Traceback" not in done.stderr
    detections = json.loads((tmp_path / "found.json").read_text("utf-8"))["images"][0]["detections"]
    assert len(detections) > 0
    assert f"an image.jpg (80 x 60): {len(detections)} detection" in done.stdout
    assert Image.open(tmp_path / "runs" / "detect-1" / "an image.jpg").size == (480, 360)
