from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from detkit import zoo
from detkit.config import load_config
from detkit.experiment import Experiment

ROOT = Path(__file__).resolve().parents[2]
NAMES = zoo.names()


def test_names_are_the_files() -> None:
    files = sorted(path.stem for path in (ROOT / "detkit" / "zoo").glob("*/*.py") if not path.stem.startswith("_"))
    assert list(NAMES) == files
    assert files == sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
    assert all(zoo.path(name).is_file() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_description_has_commands_and_a_result(name: str) -> None:
    entry = zoo.describe(name)
    assert entry.name == name
    assert entry.title.endswith(".")
    assert any(f"detkit train {name}" in command for command in entry.commands), entry.commands
    assert all(command.split()[0] in {"detkit", "torchrun"} for command in entry.commands)
    assert entry.measured != ("not yet run" in entry.result)
    assert not entry.measured or any(digit in entry.result for digit in "0123456789")


@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_the_one_in_configs_and_survives_json(name: str) -> None:
    config = zoo.load(name)
    assert config.name == name
    assert load_config(ROOT / "configs" / f"{name}.py", Experiment) == config
    assert Experiment.from_json(config.to_json()) == config


@pytest.mark.parametrize("name", NAMES)
def test_no_path_leaves_the_working_directory(name: str) -> None:
    config = zoo.load(name)
    sources = [config.data.train, *config.data.unlabeled, *([config.data.val] if config.data.val else [])]
    paths = [path for source in sources for path in (source.path, source.images) if path]
    teacher_file = config.distillation.teacher_file if config.distillation is not None else None
    for path in [*paths, *([teacher_file] if teacher_file else [])]:
        assert not Path(path).is_absolute()
        assert ".." not in Path(path).parts


def test_an_unknown_name_suggests_the_nearest() -> None:
    for function in (zoo.load, zoo.path, zoo.describe):
        with pytest.raises(ValueError, match=r"unknown config 'fpn_r5O': did you mean 'fpn_r50'\?"):
            function("fpn_r5O")


def test_descriptions_do_not_import_torch_or_execute_the_file() -> None:
    code = (
        "import sys; from detkit import zoo; entries = [zoo.describe(name) for name in zoo.names()]; "
        "print(len(entries), 'torch' in sys.modules, 'timm' in sys.modules, any(m.startswith('detkit.zoo.') for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(NAMES)), "False", "False", "False"]


def test_other_packages_add_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other_configs.py").write_text(
        '"""A config of another package.\n\n    detkit train other\n\nResult: not yet run.\n"""\n'
        "from detkit.config_classes import Experiment\n\nconfig = Experiment(name='other')\nnothing = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    points = EntryPoints([EntryPoint(name, f"other_configs:{attribute}", zoo.GROUP) for name, attribute in _OTHER.items()])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **wanted: points.select(**wanted))
    assert set(zoo.names()) == {*NAMES, *_OTHER}
    entry = zoo.describe("other")
    assert (entry.title, entry.commands, entry.measured) == ("A config of another package.", ("detkit train other",), False)
    assert zoo.load("other").name == "other"
    with pytest.raises(ValueError, match="config 'broken': expected an Experiment, got int; fix the package that adds it"):
        zoo.load("broken")
    sys.modules.pop("other_configs", None)


_OTHER = {"other": "config", "broken": "nothing"}
