"""Tell about this machine, a config, a data set, a checkpoint, or the backbones.

detkit info                  versions, devices, threads, and what is wrong with the installation
detkit info backbones        every backbone that a config can name
detkit info CONFIG           parameters, operations, shapes of the levels; how well the anchors fit the data, if it is here
                             (a config in Python is executed, as 'detkit train' does; one in JSON is only read)
detkit info DATA             counts of classes and box sizes; DATA is COCO JSON, a VOC folder, or a YOLO data.yaml
detkit info CHECKPOINT       class names, metrics, config and size of a checkpoint, or of a run's folder
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from detkit.registry import did_you_mean

_CHECKPOINTS = ("best.safetensors", "last.safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``detkit info``."""
    parser.add_argument("subject", nargs="?", metavar="SUBJECT", help="backbones, a config, a data set, or a checkpoint")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="for a config: values to change first")
    parser.add_argument(
        "--size", type=image_size, default=(480, 640), metavar="HxW", help="size of the image counted on (default: 480x640)"
    )
    parser.add_argument("--data", metavar="DATA", help="for a config or a checkpoint: see how well its anchors fit these boxes")
    parser.add_argument("--images", metavar="DIR", help="where the data's images are, if its file does not say")
    parser.add_argument("--split", metavar="PART", help="only this part of the data")


def image_size(text: str) -> tuple[int, int]:
    """``480x640`` as ``(height, width)``, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 480x640, got {text!r}")
    return int(height), int(width)


def run(args: argparse.Namespace) -> int:
    """Find out what the subject is, and tell about it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the subject is none of the things that can be told about.
    """
    if args.subject is None:
        from detkit.cli.info_machine import tell_machine

        tell_machine()
    elif args.subject == "backbones":
        _tell_backbones()
    else:
        _tell_path(args)
    return 0


def _tell_path(args: argparse.Namespace) -> None:
    kind = kind_of(Path(args.subject))
    if kind != "config" and args.overrides:
        raise ValueError(f"{' '.join(args.overrides)}: only a config takes KEY=VALUE, and {args.subject} is a {kind}")
    if kind == "data":
        from detkit.cli.info_data import tell_data

        tell_data(args.subject, args.images, args.split)
    elif kind == "config":
        from detkit.cli.info_model import tell_config

        tell_config(args)
    else:
        from detkit.cli.info_model import tell_checkpoint

        tell_checkpoint(args)


def kind_of(path: Path) -> str:
    """``config``, ``checkpoint`` or ``data``: what a path holds, by its ending and its first look.

    Raises:
        FileNotFoundError: there is no such file and no published weights of that name.
    """
    if path.is_dir():
        return "checkpoint" if any((path / name).is_file() for name in _CHECKPOINTS) else "data"
    if not path.exists():
        _missing(path)
        return "checkpoint"
    if path.suffix == ".json":
        return "config" if _is_experiment(path) else "data"
    return {".py": "config", ".safetensors": "checkpoint", ".pth": "checkpoint", ".pt": "checkpoint"}.get(path.suffix, "data")


def _missing(path: Path) -> None:
    """Complain about a path that does not exist, unless it is the name of published weights."""
    from detkit import weights

    names = [weights.EMBEDDED, *(entry.name for entry in weights.catalog())]
    if str(path) in names:
        return
    known = ["backbones", *names, *(str(found) for found in path.parent.glob("*"))] if path.parent.is_dir() else ["backbones", *names]
    close = did_you_mean(str(path), known)
    hint = (
        close
        if close.startswith("did you mean")
        else "expected a config, a data set, a checkpoint, a name out of `detkit weights`, or backbones"
    )
    raise FileNotFoundError(f"info {path}: no such file; {hint}")


def _is_experiment(path: Path) -> bool:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"info {path}: not JSON: {error}") from None
    return isinstance(content, dict) and "model" in content and "images" not in content


def _tell_backbones() -> None:
    from detkit.backbones.facts import describe
    from detkit.cli.report import table

    rows = describe()
    columns = [
        ("name", "name"),
        ("family", "family"),
        ("parameters", "parameters"),
        ("gflops", "GMACs"),
        ("input", "input"),
        ("top1", "top-1"),
    ]
    columns += [("weights", "weights"), ("license", "license"), ("levels", "levels (name channels/stride)"), ("source", "from")]
    columns += [("normalization", "normalization"), ("paper", "paper")]
    numbers = {"parameters", "GMACs", "input"}
    print(table([[row.get(key, "") for key, _ in columns] for row in rows], [title for _, title in columns], numbers))
    print("\nparameters and GMACs (10^9 multiply-adds at the input size) are the published classifier's; top-1 is on ImageNet")
    print("use one with model.backbone.name=NAME; `detkit weights` tells more about the weights; docs/backbones.md has the family tree")
    print("any other network of timm goes by timm/NAME, if timm can take maps from it")
