"""``detkit train``: what the command trains, by folder, name or file, and its flags."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bright import image, saved

import detkit.experiment
from detkit import weights, zoo
from detkit.cli.main import main
from detkit.cli.train import recipe
from detkit.cli.train.command import split_words
from detkit.data import DataConfig, SourceConfig, load_data
from detkit.data.synthetic import make_sample
from detkit.experiment import Experiment


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Experiment]:
    """The configs that the command would train."""
    configs: list[Experiment] = []

    def train(config: Experiment, **_: Any) -> SimpleNamespace:
        configs.append(config)
        return SimpleNamespace(interrupted=False, folder=Path("run"))

    monkeypatch.setattr(detkit.experiment, "train", train)
    monkeypatch.setattr("detkit.cli.train.command.write_run_report", lambda *_, **__: None)
    return configs


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of 8 training and 2 validation images in ``sample``, in the working folder; the GPU's weights are not on this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DETKIT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    make_sample(tmp_path / "sample", 8, "coco", short_side=64, val_images=2)
    return tmp_path / "sample"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the machine has a GPU."""
    monkeypatch.setattr("detkit.inference.device.pick_device", lambda name: torch.device("cuda" if name == "auto" else name))


def config_file(folder: Path) -> str:
    file = folder / "config.json"
    file.write_text(Experiment(name="first", data=DataConfig(val=SourceConfig(path="elsewhere"))).to_json())
    return str(file)


def test_a_folder_gets_a_recipe_for_the_cpu(sample: Path, started: list[Experiment], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "sample"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "recipe: embedded",
        "  no GPU is used, and a few core-minutes of fine-tuning the detector inside the package are enough",
        "  length: 100 epochs, as the data set is small (8 images)",
        "  validation: 2 images, evaluated 4 times, which takes as long as training on about 5 images",
        "  the same as: detkit train embedded --data sample training.epochs=100",
        "",
    ]
    config = started[0]
    assert (config.weights, config.data.train.path, config.data.val) == (zoo.load("embedded").weights, "sample", None)
    assert (config.training.epochs, config.training.budget) == (100, zoo.load("embedded").training.budget)


