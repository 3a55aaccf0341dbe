"""The wheel, built and installed without its checkout, runs the whole command line offline."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from PIL import Image

from detkit.cli.inputs import sample_photograph

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("detkit", "pyproject.toml", "README.md", "LICENSE")
SETUPTOOLS = 77
"""The oldest major version that pyproject.toml accepts."""
BLOCK_NETWORK = """
import socket

def refuse(*args, **kwargs):
    raise OSError("the network is blocked in this test")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
"""
COMMANDS = (
    "data example data/sample --train-images 4 --val-images 2 --short-side 64",
    "train data/sample training.steps=2 training.budget=none loader.workers=0 evaluation.drawn_images=0",
    "detect data/sample/images/val --latest",
    "evaluate --latest --report report.html",
    "export --latest --output x.onnx",
)

TOGETHER = """
import shlex, sys
import detkit
from detkit.cli.main import main
print(detkit.__file__)
for command in sys.argv[1:]:
    if code := main(shlex.split(command)):
        sys.exit(f"{command}: exit code {code}")
"""
"""The commands one after the other in one process, because importing PyTorch takes longer than most of them."""

LIBRARIES = ("numpy", "Pillow", "onnxruntime", "pydantic")
"""All that detection without PyTorch needs; docs/export.md states the same."""
LIGHT = """
import json, sys
from importlib import metadata
from detkit.inference import load_exported
from detkit.weights import embedded_onnx_path
rows = load_exported(embedded_onnx_path(), min_score=0.2)(sys.argv[1])
names = sorted(found.name.lower() for found in metadata.distributions())
print(json.dumps({"names": names, "labels": [row.class_name for row in rows], "size": list(rows.draw(sys.argv[1]).shape)}))
"""

pytestmark = pytest.mark.slow


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PIP_NO_INDEX": "1"})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, so that the checkout stays as it is."""
    for module in ("pip", "setuptools"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed, so no wheel can be built")
    if int(metadata.version("setuptools").split(".")[0]) < SETUPTOOLS:
        pytest.skip(f"needs setuptools {SETUPTOOLS} or later, got {metadata.version('setuptools')}")
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, source / name)
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", str(source), "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel and a ``sitecustomize`` module that blocks the network."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--target", str(folder), str(wheel))
    (folder / "sitecustomize.py").write_text(BLOCK_NETWORK)
    return folder


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in ``folder`` with the installed wheel first on the path."""
    variables = {**os.environ, "PYTHONPATH": str(installed), "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    for name in ("DETKIT_WEIGHTS", "TORCH_HOME"):
        variables.pop(name, None)
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=600)


def test_wheel_contains_every_module_and_data_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = subprocess.run(["git", "ls-files", "detkit"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    assert {name for name in tracked if (ROOT / name).is_file()} <= names
    assert {"detkit/py.typed", "detkit/zoo/house/quickstart.py"} <= names
    assert wheel.name.startswith("detkit_vision-")
    assert not [name for name in names if name.startswith(("tests", "docs", "configs", "tools"))]


def test_every_command_runs_offline_outside_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    blocked = run(installed, tmp_path, "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')")
    assert "the network is blocked in this test" in blocked.stderr
    assert run(installed, tmp_path, "-m", "detkit", "models", "list").returncode == 0
    commands = [command for command in COMMANDS if not command.startswith("export") or importlib.util.find_spec("onnx") is not None]
    done = run(installed, tmp_path, "-c", TOGETHER, *commands)
    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
    assert Path(done.stdout.splitlines()[0]).is_relative_to(installed)
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name.startswith("embedded")] == ["embedded-1"]
    assert sorted(path.name for path in (tmp_path / "runs" / "detect-1").iterdir()) == ["sample_00004.jpg", "sample_00005.jpg"]


@pytest.fixture(scope="module")
def small_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel and the few libraries of detection without PyTorch, from the package index."""
    folder = tmp_path_factory.mktemp("small")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-q"]
    fetched = subprocess.run([*install, *LIBRARIES], capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        pytest.skip(f"the package index cannot be reached: {fetched.stderr.splitlines()[-1:]}")
    subprocess.run([*install, "--no-deps", str(wheel)], check=True)
    return python


def test_detection_needs_four_libraries(small_environment: Path, tmp_path: Path) -> None:
    photo = tmp_path / "cat.jpg"
    Image.open(sample_photograph()).save(photo, quality=95)

    def run_small(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run([str(small_environment), *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    light = run_small("-c", LIGHT, str(photo))
    assert light.returncode == 0, light.stderr
    found = json.loads(light.stdout)
    assert not {"torch", "torchvision", "opencv-python", "opencv-python-headless", "scipy", "safetensors"} & set(found["names"])
    assert found["labels"] == ["cat"]
    assert found["size"] == [300, 451, 3]
    outputs = ("--json", "found.json", "--csv", "found.csv", "--coco", "coco.json", "--labels", "made", "--labels-format", "coco")
    done = run_small("-m", "detkit", "detect", "cat.jpg", *outputs)
    assert done.returncode == 0, done.stderr
    assert [row["class"] for row in json.loads((tmp_path / "found.json").read_text())["images"][0]["detections"]] == ["cat"]
    assert (tmp_path / "runs" / "detect-1" / "cat.jpg").is_file()
    assert run_small("-m", "detkit", "detect", "cat.jpg", "--tiles", "200", "--flip").returncode == 0
    for words, missing in ((("--precision", "bf16"), "torch"), (("--labels", "other"), "yaml")):
        refused = run_small("-m", "detkit", "detect", "cat.jpg", *words)
        assert refused.returncode == 2
        assert f"No module named '{missing}'; a dependency is missing: pip install detkit-vision" in refused.stderr
    no_sample = run_small("-m", "detkit", "detect")
    assert "scikit-image, which contains the sample photograph, is not installed; name an image of your own" in no_sample.stderr
