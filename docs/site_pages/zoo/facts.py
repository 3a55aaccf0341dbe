"""The facts about each model of the zoo, from the registries, the results, the marked tests and the counted costs. Imports no torch."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from detkit import weights, zoo
from detkit.zoo import badges

DOCS = Path(__file__).resolve().parents[2]
RESULTS = DOCS / "results"
COSTS, ORACLES = RESULTS / "zoo" / "costs.json", RESULTS / "zoo" / "oracles.json"
ZERO_SHOT = "zero_shot_rcnn"
"""A published name without a file of its own: it reads the weights of a classifier."""
INSTALLED = (weights.EMBEDDED, ZERO_SHOT)
"""Published names that need no download."""
TIMED = {
    "detect.json": "fasterrcnn_resnet50_fpn",
    "detect_fcos.json": "fcos_resnet50_fpn",
    "detect_retinanet.json": "retinanet_resnet50_fpn",
    "detect_ssd.json": "ssd300_vgg16",
    "yolox.json": "yolox_nano",
}
"""Model of each file in docs/results/speed; the tests compare it with tools/benchmark.py."""
_SIDES = {
    "detkit fp32": "PyTorch, fp32",
    "detkit bf16 (default)": "PyTorch, bf16",
    "detkit fp32, whole call": "PyTorch, fp32",
    "detkit exported, whole call": "exported, onnxruntime",
}
"""What runs on each side of a benchmark that is one of detkit's whole calls."""
_DATA = {"bccd": "BCCD", "coco_sample": "COCO sample", "voc": "VOC", "coco": "COCO"}
"""Titles of the data in the names of configs; the others are measured on generated example data."""


@dataclass(frozen=True)
class Speed:
    """A measured time for one image, in milliseconds, and how it was measured."""

    milliseconds: float
    how: str


@dataclass(frozen=True)
class Model:
    """A row of the zoo.

    Attributes:
        kind: ``weights`` or ``config``.
        name: Its name.
        model: The kind of its model's config, such as ``fcos``.
        title: One sentence on it.
        badge: How far it is verified.
        published: The published AP in percent; None if there is none.
        source: Who publishes it.
        measured: A result of ours: metric, value and data; empty if there is none.
        evidence: The file with this result, relative to the docs; empty if there is none.
        license: Of the weights; empty for configs, whose weights are the user's.
        parameters: Number of parameters.
        gflops: Operations for one image, in 10^9.
        input: ``(height, width)`` of the resized image.
        classes: Number of classes that the costs hold for.
        networks: Published models and presets with the same network.
        proofs: Comparisons whose outputs are those of this network.
        shapes: Comparisons of the names and shapes of its tensors alone.
        speeds: Measured times.
    """

    kind: str
    name: str
    model: str
    title: str
    badge: str
    published: float | None
    source: str
    measured: str
    evidence: str
    license: str
    parameters: int
    gflops: float
    input: tuple[int, int]
    classes: int
    networks: tuple[str, ...]
    proofs: tuple[dict[str, Any], ...] = ()
    shapes: tuple[dict[str, Any], ...] = ()
    speeds: tuple[Speed, ...] = field(default=())


def names() -> list[tuple[str, str]]:
    """Return kind and name of every published model and of every config that ships with detkit."""
    published = [weights.EMBEDDED, *(entry.name for entry in weights.catalog() if entry.kind == "detector"), ZERO_SHOT]
    own = [name for name in zoo.names() if zoo.path(name).is_relative_to(Path(zoo.__file__).parent)]
    return [*(("weights", name) for name in published), *(("config", name) for name in own)]


def models() -> list[Model]:
    """Return all models, published weights first."""
    return [_weights(name) if kind == "weights" else _config(name) for kind, name in names()]


def _weights(name: str) -> Model:
    entry = next((entry for entry in weights.catalog() if entry.name == name and entry.kind == "detector"), None)
    cost = costs()[f"weights {name}"]
    published = entry.metrics.get("AP") if entry else None
    measured, evidence = _embedded() if name == weights.EMBEDDED else ("", "")
    facts = {
        "title": f"Trained on {entry.training_data}." if entry else _TITLES[name],
        "published": published,
        "source": entry.source if entry and published is not None else "",
        "measured": measured,
        "evidence": evidence,
        "license": entry.license if entry else _LICENSES[name],
        "parameters": entry.parameters if entry else cost["parameters"],
    }
    return _model("weights", name, cost, facts)


_TITLES = {
    weights.EMBEDDED: f"Trained on {weights.EMBEDDED_INFO['trained on']}.",
    ZERO_SHOT: "The ImageNet classifier that is installed with detkit, applied to regions; no training.",
}
_LICENSES = {weights.EMBEDDED: weights.EMBEDDED_INFO["license"], ZERO_SHOT: "Apache-2.0"}


