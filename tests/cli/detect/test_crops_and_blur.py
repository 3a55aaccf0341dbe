"""``detkit detect`` with --crops, --blur and --only-found."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from bright import BrightDetector, image, predictor, saved
from PIL import Image
from torch import Tensor, zeros
from videos import film

import detkit.inference
from detkit.cli.main import main
from detkit.cli.results.names import folder_names
from detkit.data import read_image
from detkit.data.media.video import Video
from detkit.structures import Detections


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an image of two objects and one without; ``--model bright`` is a detector of bright rectangles."""
    monkeypatch.setattr(detkit.inference, "load", lambda *_, **options: predictor(60, **{**options, "svd": None}))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    saved(tmp_path / "in", "full.png", image(red=(10, 20, 30, 40)))
    saved(tmp_path / "in", "empty.png", np.zeros((50, 70, 3), np.uint8))
    return tmp_path


def detect(*words: str) -> int:
    return main(["detect", "--model", "bright", *words])


def files(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def size(path: str) -> tuple[int, int]:
    with Image.open(path) as opened:
        return opened.size


def test_each_object_is_a_crop(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("in", "--crops", "crops", "--no-draw") == 0
    assert files("crops") == ["green/full_2.jpg", "red/full_1.jpg"]
    crop = read_image("crops/red/full_1.jpg").astype(int)
    assert crop.shape == (20, 20, 3)
    assert np.abs(crop - [255, 0, 0]).max() < 20
    out = capsys.readouterr().out
    assert "crops: 2 objects\n" in out
    assert "written: crops" in out


def test_crops_have_a_margin_that_ends_at_the_border(folder: Path) -> None:
    assert detect("in/full.png", "--crops", "crops", "--crop-margin", "0.75", "--no-draw") == 0
    assert (size("crops/red/full_1.jpg"), size("crops/green/full_2.jpg")) == ((45, 50), (50, 23))


def test_crops_of_frames_and_of_equal_names(folder: Path) -> None:
    film(folder / "full.mp4", frames=4)
    (folder / "other").mkdir()
    saved(folder / "other", "Full.png", image())
    assert detect("in/full.png", "other", "full.mp4", "--every", "3", "--classes", "red", "--crops", "crops", "--no-draw") == 0
    assert files("crops/red") == ["Full-2_1.jpg", "full_000000_1.jpg", "full_000003_1.jpg", "full_1.jpg"]


def test_crops_of_a_rotated_photograph_are_upright(folder: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    saved(folder, "turned.jpg", np.rot90(image(red=(10, 20, 40, 30))), exif=exif, quality=95)
    assert detect("turned.jpg", "--classes", "red", "--crops", "crops", "--no-draw") == 0
    assert abs(np.subtract(size("crops/red/turned_1.jpg"), (30, 10))).max() <= 2


def test_boxes_without_area_in_the_image_are_skipped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = Tensor([[0, 9, 4, 9], [70, 50, 90, 70], [100, 9, 120, 19], [5, 5, 6, 6]])
    monkeypatch.setattr(BrightDetector, "_one", lambda *_: Detections(boxes, Tensor([0.9, 0.8, 0.7, 0.6]), zeros(4).long()))
    assert detect("in/full.png", "--crops", "crops", "--no-draw") == 0
    assert (size("crops/red/full_2.jpg"), size("crops/red/full_4.jpg")) == ((10, 10), (1, 1))
    assert files("crops") == ["red/full_2.jpg", "red/full_4.jpg"]
    assert "crops: 2 objects; 2 boxes without area in the image skipped" in capsys.readouterr().out


def test_folders_of_classes_have_names_that_every_system_allows() -> None:
    names = ["a/b", "..", "Cat", "cat", None, "x\x1b[2J", "con", "-r", "", "a:b", "dining table"]
    safe = folder_names(names)
    assert safe == ["a_b", "__", "Cat", "cat 2", "class 4", "x_x1b[2J", "con_", "_r", "class 8", "a_b 2", "dining table"]
    assert len({name.casefold() for name in safe}) == len(names)
    assert all(len(os.fsencode(name)) < 200 for name in folder_names(["ü" * 300]))


def test_crops_are_never_mixed_with_other_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--crops", "in"], ["--crops", "new", "--labels", "./new"], ["--crop-margin", "0.1"], ["--crops", "in/full.png"]):
        assert detect("in", *words) == 2
    err = capsys.readouterr().err.splitlines()
    assert (
        err[0] == "detkit: error: --crops in: expected a new or empty folder, so that it holds the objects of one command; give another one"
    )
    assert err[1] == "detkit: error: --crops new: expected another folder than that of --labels; give a new one"
    assert err[2] == "detkit: error: --crop-margin needs --crops DIR"
    assert err[3].startswith("detkit: error: --crops in/full.png: expected a folder, got a file")
    assert not Path("new").exists()


def test_blurred_objects_are_in_no_output(folder: Path) -> None:
    """A text of black columns on red is in the input only."""
    pixels = image(red=(10, 20, 30, 40))
    pixels[22:38, 12:28:2] = [255, 255, 255]
    saved(folder, "text.png", pixels)
    saved(folder, "text.jpg", pixels, quality=95)
    words = ("--blur", "red", "--classes", "red", "--crops", "crops", "--labels", "made", "--output", "out")
    assert detect("text.png", "text.jpg", *words) == 0
    written = [*(f"crops/{name}" for name in files("crops")), *(f"out/{name}" for name in files("out"))]
    written += [f"made/images/train/{name}" for name in files("made/images/train")]
    assert len(written) == 6
    for name in ["text.png", "text.jpg", *written]:
        shown = read_image(name).astype(int)
        scale = shown.shape[1] // 80 or 1
        box = shown if name.startswith("crops") else shown[22 * scale : 38 * scale, 12 * scale : 28 * scale]
        contrast = np.abs(np.diff(box[..., 1], axis=1)).max()
        assert (contrast > 100) == (name in {"text.png", "text.jpg"}), name
    assert Path("made/images/train/text.png").read_bytes() != Path("text.png").read_bytes()


def test_copies_without_blurred_objects_are_unchanged(folder: Path) -> None:
    assert detect("in", "--blur", "red", "--labels", "made", "--no-draw") == 0
    assert Path("made/images/train/empty.png").read_bytes() == Path("in/empty.png").read_bytes()
    assert Path("made/images/train/full.png").read_bytes() != Path("in/full.png").read_bytes()


def test_boxes_of_blurred_classes_are_not_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("in/full.png", "--output", "plain", "--classes", "green") == 0
    assert detect("in/full.png", "--output", "blurred", "--blur", "red", "--json", "a.json") == 0
    plain, blurred = read_image("plain/full.jpg").astype(int), read_image("blurred/full.jpg").astype(int)
    np.testing.assert_allclose(blurred[:, 300:], plain[:, 300:], atol=12)  # the green box is drawn, right of the red one
    assert "2 detections: 1 red, 1 green" in capsys.readouterr().out
    assert len(json.loads(Path("a.json").read_text())["images"][0]["detections"]) == 2


def test_frames_are_blurred(folder: Path) -> None:
    film(folder / "clip.mp4", frames=3)
    assert detect("clip.mp4", "--blur", "red", "--classes", "red", "--output", "out") == 0
    for before, after in zip(Video("clip.mp4").frames(), Video("out/clip.mp4").frames(), strict=True):
        left = 3 * before.index
        border = np.s_[25:35, max(0, left - 2) : left + 3]
        assert np.ptp(before.pixels[border][..., 0]) > 100 or not left
        assert np.ptp(after.pixels[::6, ::6][border][..., 0].astype(int)) < 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--blur", "rad"], "--blur: class 'rad' is not among the 2 classes of the model: did you mean 'red'?"),
        (
            ["--classes", "green", "--blur", "red"],
            "--blur: class 'red' is not reported, so its objects would stay visible; add it to --classes",
        ),
        (["--blur", "red", "--no-draw"], "--blur: nothing with pixels is written; leave out --no-draw, or add --crops or --labels"),
        (["--blur", "in/full.png"], "--blur: expected class names, got the file in/full.png; name the images before --blur"),
        (["--classes", "red", "0"], "--classes: expected class names, got the camera 0; name the images before --classes"),
    ],
)
def test_blur_that_would_leave_objects_visible_is_refused(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("in", *words) == 2
    assert capsys.readouterr().err == f"detkit: error: {message}\n"
    assert not Path("runs").exists()


def test_only_images_with_detections_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--json", "a.json", "--csv", "a.csv", "--labels", "made", "--output", "out")
    assert detect("in", "--only-found", *words) == 0
    out = capsys.readouterr().out
    assert "empty.png" not in out
    assert "2 images, 2 detections: 1 red, 1 green" in out
    assert "1 image without detections is left out" in out
    assert files("out") == ["full.jpg"]
    assert files("made/images/train") == ["full.png"]
    content = json.loads(Path("a.json").read_text())
    assert (content["only_found"], [Path(row["file"]).name for row in content["images"]]) == (True, ["full.png"])
    assert detect("in/empty.png", "--only-found", "--output", "none") == 0
    assert not Path("none").exists()


def test_only_frames_with_detections_are_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(folder / "clip.mp4", frames=6)
    original = BrightDetector._one
    none = Detections(zeros(0, 4), zeros(0), zeros(0).long())
    numbers = iter(range(6))
    monkeypatch.setattr(BrightDetector, "_one", lambda *given: original(*given) if next(numbers) in {1, 4} else none)
    assert detect("clip.mp4", "--only-found", "--json", "a.json") == 0
    (video,) = json.loads(Path("a.json").read_text())["videos"]
    assert (video["frames_processed"], [frame["frame"] for frame in video["frames"]]) == (6, [1, 4])
    assert Video("runs/detect-1/clip.mp4").length == 2
