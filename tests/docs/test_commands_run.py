"""Commands of the documents that need no more than detkit are run as they are printed, in a scratch folder for each page.

Trainings are not run again: ``test_commands`` checks their configs, and ``tests/end_to_end/test_smoke.py`` trains each of them two steps.
The run that a page trains, and any other file that it names, is replaced by a small one; some example data has fewer images.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from documented import Command, every_command, runs_here
from PIL import Image

from detkit.cli.main import main
from detkit.drawing.video import VideoWriter

PAGES: dict[str, list[Command]] = {}
for _command in every_command():
    if runs_here(_command) and _command.page != "README.zh-CN.md":
        PAGES.setdefault(_command.page, []).append(_command._replace(number=0))  # a command that is there twice runs once


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Return a function that makes what a path of a page stands for."""
    folder = tmp_path_factory.mktemp("made")
    small(folder)
    return lambda path: copy(folder, path)


def small(folder: Path) -> None:
    """Make a small labeled data set with a test split, a photograph, a clip and a run."""
    assert main(["data", "example", str(folder / "data"), "--train-images", "4", "--val-images", "2"]) == 0
    labels = folder / "data" / "annotations"
    shutil.copy(labels / "instances_val.json", labels / "instances_test.json")
    shutil.copytree(folder / "data" / "images" / "val", folder / "data" / "images" / "test")
    photo = Image.fromarray(skimage.data.coffee()).resize((150, 100))
    photo.save(folder / "photo.jpg")
    frames = [np.asarray(photo.rotate(2 * index)) for index in range(4)]
    with VideoWriter(folder / "clip.mp4", 10.0) as writer:
        for frame in frames:
            writer.write(frame)
    words = ["training.steps=2", "training.budget=none", "training.epochs=none", "loader.batch_size=2", "evaluation.drawn_images=0"]
    assert main(["train", "embedded", "--data", str(folder / "data"), "--output", str(folder / "run"), "--no-report", *words]) == 0


def copy(folder: Path, path: Path) -> None:
    """Copy what a path stands for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        Image.open(folder / "photo.jpg").save(path)
    elif path.suffix in FILES:
        shutil.copy(folder / FILES[path.suffix], path)
    elif path.suffix == ".json":
        shutil.copytree(folder / "data" / "images" / "train", path.parent / "images", dirs_exist_ok=True)
        shutil.copy(folder / "data" / "annotations" / "instances_train.json", path)
    elif path.name in FOLDERS:
        path.mkdir()
        shutil.copy(folder / FOLDERS[path.name], path)
    else:
        shutil.copytree(folder / ("run" if path.parts[0] == "runs" else "data"), path)


FILES = {".jpg": "photo.jpg", ".mp4": "clip.mp4", ".safetensors": "run/best.safetensors"}
FOLDERS = {"photos": "photo.jpg", "frames": "photo.jpg", "clips": "clip.mp4", "holiday": "photo.jpg"}
DATA = {"my_folder", "my_data", "my_coco", "my_voc", "my_yolo", "data/sample", "data/large", "instances_train.json"}
"""What paths of the pages stand for."""


def inputs(command: Command) -> list[Path]:
    """Return the paths that a command reads, as far as its page has not made them."""
    words = command.words
    if words[0] == "data":  # the last of several is new
        paths = [word for word in words[2 : None if len(words) == 3 or words[1] == "check" else 3] if not word.startswith("--")]
        found = [Path(word) for word in paths if words[1] != "example"] + [Path(word) for word in words if word.startswith("runs/")]
    else:
        made_by_it = {"--output", "--json", "--csv", "--html", "--labels", "--plot", "--report", "--results"}
        found = [Path(word) for before, word in zip([command.text, *words], words, strict=False) if before not in made_by_it]
    found = [path for path in found if path.suffix in {*FILES, ".tif"} or path.parts[0] == "runs" or str(path) in {*FOLDERS, *DATA}]
    if "--latest" in words and not list(Path("runs").glob("*/best.safetensors")):
        found.append(Path("runs/newest-1"))
    return [path for path in found if not path.exists()]


def fewer(command: Command) -> list[str]:
    """Return flags that generate fewer images, where no later command of the page needs them all."""
    if "--large" in command.words:
        return ["--train-images", "2", "--val-images", "1"]
    if command.words[:2] == ["data", "example"] and "--train-images" not in command.words and command.page in {"README.md", "data.md"}:
        return ["--train-images", "30", "--val-images", "10"]
    return []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page(
    page: str, made: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for command in dict.fromkeys(PAGES[page]):
        for path in inputs(command):
            made(path)
        code = main([*command.words, *fewer(command)])
        output = capsys.readouterr()
        assert code == 0, f"{command.text}: {output.err or output.out}"
