"""List, show, fetch and import published weights.

detkit weights                      the list: what each is, its license, figures, size, checksum, and where that was read
detkit weights show NAME            everything about one, and where it lies on this machine
detkit weights download NAME ...    fetch into $DETKIT_WEIGHTS, or the user's cache, or --folder; goes on where it stopped
detkit weights import FILE --model NAME --output FILE.safetensors
                                    a checkpoint of detkit's own out of a file that others published; no code in it is run
detkit weights pack FILE [KEY=VALUE ...] --output FILE.safetensors
                                    a checkpoint of half the size, for passing on: weights in half precision, without the training's record;
                                    keys of its model that no weight depends on can be changed, such as model.head.postprocess.nms_iou=0.5
detkit weights average FILE FILE ... --output FILE.safetensors
                                    the mean of several trainings of one model from one start, often better than each: measure it

The detector that comes with detkit is called embedded: `detkit weights show embedded`, `detkit detect IMAGE --weights embedded`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from detkit import weights
from detkit.cli.arguments import unit_interval
from detkit.cli.report import MEGABYTE, table
from detkit.cli.weights_writers import WRITERS
from detkit.weights import WeightEntry

_HEADER = ("name", "kind", "published", "trained on", "license", "parameters", "MiB", "SHA-256", "here", "read from")
_NUMBERS = frozenset({"parameters", "MiB"})
_METRICS = ("AP", "AP50")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``detkit weights`` understands."""
    parser.add_argument("action", nargs="?", default="list", choices=(*_ACTIONS, *WRITERS), help="what to do (default: list)")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="names out of the list; for import, the published file; for pack and average, checkpoints or runs' folders",
    )
    parser.add_argument("--folder", help="a folder of yours: searched first, and where downloads go")
    parser.add_argument("--model", metavar="NAME", help="for import: which detector of the list the file holds")
    parser.add_argument("--classes", nargs="+", metavar="PHRASE", help="for import of a clip_rcnn: what it shall look for")
    parser.add_argument(
        "--min-score",
        type=unit_interval,
        metavar="S",
        help="for pack: commands show its detections from this score on, unless told otherwise",
    )
    parser.add_argument(
        "--metrics", metavar="FILE", help="for pack: what 'detkit evaluate --json FILE' wrote, to be told with the checkpoint"
    )
    parser.add_argument("--output", metavar="FILE", help="for import, pack and average: the checkpoint to write (.safetensors)")


def run(args: argparse.Namespace) -> int:
    """Do it; the exit code.

    Raises:
        ValueError: a name is unknown, missing, or one too many; a file to import does not hold what was said.
        RuntimeError: a download failed.
    """
    if args.action == "list" and args.names:
        raise ValueError(f"detkit weights list takes no names, got {', '.join(args.names)}; did you mean detkit weights show?")
    if args.action != "list" and not args.names:
        raise ValueError(f"detkit weights {args.action}: expected a name out of `detkit weights`, got none")
    writer, flags = WRITERS.get(args.action, (None, ()))
    for flag in ("model", "classes", "min_score", "metrics", "output"):
        if getattr(args, flag) is not None and flag not in flags:
            owners = " and ".join(f"detkit weights {name}" for name, (_, own) in WRITERS.items() if flag in own)
            raise ValueError(f"detkit weights {args.action} takes no --{flag.replace('_', '-')}; it belongs to {owners}")
    if writer is not None:
        writer(args)
        return 0
    if weights.EMBEDDED in args.names:
        _tell_embedded()
    _ACTIONS[args.action]([weights.find(name) for name in args.names if name != weights.EMBEDDED], args.folder)
    return 0


def _list(_: list[WeightEntry], folder: str | None) -> None:
    print(table([_row(entry, folder) for entry in weights.catalog()], _HEADER, _NUMBERS))
    own = weights.embedded()
    if own is not None:
        size, classes = f"{own.stat().st_size / MEGABYTE:.1f} MB", weights.EMBEDDED_FACTS["classes"]
        print(f"\n{weights.EMBEDDED}: the detector that comes with detkit, {size}, {classes}; detkit weights show {weights.EMBEDDED}")
    print(f"\nSHA-256: the digits that the publisher states. Downloads go to {_target(folder)}.")


