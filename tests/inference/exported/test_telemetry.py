"""The libraries that run exported files neither connect to servers nor write to the home folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import detkit

QUIET = """
import json, os, socket, sys, threading
connections = []
class Blocked(socket.socket):
    def connect(self, address):
        connections.append(address)
        raise OSError("blocked")
    connect_ex = connect
socket.socket = Blocked
import numpy as np
from detkit.inference import load_exported
found = load_exported(sys.argv[1])(np.zeros((64, 64, 3), np.uint8))
files = [name for _, folders, names in os.walk(os.environ["HOME"]) for name in (*folders, *names)]
loaded = [name for name in sys.modules if name.startswith(("openvino_telemetry", "torch"))]
print(json.dumps({"files": files, "connections": connections, "threads": threading.active_count(), "loaded": loaded}))
"""


@pytest.mark.parametrize("ending", [".onnx", ".xml"])
def test_runtimes_send_nothing_and_write_nothing(xml_file: Path, tmp_path: Path, ending: str) -> None:
    hidden = {"CI", "ORT_DISABLE_TELEMETRY", "TF_BUILD", "JENKINS_URL", "XDG_CACHE_HOME"}  # with these, telemetry would be off by itself
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(Path(detkit.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", QUIET, str(xml_file.with_suffix(ending))], capture_output=True, text=True, env=environment, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"files": [], "connections": [], "threads": 1, "loaded": []}
