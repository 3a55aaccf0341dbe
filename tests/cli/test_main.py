from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import detkit
from detkit.cli import main as cli
from detkit.cli.options import bind
from detkit.data.media.limits import VARIABLE, max_pixels

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    words: tuple[str, ...] = ()
    flag: float = 0.0


def fake(monkeypatch: pytest.MonkeyPatch, action: Callable[[ProbeOptions], int]) -> None:
    """Add a command ``probe`` with words and one flag that runs ``action(options)``."""
    module = types.ModuleType("probe_module", "A probe.")

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("words", nargs="*")
        parser.add_argument("--flag", type=float)
        bind(parser, ProbeOptions, action)

    monkeypatch.setattr(module, "add_arguments", add_arguments, raising=False)
    monkeypatch.setitem(sys.modules, "probe_module", module)
    monkeypatch.setitem(cli.COMMANDS, "probe", cli.Command("start", "probe_module", "does nothing"))


def raising(error: BaseException) -> Callable[[ProbeOptions], int]:
    def run(options: ProbeOptions) -> int:
        raise error

    return run


def test_flags_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ProbeOptions] = []

    def run(options: ProbeOptions) -> int:
        seen.append(options)
        return 7

    fake(monkeypatch, run)
    assert cli.main(["probe", "a=1", "--flag", "2.5", "b=2"]) == 7
    assert seen == [ProbeOptions(words=("a=1", "b=2"), flag=2.5)]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a\n  b"), "detkit: error: a b"),
        (FileNotFoundError("no such file"), "detkit: error: no such file"),
        (RuntimeError("r"), "detkit: error: r"),
        (ImportError("i"), "detkit: error: i"),
        (
            PermissionError(13, "Permission denied", "x.png"),
            "detkit: error: x.png: Permission denied; check its permissions, or use another path",
        ),
        (ValueError(), "detkit: error: ValueError"),
    ],
)
def test_errors_are_printed_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    fake(monkeypatch, raising(error))
    assert cli.main(["probe"]) == 2
    assert capsys.readouterr().err == line + "\n"


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, raising(ValueError("deep")))
    with pytest.raises(ValueError, match="deep"):
        cli.main(["probe", "--debug"])


def test_max_pixels_holds_for_all_images_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "5")
    limits: list[int] = []
    fake(monkeypatch, lambda options: limits.append(max_pixels()) or 0)
    assert cli.main(["probe"]) == 0
    assert cli.main(["probe", "--max-pixels", "7"]) == 0
    assert limits == [5, 7]
    for command in cli.COMMANDS:
        flags = {
            flag for leaf in cli.leaf_parsers(cli.command_parser(command)) for action in leaf._actions for flag in action.option_strings
        }
        assert ("--max-pixels" in flags) == (command not in cli.WITHOUT_IMAGES)


def test_internal_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, raising(KeyError("inside")))
    with pytest.raises(KeyError):
        cli.main(["probe"])


def test_keyboard_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake(monkeypatch, raising(KeyboardInterrupt()))
    assert cli.main(["probe"]) == 130
    assert capsys.readouterr().err == "detkit: stopped\n"


def test_unencodable_characters_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "cp1252", newline=""))

    def run(options: ProbeOptions) -> int:
        print("\u732b ä")
        return 0

    fake(monkeypatch, run)
    assert cli.main(["probe"]) == 0
    assert written.getvalue() == b"\\u732b \xe4\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"detkit {detkit.__version__}\n"


def test_no_command_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name:10}{command.help}\n" in out
        assert f"\n{command.group}:\n" in out


def test_renamed_commands_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["weights", "list"]) == 2
    assert capsys.readouterr().err == "detkit: error: unknown command 'weights': it is now called 'models'\n"


@pytest.mark.parametrize("words", [["detect", "--lates"], ["models", "list", "--fold=x"], ["data", "example", "x", "--short=64"]])
def test_abbreviated_flags_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(words)
    assert f"unrecognized arguments: {words[-1]}; see detkit {words[0]}" in capsys.readouterr().err


def heavy_imports(stderr: str) -> set[str]:
    modules = {line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")}
    return modules & {"torch", "torchvision", "timm", "albumentations", "pydantic", "numpy", "cv2", "PIL", "sklearn", "skimage"}


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in cli.COMMANDS)])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "detkit", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert "usage: detkit" in done.stdout
    assert not heavy_imports(done.stderr)


@pytest.mark.parametrize("tool", ["train", "detect", "evaluate", "export"])
def test_tools_run_the_commands_and_their_help_is_fast(tool: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools" / f"{tool}.py"), "--help"]
    seconds = []
    for _ in range(3):
        before = os.times()
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        after = os.times()
        assert done.stdout.startswith(f"usage: detkit {tool}"), done.stderr[-500:]
        # The CPU time of the process: other load on the machine must not fail this.
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) < 0.5


def test_importing_detkit_imports_nothing_heavy() -> None:
    code = "import sys, detkit; print({'torch', 'pydantic', 'numpy'} & set(sys.modules), 'load' in dir(detkit))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout == "set() True\n"


def test_lazy_names_are_resolved() -> None:
    from detkit.structures import Detections

    assert detkit.Detections is Detections
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        detkit.lode  # noqa: B018


def test_submodules_are_imported_on_access() -> None:
    code = "import sys, detkit; print('torch' in sys.modules, detkit.evaluation.evaluate_coco.__name__, hasattr(detkit, '_lode'))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert out.split() == ["False", "evaluate_coco", "False"]