def _row(entry: WeightEntry, folder: str | None) -> tuple[str, ...]:
    parameters = f"{entry.parameters / 1e6:.1f} M"
    stated = (entry.figures_spoken(), entry.training_data, entry.license, parameters, entry.size_spoken(), entry.sha256)
    return (entry.name, entry.kind, *stated, _here(entry, folder), entry.read_from)


def _show(entries: list[WeightEntry], folder: str | None) -> None:
    for entry in entries:
        lines = {
            "name": entry.name,
            "kind": entry.kind,
            "for": f"model.backbone.name={entry.model}" if entry.kind == "backbone" else entry.model,
            "published": f"{entry.figures_spoken()} ({'COCO val2017' if entry.kind == 'detector' else 'ImageNet-1K validation images'})",
            "trained on": entry.training_data,
            "license": entry.license,
            "parameters": f"{entry.parameters:,}",
            "size": entry.size_spoken() + ("" if entry.size is None else " MiB"),
            "SHA-256": _digest_spoken(entry),
            "address": entry.url,
            "read from": entry.read_from,
            "here": _where(entry, folder),
        }
        _print_lines(lines)


def _tell_embedded() -> None:
    """Everything about the detector inside the package."""
    path = weights.needed_embedded()
    from detkit.checkpoint import read_header

    header, facts = read_header(path), weights.EMBEDDED_FACTS
    metrics = ", ".join(f"{name} {100 * value:.1f}" for name, value in header["metrics"].items() if name in _METRICS)
    lines = {
        "name": weights.EMBEDDED,
        "kind": "detector",
        "for": json.loads(header["model"])["kind"],
        "measured": f"{metrics or weights.NOT_STATED} ({facts['measured on']})",
        "trained on": facts["trained on"],
        "license": facts["license"],
        "size": f"{path.stat().st_size / 2**20:.1f} MiB",
        "SHA-256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "told in": "docs/embedded_detector.md",
        "here": str(path),
    }
    _print_lines(lines)


def _print_lines(lines: Mapping[str, object]) -> None:
    print("\n".join(f"{key:12}{value}" for key, value in lines.items()))
    print()


def _digest_spoken(entry: WeightEntry) -> str:
    if entry.sha256 == weights.NOT_STATED:
        return f"{entry.sha256}: what a download brings cannot be checked"
    return entry.sha256 + ("" if len(entry.sha256) == 64 else "... (the digits that the publisher states)")


def _download(entries: list[WeightEntry], folder: str | None) -> None:
    for entry in entries:
        progress = _Bar(entry.name) if sys.stderr.isatty() else None
        path = weights.resolve(entry.name, folder, fetch=True, progress=progress)
        if progress is not None:
            progress.end()
        print(f"{entry.name}: {path}")


class _Bar:
    """A line on the terminal that counts megabytes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.used = False

    def __call__(self, here: int, total: int | None) -> None:
        share = f" of {total / MEGABYTE:.1f} MB, {here / total:.0%}" if total else " MB"
        print(f"\r{self.name}: {here / MEGABYTE:.1f}{share}   ", end="", file=sys.stderr, flush=True)
        self.used = True

    def end(self) -> None:
        """Leave the line."""
        if self.used:
            print(file=sys.stderr)


def _here(entry: WeightEntry, folder: str | None) -> str:
    try:
        weights.resolve(entry.name, folder)
    except FileNotFoundError:
        return "no"
    except ValueError:
        return "damaged"
    return "yes"


def _where(entry: WeightEntry, folder: str | None) -> str:
    try:
        return str(weights.resolve(entry.name, folder))
    except FileNotFoundError:
        return f"no; detkit weights download {entry.name} puts it into {_target(folder)}"
    except ValueError as error:
        return str(error)


def _target(folder: str | None) -> Path:
    return Path(folder).expanduser() if folder else weights.default_folder()


_ACTIONS = {"list": _list, "show": _show, "download": _download}
