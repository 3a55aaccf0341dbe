"""Error messages about configs."""

from __future__ import annotations

from pathlib import Path

import pytest

from detkit.cli.main import main
from detkit.config import ConfigError, apply_overrides, load_config
from detkit.experiment import Experiment


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=0.1", r"unknown key 'optimizer.lrr': did you mean 'lr'\?"),
        ("optimzer.lr=0.1", r"unknown key 'optimzer': did you mean 'optimizer'\?"),
        ("optimizer.lr=fast", r"optimizer.lr: expected a number, got 'fast'"),
        ("optimizer.lr=-1", r"optimizer.lr: expected greater than 0, got -1"),
        ("optimizer=adamv", r"optimizer: unknown kind 'adamv': did you mean 'adamw'\?"),
        ("model=faster_rcn", r"unknown model 'faster_rcn': did you mean 'faster_rcnn'\?"),
        ("model.backbone.name=resnet55", r"model.backbone.name: unknown backbone 'resnet55': did you mean 'resnet50'\?"),
        ("training.steps=12.5", r"training.steps: expected .*, got '12.5'"),
        ("training.channels_last=perhaps", r"training.channels_last: expected true or false, got 'perhaps'"),
        ("training.schedule_by=budget", r"schedule_by=budget needs training.budget, in core-minutes"),
        ("schedule.milestones=0.9,0.5", r"milestones: expected fractions of the run between 0 and 1 in ascending order, got \(0.9, 0.5\)"),
        ("loader.batch_size=0", r"loader.batch_size: expected a whole number of at least 1 or auto, got"),
        ("training", r"override 'training': expected key=value"),
        ("training=5", r"training is a group and takes no value; set one of its keys: training.steps"),
        ("seed.value=5", r"unknown key 'seed.value': 'seed' is a single value \(0\) with no keys of its own"),
        ("name=../climbs", r"name: expected letters, digits, and . _ \+ -, as it names a folder; got '../climbs'"),
        ("stages.3.name=x", r"stages.3.name: expected an index from 0 to 0, got '3'"),
        ("model.rpn.anchors.sizes.0.0=16", r"model.rpn.anchors.sizes.0.0: give the whole tuple$"),
        ("augmentation=mirror", r"augmentation.*expected .*(none|flip).*mirror"),
    ],
)
def test_invalid_overrides(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_overrides(Experiment(), [override])


def test_the_same_errors_in_python(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'sead': did you mean 'seed'\?"):
        Experiment(sead=3)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"seed: expected a whole number, got 'three' \(str\)"):
        Experiment(seed="three")  # type: ignore[arg-type]


def test_a_config_file_with_a_misspelled_key(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from detkit.experiment import Experiment\nconfig = Experiment(nane='x')\n")
    with pytest.raises(ConfigError, match=r"config .*mine.py: unknown key 'nane': did you mean 'name'\?"):
        load_config(file, Experiment)


def test_a_json_config_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for text, message in (('{"nane": "x"}', "unknown key 'nane': did you mean 'name'"), ("[1]", "expected an object"), ("{", "not JSON")):
        file.write_text(text)
        with pytest.raises(ConfigError, match=f"config .*config.json: .*{message}"):
            load_config(file, Experiment)


def test_the_command_prints_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(Experiment().to_json())
    assert main(["train", str(file), "optimizer.lrr=0.1"]) == 2
    assert capsys.readouterr().err == "detkit: error: unknown key 'optimizer.lrr': did you mean 'lr'?\n"
    assert main(["train", str(tmp_path / "mine.jsn")]) == 2
    assert "no such folder, file or" in capsys.readouterr().err
    assert main(["train", str(file), str(file)]) == 2
    assert "train: expected one folder or config, got " in capsys.readouterr().err
    assert main(["train"]) == 2
    assert "`detkit train FOLDER`" in capsys.readouterr().err
    file.write_text('{"name": "cut')
    assert main(["train", str(file)]) == 2
    assert "mine.json: expected JSON" in capsys.readouterr().err
