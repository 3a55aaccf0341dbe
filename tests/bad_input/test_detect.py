from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from bright import image, predictor, saved

import detkit.inference
from detkit.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with a valid image, a.png; there is no detector unless the ``bright`` fixture is used."""
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, "a.png", image())
    return tmp_path


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(source: Any, device: str, precision: str, **options: Any) -> Any:
        return predictor(60, **options)

    monkeypatch.setattr(detkit.inference, "load", load)


def error_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["detect", *words]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


@pytest.mark.usefixtures("bright")
def test_unreadable_images_are_named_and_the_others_processed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("not an image")
    cut = saved(folder, "cut.jpg", image(600, 800))
    cut.write_bytes(cut.read_bytes()[:3000])
    words = ["--model", "x", "--json", "a.json"]
    assert main(["detect", "empty.jpg", "text.png", "cut.jpg", "gone.png", "a.png", *words]) == 1
    output = capsys.readouterr()
    for name in ("empty.jpg", "text.png", "cut.jpg", "gone.png"):
        assert f"detkit: {name}: " in output.err
    assert output.err.splitlines()[-1] == "detkit: 4 of 5 images could not be read"
    assert "a.png (80 x 60): 2 detections" in output.out
    images = json.loads(Path("a.json").read_text())["images"]
    assert [("error" in row) for row in images] == [False, True, True, True, True]


def test_missing_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such image: b.png" in error_of(capsys, "b.png")


def test_pattern_that_matches_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "*.jpg: the pattern matches no file" in error_of(capsys, "*.jpg")


def test_folder_without_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "e" / "inside").mkdir(parents=True)
    assert "e: the folder has no images" in error_of(capsys, "e")
    assert "give 'e/**/*.jpg'" in error_of(capsys, "e")


def test_an_address_without_a_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://user:word@127.0.0.1:{unused.getsockname()[1]}/a.jpg"
        assert main(["detect", address]) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert "/a.jpg: cannot connect (" in first
    assert "word" not in first
    assert last == "detkit: 1 of 1 image could not be read"


def test_no_detector(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.weights.embedded._FILE", folder / "none.safetensors")
    assert "weights embedded: this installation of detkit has no embedded detector" in error_of(capsys, "a.png")


def test_weights_that_do_not_exist(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "checkpoint best.safetensors: no such file" in error_of(capsys, "a.png", "--model", "best.safetensors")
    assert "did you mean 'fasterrcnn_resnet50_fpn'" in error_of(capsys, "a.png", "--model", "fasterrcnn_resnet50_fnp")


def test_run_folder_without_a_checkpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    assert "expected a checkpoint, or a run folder with best.safetensors" in error_of(capsys, "a.png", "--model", "run")


def test_truncated_checkpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.numpy import save_file

    save_file({"a": __import__("numpy").zeros(1000)}, folder / "c.safetensors")
    Path("c.safetensors").write_bytes(Path("c.safetensors").read_bytes()[:4000])
    assert "checkpoint c.safetensors: truncated" in error_of(capsys, "a.png", "--model", "c.safetensors")


def test_pickle_is_not_opened(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.pth").write_bytes(b"\x80\x04" + b"x" * 100)
    assert "a pickle (.pth, .pt), not opened because it can execute code" in error_of(capsys, "a.png", "--model", "c.pth")


def test_score_out_of_range(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["detect", "a.png", "--min-score", "50"])
    assert stop.value.code == 2
    assert "--min-score: expected a number from 0 to 1, got '50'" in capsys.readouterr().err


@pytest.mark.usefixtures("bright")
def test_unknown_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "class 'gren' is not among the 2 classes of the model: did you mean 'green'?" in error_of(
        capsys, "a.png", "--model", "x", "--classes", "red,gren"
    )


def test_two_images_with_one_image_id(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(folder, "x_7.png", image())
    saved(folder, "y_07.png", image())
    line = error_of(capsys, "x_7.png", "y_07.png", "--coco", "dt.json")
    assert "x_7.png and y_07.png have the same image id 7; give their ids with --annotations" in line
    assert "use --json, which needs no ids, or --labels DIR --labels-format coco, which numbers the images" in line


def test_invalid_annotations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("gt.json").write_text("[]")
    assert "--annotations gt.json: expected COCO JSON" in error_of(capsys, "a.png", "--coco", "d.json", "--annotations", "gt.json")
    assert "--annotations no.json: no such file" in error_of(capsys, "a.png", "--coco", "d.json", "--annotations", "no.json")
    Path("gt.json").write_text(json.dumps({"images": [], "categories": []}))
    assert "a.png: not among the 0 images" in error_of(capsys, "a.png", "--coco", "d.json", "--annotations", "gt.json")


@pytest.mark.usefixtures("bright")
def test_output_is_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--output a.png: expected a folder, got a file" in error_of(capsys, "a.png", "--model", "x", "--output", "a.png")
