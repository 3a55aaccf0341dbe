"""``detkit data check``: lines, files and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from detkit.cli.main import main
from detkit.data import make_sample
from detkit.data.checks.report import CheckReport
from detkit.experiment import Experiment
from detkit.models.fcos import FCOSConfig


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "sample"
    make_sample(folder, 12, "yolo", short_side=64, val_images=4)
    return folder


@pytest.fixture
def data(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "data"))


def repeat_a_box(data: Path) -> str:
    """Write the first box of a label file once more, and return the stem of the file."""
    file = min(data.rglob("labels/train/sample_*.txt"))
    first = file.read_text().splitlines()[0]
    file.write_text(f"{first}\n{file.read_text()}")
    return file.stem


def leak(data: Path) -> None:
    """Copy a training image with its labels to the validation part."""
    image = min((data / "images" / "train").iterdir())
    shutil.copy(image, data / "images" / "val")
    shutil.copy(data / "labels" / "train" / f"{image.stem}.txt", data / "labels" / "val")


def test_warnings_with_examples_and_advice(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stem = repeat_a_box(data)
    assert main(["data", "check", str(data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("  train: boxes that repeat a box of the same class: 1")
    assert lines[start + 1].startswith(f"      {stem}.")
    assert " object 2: " in lines[start + 1]
    assert lines[start + 2] == "      -> remove them: the second one counts as a missed object"
    assert lines.index("WARNINGS") < start
    assert lines[-1].startswith("no errors, ")
    assert main(["data", "check", str(data), "--strict"]) == 1


def test_errors_exit_with_1_and_are_in_the_json(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leak(data)
    file = tmp_path / "report.json"
    assert main(["data", "check", str(data), "--json", str(file)]) == 1
    out = capsys.readouterr().out
    assert "ERRORS\n  train: training images that are also used to measure: 1\n" in out
    assert f"report: {file}" in out
    content = json.loads(file.read_text())
    assert content["schema"] == 1
    assert content["counts"]["error"] == 1
    assert content["findings"][0]["rule"] == "leak"
    assert content["findings"][0]["examples"][0]["detail"] == "the same bytes"
    assert CheckReport.read(file).as_json() == content


def test_parts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leak(data)
    assert main(["data", "check", str(data), "--parts", "train"]) == 0
    assert "12 images, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "data none: no such file or folder"),
        (["DATA", "--parts", "tarin"], "did you mean 'train'"),
        (["DATA", "--model", "yolox_z"], "yolox_z"),
        (["DATA", "--strickt"], "--strickt"),
    ],
)
def test_misuse_exits_with_2(data: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    words = [str(data) if word == "DATA" else word for word in words]
    try:
        code: object = main(["data", "check", *words])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_labels_that_cannot_be_read_are_an_error_without_a_trace(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    min(data.rglob("labels/val/sample_*.txt")).write_text("0 nonsense\n")
    assert main(["data", "check", str(data)]) == 1
    out, err = capsys.readouterr()
    assert "val: labels that cannot be read: 1" in out
    assert ", line 1: " in out
    assert "Traceback" not in out + err
    assert "12 images, " in out


def test_a_model_adds_what_it_cannot_meet(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = FCOSConfig()
    model = model.replace(head=model.head.replace(postprocess=model.head.postprocess.replace(max_detections=1)))
    config = tmp_path / "config.json"
    config.write_text(Experiment(model=model).to_json())
    line = "train: images with more objects than the model detects in an image: "
    assert main(["data", "check", str(data)]) == 0
    assert line not in capsys.readouterr().out
    assert main(["data", "check", str(data), "--model", str(config)]) == 0
    assert line in capsys.readouterr().out


def test_the_page(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stem = repeat_a_box(data)
    page = tmp_path / "check.html"
    assert main(["data", "check", str(data), "--html", str(page)]) == 0
    assert f"page: {page}" in capsys.readouterr().out
    assert stem in page.read_text("utf-8")


def test_pixels(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shutil.copy(min((data / "images" / "train").iterdir()), data / "images" / "train" / "copy.jpg")
    assert main(["data", "check", str(data), "--pixels"]) == 0
    assert "train: images with the same pixels as another image of the part: 1" in capsys.readouterr().out