def test_the_printed_command_trains_the_same(sample: Path, started: list[Experiment], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample", "--budget", "3", "--val-fraction", "0.4", "--output", "here", "--precision", "bf16", "optimizer.lr=0.01"]
    assert main(["train", *words]) == 0
    out = capsys.readouterr().out
    assert "  length: 3 core-minutes for 6 images; change it with --budget\n" in out
    line = next(line for line in out.splitlines() if line.startswith("  the same as: detkit "))
    assert main(line.split("detkit ", 1)[1].split()) == 0
    assert started[0] == started[1]
    assert started[0].training.budget == 3
    assert started[0].data.val_fraction == 0.4


def test_flags_of_a_folder_override_the_recipe(sample: Path, started: list[Experiment]) -> None:
    assert main(["train", "sample", "--budget", "0.5", "training.steps=3", "--split", "val"]) == 0
    config = started[0]
    assert (config.training.budget, config.training.epochs, config.training.steps) == (0.5, None, 3)
    assert config.data.train.split == "val"


def test_a_gpu_with_consent_gets_the_best_published_weights(
    sample: Path, gpu: None, started: list[Experiment], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[str] = []

    def resolve(name: str, *_: object, fetch: bool = False, **__: object) -> Path:
        if not fetch:
            raise FileNotFoundError(name)
        downloads.append(name)
        return Path(name)

    monkeypatch.setattr(weights, "resolve", resolve)
    assert main(["train", "sample", "--yes"]) == 0
    out = capsys.readouterr().out
    assert downloads == [recipe.GPU_WEIGHTS]
    assert f"downloading {recipe.GPU_WEIGHTS}\nrecipe: dfine_finetune\n" in out
    assert "this machine has a GPU, and dfine_s is the most accurate fast detector whose weights are free to use (Apache-2.0)" in out
    assert "detkit train dfine_finetune --data sample weights=dfine_s\n" in out
    assert (started[0].weights, started[0].training.epochs) == (recipe.GPU_WEIGHTS, zoo.load("dfine_finetune").training.epochs)
    assert main(["train", "sample", "--yes", "--budget", "60"]) == 0
    assert "--data sample weights=dfine_s --budget 60\n" in capsys.readouterr().out
    assert started[1].training.budget == 60


@pytest.mark.parametrize("answer", ["n", "", "no"])
def test_a_gpu_without_consent_gets_the_embedded_detector(
    answer: str, sample: Path, gpu: None, started: list[Experiment], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or answer)
    assert main(["train", "sample"]) == 0
    out = capsys.readouterr().out
    assert len(questions) == 1
    assert questions[0].startswith(f"download {recipe.GPU_WEIGHTS} (about 39 MiB) from https://")
    assert "recipe: embedded\n" in out
    assert "is more accurate on this GPU, but not on this machine; get it with `detkit models download dfine_s`" in out


def test_nothing_is_asked_without_a_terminal(
    sample: Path, gpu: None, started: list[Experiment], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["train", "sample"]) == 0
    assert "recipe: embedded\n" in capsys.readouterr().out
    assert main(["train", "sample", "--device", "cpu"]) == 0
    assert "no GPU is used" in capsys.readouterr().out


def test_folders_of_images_per_class_train_a_classifier(
    tmp_path: Path, started: list[Experiment], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            for i in range(2):
                saved(tmp_path / "pets" / part / name, f"{i}.png", image(red=(10 * i, 20, 30, 40)))
    assert main(["train", "pets"]) == 0
    out = capsys.readouterr().out
    assert "recipe: classify_folder\n  pets has a folder of images for each class, so the model is a classifier\n" in out
    assert (started[0].model.kind, started[0].data.train.path) == ("classifier", "pets")


def test_a_config_by_name(sample: Path, started: list[Experiment], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "light_lite0", "--data", "sample", "--split", "val", "--budget", "7", "optimizer.lr=0.5"]) == 0
    assert capsys.readouterr().out == ""
    config, base = started[0], zoo.load("light_lite0")
    assert (config.name, config.model) == (base.name, base.model)
    assert (config.data.train.path, config.data.train.split, config.data.val) == ("sample", "val", None)
    assert (config.training.budget, config.optimizer.lr) == (7, 0.5)


def test_a_config_by_file(sample: Path, started: list[Experiment]) -> None:
    Path("own.py").write_text(zoo.path("quickstart").read_text("utf-8"))
    assert main(["train", "own.py", "training.epochs=2"]) == 0
    assert started[0] == zoo.load("quickstart").replace(training=zoo.load("quickstart").training.replace(epochs=2))
    assert main(["train", config_file(sample.parent)]) == 0
    assert started[1].name == "first"


def test_data_by_file(sample: Path, started: list[Experiment], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "sample/annotations/instances_train.json", "--images", "sample/images/train", "--val-fraction", "0.3"]) == 0
    assert "recipe: embedded\n" in capsys.readouterr().out
    source = started[0].data.train
    assert (source.path, source.images) == ("sample/annotations/instances_train.json", "sample/images/train")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            (),
            "train: expected labeled images or a config, got neither; try `detkit train FOLDER`, or a config from `detkit models list`",
        ),
        (
            ("quickstrat",),
            "train quickstrat: no such folder, file or config; did you mean 'quickstart'? `detkit models list` lists the configs",
        ),
        (("my_photos",), "train my_photos: no such folder, file or config; `detkit models list` lists the configs"),
        (("sample", "quickstart"), "train: expected one folder or config, got sample, quickstart; give the data with --data, and keys as"),
        (("none.py",), "none.py: no such file"),
        (("sample", "--split", "tset"), "tset"),
        (("sample", "optimizer.learning_rate=1"), "unknown key 'optimizer.learning_rate'"),
    ],
)
def test_wrong_words_are_refused(
    words: tuple[str, ...], message: str, sample: Path, started: list[Experiment], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert started == []


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--budget", "0", "argument --budget: expected core-minutes, a number above 0; got '0'"),
        ("--budget", "ten", "argument --budget: expected core-minutes, a number above 0; got 'ten'"),
        ("--val-fraction", "1.5", "argument --val-fraction: expected a number between 0 and 1, such as 0.1; got '1.5'"),
        ("--val-fraction", "half", "argument --val-fraction: expected a number between 0 and 1, such as 0.1; got 'half'"),
    ],
)
def test_invalid_values_of_flags_are_refused(flag: str, value: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["train", "quickstart", flag, value])
    assert message in capsys.readouterr().err


def test_words_with_equal_signs_are_overrides_unless_they_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1").mkdir()
    assert split_words(["optimizer.lr=1", "lr=1"]) == ("lr=1", ["optimizer.lr=1"])
    assert split_words(["a=1"]) == (None, ["a=1"])


def test_val_fraction_holds_out_training_images(sample: Path, started: list[Experiment]) -> None:
    assert main(["train", config_file(sample.parent), "data=sample", "--val-fraction", "0.4"]) == 0
    assert started[0].data.val_fraction == 0.4
    train, val = load_data(started[0].data)
    assert len(train) + len(val) == 8  # the split called val is not used
    assert len(val) >= 1
    assert not set(train.records.paths) & set(val.records.paths)


def test_flags_set_config_keys(tmp_path: Path, started: list[Experiment]) -> None:
    assert main(["train", config_file(tmp_path), "--precision", "bf16", "--output", "here"]) == 0
    assert (started[0].training.precision, started[0].output, started[0].data.val_fraction) == ("bf16", "here", None)
    assert started[0].data.val == SourceConfig(path="elsewhere")


def test_resume_without_a_run_takes_no_other_word(tmp_path: Path, started: list[Experiment], monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "first-1"
    run.mkdir(parents=True)
    (run / "last.state").touch()
    Path(config_file(tmp_path)).rename(run / "config.json")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--resume", "training.steps=8"]) == 0
    assert main(["train", "--resume", "runs/first-1", "training.steps=9"]) == 0
    assert [config.training.steps for config in started] == [8, 9]


def test_val_fraction_and_validation_data_are_refused(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", config_file(sample.parent), "data.train=sample", "--val-fraction", "0.1"]
    assert main(words) == 2
    assert "expected one of them: add data.val=none to split the training images" in capsys.readouterr().err
