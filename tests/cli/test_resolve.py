"""The detector that a command line names."""

from __future__ import annotations

from pathlib import Path

import pytest

from detkit import weights, zoo
from detkit.cli.resolve import model_line, resolve_model
from detkit.weights import embedded_path


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add_run(name: str) -> Path:
    path = Path("runs") / name / "best.safetensors"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.mark.parametrize("word", [None, "embedded"])
@pytest.mark.parametrize("runs", [(), ("first-1",)], ids=["no runs", "a run"])
def test_default_is_the_embedded_detector(word: str | None, runs: tuple[str, ...]) -> None:
    if embedded_path() is None:
        pytest.skip("the package has no embedded detector")
    for name in runs:
        add_run(name)
    assert resolve_model(word) == (embedded_path(), "the detector inside the package")


def test_default_without_an_embedded_detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("detkit.weights.embedded._FILE", tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError, match=r"weights embedded: this installation of detkit has no embedded detector .*; reinstall"):
        resolve_model(None)


def test_latest_is_the_newest_run() -> None:
    path = add_run("first-1")
    assert resolve_model(None, latest=True) == (path, "the newest run")


def test_latest_without_a_run_is_refused() -> None:
    message = "no run under runs/ has a checkpoint; train one with `detkit train FOLDER`, or name a model"
    with pytest.raises(FileNotFoundError, match=message):
        resolve_model(None, latest=True)


@pytest.mark.parametrize("word", ["embedded", "runs/first-1", "yolox_s"])
def test_latest_with_a_model_is_refused(word: str) -> None:
    add_run("first-1")
    with pytest.raises(ValueError, match=f"--latest means your newest run, but a model is named too: {word}; give one of the two"):
        resolve_model(word, latest=True)


@pytest.mark.parametrize("word", ["runs/first-1", "fasterrcnn_resnet50_fpn", "light.onnx", "no/such/file"])
def test_other_words_are_passed_on(word: str) -> None:
    assert resolve_model(word) == (word, "as given")


def published() -> set[str]:
    return {entry.name for entry in weights.catalog()} | {weights.EMBEDDED}


def test_names_of_configs_without_weights_are_refused_with_advice() -> None:
    configs = [name for name in zoo.names() if name not in published()]
    assert "light_lite0" in configs
    for name in configs:
        with pytest.raises(
            ValueError, match=f"^{name} is a config and has no weights yet; train it with `detkit train {name} --data FOLDER`"
        ):
            resolve_model(name)


def test_names_of_both_configs_and_weights_mean_the_weights() -> None:
    both = [name for name in zoo.names() if name in published() - {weights.EMBEDDED}]
    assert "yolox_s" in both
    assert [resolve_model(name)[0] for name in both] == both


def test_a_folder_with_the_name_of_a_config_is_the_folder() -> None:
    Path("light_lite0").mkdir()
    assert resolve_model("light_lite0") == ("light_lite0", "as given")


def test_model_line() -> None:
    line = model_line("runs/first-1", "as given", ("cat", None, "dog"), "cpu", "fp32")
    assert line == "model: runs/first-1 (as given; 2 classes), on cpu in fp32"
