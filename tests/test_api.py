"""What ``import detkit`` offers: its names, its help, and what a type checker makes of it."""

from __future__ import annotations

import io
import os
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import detkit
from detkit.config import ConfigError

ROOT = Path(__file__).resolve().parents[1]
SNIPPET = """
import detkit

predictor = detkit.load("embedded", min_score=0.2)
detections: detkit.Detections = predictor("photo.jpg")
for detection in detections:
    print(detection.class_name, detection.score, detection.box)
    box: tuple[float, float, float, float] = detection.box
several: list[detkit.Detections] = predictor(["a.jpg", "b.jpg"])
one: detkit.Detection = detections[0]
best: detkit.Detections = detections[detections.scores > 0.5]


class Printer(detkit.Hook):
    def evaluation(self, step: int, numbers: object) -> None:
        print(step, numbers)


config: detkit.Experiment = detkit.zoo.load("embedded").replace(data="my_folder")
result: detkit.TrainResult = detkit.train(config, hooks=[Printer()])
numbers = detkit.evaluate(result.best, data="my_folder")
print(numbers.ap)
"""
MISTAKES = """
import detkit

detkit.Experiment(modle=3)
detkit.train(config=3)
detkit.load("embedded")("photo.jpg").socres
"""


def mypy(folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Check a user's code as strictly as mypy can; only its own errors are reported, as for an installed package."""
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", str(folder / ".cache"), target]
    return subprocess.run(command, cwd=folder, env=os.environ | {"MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False)


def test_dir_shows_the_api_alone() -> None:
    code = "import detkit, json; print(json.dumps(dir(detkit)))"
    import json

    names = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert {"load", "train", "evaluate", "Experiment", "Detections", "Hook", "zoo"} <= set(names)
    assert not {"TYPE_CHECKING", "lazy_getattr", "annotations", "backbones"} & set(names)
    assert all(hasattr(detkit, name) for name in names)


def test_help_fits_two_screens() -> None:
    out = io.StringIO()
    pydoc.Helper(output=out).help(detkit)
    lines = out.getvalue().splitlines()
    assert len(lines) <= 100
    assert all(name in out.getvalue() for name in ("load(model)", "train(config", "evaluate(model, data)", "Detections"))


def test_a_folder_stands_for_the_data() -> None:
    config = detkit.Experiment(data="my_folder")
    assert config.data.train.path == "my_folder"
    assert config.replace(data=Path("other")).data.train.path == "other"
    assert detkit.Experiment.from_json(config.to_json()) == config
    with pytest.raises(ConfigError, match="unknown key 'modle': did you mean 'model'"):
        detkit.Experiment(modle=3)  # type: ignore[call-arg]


@pytest.mark.slow
def test_a_users_type_checker_understands_it(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(SNIPPET)
    (tmp_path / "bad.py").write_text(MISTAKES)
    good = mypy(tmp_path, "good.py")
    assert good.returncode == 0, good.stdout[-2000:]
    bad = mypy(tmp_path, "bad.py").stdout
    assert 'Unexpected keyword argument "modle" for "Experiment"' in bad
    assert 'Argument "config" to "train" has incompatible type "int"' in bad
    assert '"Detections" has no attribute "socres"' in bad


@pytest.mark.slow
def test_the_snippets_of_the_readme_pass_a_type_checker(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    snippets = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    assert len(snippets) >= 2
    for number, snippet in enumerate(snippets):
        (tmp_path / f"snippet{number}.py").write_text(snippet)
    done = mypy(tmp_path, ".")
    assert done.returncode == 0, done.stdout[-2000:]
