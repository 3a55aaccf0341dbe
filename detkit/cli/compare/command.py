"""Compare detectors on your own labeled images, under equal conditions: every config is trained for the same core-minutes.

    detkit compare --suite classics --data my_data --budget 10       14 detectors, from R-CNN to D-FINE, with three seeds each
    detkit compare fcos_lite0_bccd yolox_lite0_bccd --data my_data --seeds 5
    detkit compare yolox_lite0_bccd yolox_lite0_bccd:optimizer.lr=1e-3 --data my_data
    detkit compare runs/first-1 runs/second-1 model.onnx results.json --data my_data
    detkit compare --suite fast --data my_data --dry-run             print the plan and its price
    detkit compare runs/released runs/new-1 --data my_data --gate ap=-0.005,ap50:person=-0.01
    detkit compare yolox_lite0_bccd --data my_data --fractions 1/8,1/4,1/2,1       would more labels help?
    detkit compare --resume runs/compare-1                           continue where it was interrupted
    detkit compare runs/compare-1/compare.json                       repeat it from the start

Validation images choose the best checkpoint of each training; the test images are used once, at the end. The data's own splits train, val
and test are used; what is missing is held out by a hash of the image ids. Ctrl-C (or SIGTERM) saves the trainings that are running, and
the same command with --output, or --resume, continues them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from detkit.cli.compare.options import CompareOptions, add_compare_flags
from detkit.cli.options import bind

if TYPE_CHECKING:
    from detkit.comparison.plan import Plan, Protocol
    from detkit.comparison.session import Session

GATE_FAILED = 1
"""Exit code if a gate fails."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit compare``."""
    add_compare_flags(parser)
    bind(parser, CompareOptions, run)


def run(options: CompareOptions) -> int:
    """Compare, print and write."""
    from detkit.checkpoint.folder_lock import FolderLock
    from detkit.cli.compare.launch import Worker
    from detkit.cli.compare.text import plan_text, results_text
    from detkit.comparison.folder import ComparisonFolder
    from detkit.comparison.gate import check_classes, check_gates, parse_gates
    from detkit.comparison.results import judge
    from detkit.comparison.session import Session
    from detkit.comparison.splits import prepare

    gates = parse_gates(options.gate) if options.gate is not None else ()
    plan = _plan(options)
    if options.dry_run:
        with TemporaryDirectory() as temporary:
            print(plan_text(plan, prepare(plan.protocol, Path(temporary))))
        return 0
    folder = ComparisonFolder(_folder(options))
    folder.path.mkdir(parents=True, exist_ok=True)
    with FolderLock(folder.path):
        session = Session.open(plan, folder)
        check_classes(gates, session.parts.data["test"].class_names)
        print(f"{plan_text(session.plan, session.parts)}\n\nfolder: {folder.path}", flush=True)
        runner = session.run(Worker, jobs=options.jobs, say=lambda line: print(line, flush=True), parent=os.getpid())
        results = judge(session)
        session.write(results)
        page = _write_page(session, results, options)
    print(f"\n{results_text(results)}\n\nwritten: {folder.plan}{page}")
    for name, error in runner.failed.items():
        print(f"failed: {name}: {error}")
    if runner.failed:
        return 2
    failures = check_gates(gates, results) if gates else ()
    for line in failures:
        print(line)
    return GATE_FAILED if failures else 0


def _write_page(session: Session, results: dict[str, Any], options: CompareOptions) -> str:
    """Write the report, and return what to print about it."""
    if options.no_report or not results["entries"]:
        return ""
    from detkit.comparison.pages.page import write_page

    size = write_page(session, results, session.folder.report)
    return f", {session.folder.report} ({size / 1e6:.1f} MB)"


def _folder(options: CompareOptions) -> Path:
    """Return the folder of the comparison.

    Raises:
        ValueError: If two are given, or the folder holds something else.
    """
    from detkit.training.folder import new_run_folder

    if options.resume is not None:
        return resumed(options.resume)
    if options.output is None:
        return new_run_folder("compare").path
    path = Path(options.output)
    if path.is_dir() and any(not item.name.startswith(".") for item in path.iterdir()) and not (path / "compare.json").is_file():
        raise ValueError(
            f"{path}: expected a new or empty folder, or that of a comparison, which has a compare.json; choose another --output"
        )
    return path


def resumed(where: str) -> Path:
    """Return the folder to continue: the given one, or without one that of the newest comparison.

    Raises:
        FileNotFoundError: If there is none.
    """
    from detkit.training.folder import DEFAULT_ROOT

    if where:
        return Path(where)
    plans = sorted(Path(DEFAULT_ROOT).glob("*/compare.json"), key=lambda path: path.stat().st_mtime)
    if not plans:
        raise FileNotFoundError(
            f"--resume: no comparison under {DEFAULT_ROOT}/; give its folder, or start one with detkit compare THING ..."
        )
    return plans[-1].parent


def _plan(options: CompareOptions) -> Plan:
    """Return the plan that the words and flags describe, or that of a file or folder.

    Raises:
        ValueError: If flags contradict one another, or nothing is named.
    """
    from detkit.comparison.folder import ComparisonFolder
    from detkit.comparison.session import is_comparison, plan_of, read_plan
    from detkit.comparison.suites import suite
    from detkit.comparison.things import build_plan, split_words

    if options.resume is not None:
        _refuse(options, "--resume continues a comparison with its own plan", ("words", "suite", "output", *_PROTOCOL))
        folder = ComparisonFolder(resumed(options.resume))
        return _elsewhere(plan_of(folder.read(), folder.plan), options)
    if len(options.words) == 1 and is_comparison(Path(options.words[0])):
        _refuse(options, f"{options.words[0]} has the whole plan", ("suite", *_PROTOCOL))
        return _elsewhere(read_plan(Path(options.words[0])), options)
    things, overrides = split_words(options.words)
    return build_plan(things, _protocol(options, tuple(overrides)), suite(options.suite) if options.suite else ())


_PROTOCOL = (
    "budget",
    "steps",
    "seeds",
    "init",
    "backbone",
    "val_fraction",
    "test_fraction",
    "halving",
    "fractions",
    "precision",
    "runtime",
)


def _refuse(options: CompareOptions, reason: str, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(options, name)]
    if given:
        flag = "THING" if given[0] == "words" else f"--{given[0].replace('_', '-')}"
        raise ValueError(f"{reason}, so it cannot be combined with {flag}; leave out one of them")


def _elsewhere(plan: Plan, options: CompareOptions) -> Plan:
    """Return the plan with the data where the user says that it is on this machine."""
    values = {"data": options.data, "images": options.images, "device": None if options.device == "auto" else options.device}
    return plan.replace(protocol=plan.protocol.replace(**{name: value for name, value in values.items() if value is not None}))


def _protocol(options: CompareOptions, overrides: tuple[str, ...]) -> Protocol:
    from detkit.comparison.plan import DEFAULT_BUDGET, Protocol

    if options.data is None:
        raise ValueError("no data to compare on: give labeled images with --data PATH")
    budget = options.budget if options.budget or options.steps else DEFAULT_BUDGET
    names = ("seeds", "init", "backbone", "val_fraction", "test_fraction", "precision", "runtime")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    return Protocol(
        data=options.data,
        images=options.images,
        budget=budget,
        steps=options.steps,
        overrides=overrides,
        halving=options.halving,
        fractions=options.fractions or (),
        device=options.device,
        **given,
    )