def _config(name: str) -> Model:
    entry = zoo.describe(name)
    measured, published = badges.measured_figure(entry), badges.published_figure(entry)
    data = _data_of(name)
    metric = "" if measured is None or measured.metric == "AP" else f"{measured.metric} "
    facts = {
        "title": entry.title,
        "published": published.value if published else None,
        "source": entry.result.partition("not yet run. ")[2],
        "measured": f"{metric}{measured.value:.1f} ({f'{data} {measured.split}'.strip()})" if measured else "",
        "evidence": evidence_of(name),
        "license": "",
        "parameters": costs()[f"config {name}"]["parameters"],
    }
    return _model("config", name, costs()[f"config {name}"], facts)


def _data_of(name: str) -> str:
    """Return the data that a config's result was measured on, as in ``detkit models list``."""
    return next((title for data, title in _DATA.items() if f"_{data}" in name), "example data")


def _model(kind: str, name: str, cost: dict[str, Any], facts: dict[str, Any]) -> Model:
    names = {name, *cost["networks"]}
    proofs, shapes = ([row for row in oracles() if names & set(row[key])] for key in ("proved", "shaped"))
    badge = badges.derive(measured=bool(facts["evidence"]), parity=bool(proofs), published=facts["published"] is not None)
    return Model(
        kind=kind,
        name=name,
        model=cost["model"],
        badge=badge,
        gflops=cost["gflops"],
        input=(cost["input"][0], cost["input"][1]),
        classes=cost["classes"],
        networks=tuple(cost["networks"]),
        proofs=tuple(proofs),
        shapes=tuple(shapes),
        speeds=tuple(speeds(kind, name)),
        **facts,
    )


@cache
def costs() -> dict[str, dict[str, Any]]:
    """Return the counted costs by kind and name, such as ``config fpn_r50``."""
    content: dict[str, dict[str, Any]] = json.loads(COSTS.read_text("utf-8"))
    return content


@cache
def oracles() -> tuple[dict[str, Any], ...]:
    """Return the comparisons that ``python docs/make_correctness.py`` collected."""
    return tuple(json.loads(ORACLES.read_text("utf-8")))


@cache
def _results() -> dict[str, str]:
    """Return a file with a result of each name, best one directly in docs/results."""
    files: dict[str, str] = {}
    for path in sorted(RESULTS.rglob("*.json"), key=lambda path: (len(path.parts), path)):
        content = json.loads(path.read_text("utf-8")) if path.parent.name != "zoo" else {}
        if isinstance(content, dict):
            runs = [run.rpartition("-")[0] for run in content.get("runs", []) if isinstance(run, str)]
            for name in (content.get("name"), *runs):
                if name and (name not in files or "part" in content):  # of a training in parts, the last one
                    files[name] = path.relative_to(DOCS).as_posix()
    return files


def evidence_of(name: str) -> str:
    """Return the file with a result of a config, relative to the docs; empty if there is none."""
    return _results().get(name, "")


def _embedded() -> tuple[str, str]:
    """Return the result of the detector inside the package, and its file."""
    path = RESULTS / "embedded" / "student.json"
    value = json.loads(path.read_text("utf-8"))["values"]["AP"]
    return f"{100 * value:.1f} (COCO, held out)", path.relative_to(DOCS).as_posix()


def speeds(kind: str, name: str) -> list[Speed]:
    """Return the measured times of a model for one image, from committed results."""
    if kind == "config":
        path = RESULTS / f"{name}.json"
        row = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        if "speed" not in row:
            return []
        speed, proposals = row["speed"], row["config"]["model"].get("proposals")
        how = f"PyTorch, {speed['precision']}, one image of {_size(speed['image'])} of the test split, {processor(row['machine'])}"
        how += "; proposals were cached" if proposals else ""
        return [Speed(1000 * statistics.median(next(iter(speed["seconds"].values()))), how)]
    reports = [RESULTS / "speed" / file for file, model in TIMED.items() if model == name]
    return [speed for path in reports for speed in _timed(json.loads(path.read_text("utf-8")))]


def _timed(report: dict[str, Any]) -> list[Speed]:
    image = report["title"].partition("one image of ")[2].replace("x", " x ")
    machine = processor(report["machine"])
    return [
        Speed(1000 * statistics.median(times), f"{_SIDES[side]}, one image of {image}, {machine}")
        for side, times in report["seconds"].items()
        if side in _SIDES
    ]


def _size(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]}"


def processor(machine: dict[str, Any]) -> str:
    """Return the processor of a machine, with its number of cores if it is known: ``Intel Xeon, 2 cores``."""
    name = str(machine["processor"]).replace("(R)", "").replace("(TM)", "").replace("Processor", "")
    return " ".join(name.split()) + (f", {machine['cores']} cores" if "cores" in machine else "")
