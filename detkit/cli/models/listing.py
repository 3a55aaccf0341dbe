"""``detkit models list`` and ``show``: one catalog of configs, published weights and backbones."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detkit import weights, zoo
from detkit.about import __docs__
from detkit.cli.report import table
from detkit.registry import did_you_mean
from detkit.weights import WeightEntry
from detkit.zoo import badges

KINDS = ("config", "weights", "backbone")
_HEADER = ("name", "kind", "badge", "AP", "measured on", "license", "parameters", "MiB", "on this machine")
_NUMBERS = frozenset({"AP", "parameters", "MiB"})
_BACKBONES = (
    ("name", "name"),
    ("family", "family"),
    ("parameters", "parameters"),
    ("gflops", "GMACs"),
    ("input", "input"),
    ("top1", "top-1"),
    ("weights", "weights"),
    ("license", "license"),
    ("levels", "levels (name channels/stride)"),
    ("source", "source"),
    ("normalization", "normalization"),
    ("paper", "paper"),
)
_METRICS = ("AP", "AP50")
_MORE = " *"
"""Mark of a license that depends on more than its name."""
_BUFFERS = (".running_mean", ".running_var", ".num_batches_tracked")


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Options of ``detkit models list``.

    Attributes:
        words: Words that the name of a listed model has.
        kind: The only kind to list; None: configs and weights.
        folder: Folder of the published weights; None: the default.
    """

    words: tuple[str, ...] = ()
    kind: str | None = None
    folder: str | None = None


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """Options of ``detkit models show``.

    Attributes:
        names: Names of models.
        folder: Folder of the published weights; None: the default.
    """

    names: tuple[str, ...]
    folder: str | None = None


def run_list(options: ListOptions) -> int:
    """Print the table of detectors or of backbones."""
    if options.kind == "backbone":
        _list_backbones(options.words)
        return 0
    rows = [*(_weight_rows(options.folder) if options.kind != "config" else ()), *(_config_rows() if options.kind != "weights" else ())]
    rows = [row for row in rows if all(word.lower() in row[0].lower() for word in options.words)]
    if not rows:
        raise ValueError(f"models list: no model has {' and '.join(options.words)} in its name; `detkit models list` lists all models")
    print(table(rows, _HEADER, _NUMBERS))
    print(f"\nAP: the measured result of a config ({__docs__}/results.md), and the published one of weights.")
    print(f"Badge: how far it is verified; {__docs__}/zoo.md has the evidence, and the figures that others publish for configs.")
    if any(row[_HEADER.index("license")].endswith(_MORE) for row in rows):
        print(f"{_MORE.strip()}: other terms may apply, such as those of the training data; `detkit models show NAME` states them.")
    print("Use a config with: detkit train NAME --data FOLDER. Use weights with: detkit detect IMAGE --model NAME.")
    print(f"Downloads go to {_target(options.folder)}.")
    if options.kind is None:
        print(f"List the {len(_backbone_names())} backbones with: detkit models list --kind backbone")
    return 0


def _config_rows() -> list[tuple[str, ...]]:
    return [_config_row(name) for name in zoo.names()]


def _config_row(name: str) -> tuple[str, ...]:
    entry = zoo.describe(name)
    figure = badges.measured_figure(entry)
    ap = f"{figure.value:.1f}" if figure is not None and figure.metric == "AP" else "-"
    where = "-" if figure is None else f"{_data_of(name)} {figure.split}".strip()
    where += f", {figure.metric} {figure.value:.1f}" if figure is not None and figure.metric != "AP" else ""
    return (name, "config", badges.badge_of_config(entry), ap, where, "Apache-2.0", "-", "-", "yes")


def _data_of(name: str) -> str:
    """Return the data set in the name of a config, or ``example``, the one of configs without a data set in their name."""
    return next((data for data in ("bccd", "coco_sample", "voc", "coco") if f"_{data}" in name), "example")


def _weight_rows(folder: str | None) -> list[tuple[str, ...]]:
    embedded = weights.embedded_path()
    rows = [] if embedded is None else [_embedded_row(embedded)]
    return rows + [_weight_row(entry, folder) for entry in weights.catalog() if entry.kind == "detector"]


def _embedded_row(path: Path) -> tuple[str, ...]:
    from detkit.checkpoint import read_header

    ap = read_header(path)["metrics"].get("AP")
    return (
        weights.EMBEDDED,
        "weights",
        badges.badge_of_weights(weights.EMBEDDED),
        "-" if ap is None else f"{100 * ap:.1f}",
        "COCO, held-out sample",
        "Apache-2.0",
        _parameters_of(path),
        f"{path.stat().st_size / 2**20:.1f}",
        "yes",
    )


def _parameters_of(path: Path) -> str:
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        names = [name for name in file.keys() if not name.endswith(_BUFFERS)]  # noqa: SIM118  # not a dict
        total = sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    return f"{total / 1e6:.1f} M"


def _weight_row(entry: WeightEntry, folder: str | None) -> tuple[str, ...]:
    ap = entry.metrics.get("AP")
    license, _, more = entry.license.partition(" by its model card")
    return (
        entry.name,
        "weights",
        badges.badge_of_weights(entry.name),
        "-" if ap is None else f"{ap:.1f}",
        "COCO val2017" if ap is not None else "-",
        license + (_MORE if more else ""),
        f"{entry.parameters / 1e6:.1f} M",
        "-" if entry.size is None else f"{entry.size:.1f}",
        _state(entry, folder),
    )


