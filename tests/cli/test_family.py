"""``detkit explain --models``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bright import image, saved

from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.family import resolve_models
from detkit.cli.main import main
from detkit.models import MODELS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an image, and no weights anywhere."""
    monkeypatch.chdir(tmp_path)
    for name in ("DETKIT_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    saved(tmp_path, "a.png", image())
    return tmp_path


def test_a_strip_and_its_page_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a.png", "--models", "yolox,embedded", "--output", "out", "--device", "cpu"]) == 0
    output = capsys.readouterr().out
    assert output.count("YOLOX (2021)") == 2
    assert {path.name for path in (folder / "out").iterdir()} == {"a-family.png", "a-family.html"}
    assert (folder / "out" / "a-family.html").read_text("utf-8").count('class="member"') == 2


def test_models_without_weights_are_one_error_that_says_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a.png", "--models", "rcnn,embedded,detr,yolox_s,fcos_lite0_bccd"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no weights of rcnn (train it with `detkit train rcnn_lite0_bccd --data FOLDER`); detr (train it with " in line
    assert "or run `detkit models download detr_r50`); yolox_s (run `detkit models download yolox_s`); fcos_lite0_bccd (train" in line
    assert main(["explain", "a.png", "--models", "yoloy"]) == 2
    assert "did you mean 'yolox'?" in capsys.readouterr().err
    assert main(["explain", "a.png", "--models", ","]) == 2
    assert main(["explain", "a.png", "--models", "embedded", "--model", "embedded"]) == 2
    assert "--models shows several detectors, and --model is for one" in capsys.readouterr().err
    assert not (folder / "runs").exists()


def test_a_kind_is_the_newest_run_of_it(folder: Path) -> None:
    config = MODELS.get("fcos")()
    config = config.replace(backbone=config.backbone.replace(name="resnet18", weights=None))
    for index, name in enumerate(("mine-1", "mine-2")):
        path = folder / "runs" / name / "best.safetensors"
        path.parent.mkdir(parents=True)
        header = make_header(config.to_json(), ("a",), experiment=f'{{"name": "{name}"}}')
        save_checkpoint(path, {}, header)
        os.utime(path, (1000 - index, 1000 - index))
    assert resolve_models(" fcos ,fcos") == [("fcos", Path("runs/mine-1/best.safetensors"))]
