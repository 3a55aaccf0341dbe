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


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What mypy, as strict as it can be, says of each file of a user's code; it checks all in one run, as a run alone takes half a minute.

    Only the files' own errors are reported, as for an installed package.
    """
    folder = tmp_path_factory.mktemp("user")
    text = (ROOT / "README.md").read_text("utf-8")
    snippets = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    assert len(snippets) >= 2
    files = {"good": SNIPPET, "bad": MISTAKES} | {f"readme{number}": snippet for number, snippet in enumerate(snippets)}
    for name, code in files.items():
        (folder / f"{name}.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", str(folder / ".cache"), "."]
    done = subprocess.run(command, cwd=folder, env=os.environ | {"MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert f"checked {len(files)} source files" in done.stdout, done.stdout + done.stderr
    return {name: "".join(line for line in done.stdout.splitlines(keepends=True) if line.startswith(f"{name}.py")) for name in files}


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
def test_a_users_type_checker_understands_it(complaints: dict[str, str]) -> None:
    assert complaints["good"] == ""
    bad = complaints["bad"]
    assert 'Unexpected keyword argument "modle" for "Experiment"' in bad
    assert 'Argument "config" to "train" has incompatible type "int"' in bad
    assert '"Detections" has no attribute "socres"' in bad


@pytest.mark.slow
def test_the_snippets_of_the_readme_pass_a_type_checker(complaints: dict[str, str]) -> None:
    assert {name: text for name, text in complaints.items() if name.startswith("readme")} == {"readme0": "", "readme1": ""}