def _backbone_names() -> list[str]:
    from detkit.backbones.registry import BACKBONES

    return list(BACKBONES.names())


def _list_backbones(words: Sequence[str]) -> None:
    from detkit.backbones.registry import describe_backbones

    rows = [row for row in describe_backbones() if all(word.lower() in row["name"].lower() for word in words)]
    if not rows:
        raise ValueError(
            f"models list: no backbone has {' and '.join(words)} in its name; `detkit models list --kind backbone` lists them all"
        )
    print(
        table(
            [[row.get(key, "") for key, _ in _BACKBONES] for row in rows],
            [title for _, title in _BACKBONES],
            {"parameters", "GMACs", "input"},
        )
    )
    print("\nParameters and GMACs (10^9 multiply-adds at the input size) are those of the published classifier; top-1 is on ImageNet.")
    print(f"Use one with model.backbone.name=NAME; {__docs__}/backbones.md describes the families.")
    print("Any other network of timm can be used as timm/NAME, if timm can extract feature maps from it.")


def run_show(options: ShowOptions) -> int:
    """Print everything about each named model.

    Raises:
        ValueError: If a name is not in the catalog.
    """
    for name in options.names:
        shown = False
        if name == weights.EMBEDDED:
            _show_embedded()
            shown = True
        for entry in weights.catalog():
            if entry.name == name:
                _show_weights(entry, options.folder)
                shown = True
        if name in _backbone_names():
            _show_backbone(name)
            shown = True
        if name in zoo.names():
            _show_config(name)
            shown = True
        if not shown:
            known = dict.fromkeys([weights.EMBEDDED, *(entry.name for entry in weights.catalog()), *zoo.names(), *_backbone_names()])
            raise ValueError(f"models show {name}: no such model: {did_you_mean(name, list(known))}")
    return 0


def _show_config(name: str) -> None:
    entry = zoo.describe(name)
    print(f"config {name}\n{entry.docstring}\n")
    print(f"badge: {badges.badge_of_config(entry)}")
    print(f"copy it with: detkit models copy {name}\n")


def _show_backbone(name: str) -> None:
    from detkit.backbones.registry import describe_backbones

    row = next(row for row in describe_backbones() if row["name"] == name)
    _print_lines({"name": name, "kind": "backbone", **{title: row.get(key, "") for key, title in _BACKBONES[1:]}})


def _show_weights(entry: WeightEntry, folder: str | None) -> None:
    lines = {
        "name": entry.name,
        "kind": f"weights of a {entry.kind}",
        "used by": f"model.backbone.name={entry.model}" if entry.kind == "backbone" else entry.model,
        **({"badge": badges.badge_of_weights(entry.name)} if entry.kind == "detector" else {}),
        "published": f"{entry.format_metrics()} ({'COCO val2017' if entry.kind == 'detector' else 'ImageNet-1K validation images'})",
        "trained on": entry.training_data,
        "license": entry.license,
        "parameters": f"{entry.parameters:,}",
        "size": entry.format_size() + ("" if entry.size is None else " MiB"),
        "SHA-256": _digest_text(entry),
        "address": entry.url,
        "source": entry.source,
        "file": _location(entry, folder),
    }
    _print_lines(lines)


def _show_embedded() -> None:
    path = weights.require_embedded_path()
    from detkit.checkpoint import read_header

    header, facts = read_header(path), weights.EMBEDDED_INFO
    metrics = ", ".join(f"{name} {100 * value:.1f}" for name, value in header["metrics"].items() if name in _METRICS)
    lines = {
        "name": weights.EMBEDDED,
        "kind": "weights of a detector",
        "used by": json.loads(header["model"]).get("kind", "an unknown kind"),
        "badge": badges.badge_of_weights(weights.EMBEDDED),
        "measured": f"{metrics or weights.NOT_STATED} ({facts['measured on']})",
        "trained on": facts["trained on"],
        "license": facts["license"],
        "size": f"{path.stat().st_size / 2**20:.1f} MiB",
        "SHA-256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "details": f"{__docs__}/embedded_detector.md",
        "file": str(path),
    }
    _print_lines(lines)


def _print_lines(lines: Mapping[str, object]) -> None:
    print("\n".join(f"{key:12}{value}" for key, value in lines.items()))
    print()


def _digest_text(entry: WeightEntry) -> str:
    if entry.sha256 == weights.NOT_STATED:
        return f"{entry.sha256}: a download cannot be verified"
    return entry.sha256 + ("" if len(entry.sha256) == 64 else "... (the digits that the publisher states)")


def _state(entry: WeightEntry, folder: str | None) -> str:
    try:
        weights.resolve(entry.name, folder)
    except FileNotFoundError:
        return "no"
    except ValueError:
        return "damaged"
    return "yes"


def _location(entry: WeightEntry, folder: str | None) -> str:
    try:
        return str(weights.resolve(entry.name, folder))
    except FileNotFoundError:
        return f"not on this machine; `detkit models download {entry.name}` writes it to {_target(folder)}"
    except ValueError as error:
        return str(error)


def _target(folder: str | None) -> Path:
    return Path(folder).expanduser() if folder else weights.default_folder()
