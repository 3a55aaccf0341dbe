"""What detkit adds to the bare runtimes, and a large detector in every runtime and precision."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.timing import Report, has_bf16, in_turn
from detkit import zoo
from detkit.arrays import ImageArray
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.report import table
from detkit.comparison.speed import STAGES, Side, measure, open_sides
from detkit.data.media.images import read_image
from detkit.data.media.sample import sample_photograph
from detkit.inference import Predictor, load

MAX_RATIO = 1.15
"""Largest time of a whole call, from decoded pixels to detections, relative to the bare runtime with a ready input."""
LARGE = "fpn_r50"


def runtimes(rounds: int, short_side: int, *, large: bool = True) -> Report:
    """Time both; weights are random where they change only what is detected, and the files are in a cache of their own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # random weights do not belong in the user's cache
        pixels = read_image(sample_photograph())
        seconds, notes = {}, []
        for name, model in (("yolox_nano", _random("yolox_nano", Path(folder))), ("embedded", "embedded")):
            times = in_turn(_small(name, model, pixels), rounds, before=1)
            notes += _overhead(name, times)
            seconds |= times
        large_notes, numbers = _large(rounds, short_side, Path(folder), pixels) if large else ([], {})
    return Report("detectors in their runtimes", seconds, {}, ["", *notes, *large_notes], {"large": numbers})


def _random(config: str, folder: Path, short_side: int | None = None) -> Path:
    """Write a checkpoint of a config with random weights."""
    torch.manual_seed(0)
    model = zoo.load(config).model
    model = model.replace(backbone=model.backbone.replace(weights=None))
    if short_side is not None:
        model = model.replace(preprocess=model.preprocess.replace(short_side=short_side, long_side=round(short_side * 5 / 3)))
    names = [f"class {number}" for number in range(80)]
    path = folder / f"{config}.safetensors"
    save_checkpoint(path, model.build(len(names)).state_dict(), make_header(model.to_json(), names))
    return path


def _small(name: str, model: str | Path, pixels: ImageArray) -> dict[str, Callable[[], Any]]:
    """Return, for each runtime, the bare runtime on a ready input, the same with detkit's selection, and the whole call."""
    sides: dict[str, Callable[[], Any]] = {}
    for runtime in ("onnx", "openvino"):
        predictor = load(model, "cpu", "fp32", runtime=runtime, min_score=0.3)
        prepared = predictor.prepare(pixels)
        sides |= {
            f"{name} {runtime}, bare": _bare(predictor, prepared),
            f"{name} {runtime}, without preprocessing": partial(predictor.detect, [prepared]),
            f"{name} {runtime}, whole call": partial(predictor, pixels),
        }
    return sides


def _bare(predictor: Predictor, prepared: Any) -> Callable[[], Any]:
    """Return a call of the library itself, with the input that detkit gives it."""
    runtime: Any = predictor.runtime
    images = runtime.stack([prepared.image.numpy()])
    feeds = {"images": images, "sizes": np.array([prepared.size], np.int64)}
    feeds = {name: feeds[name] for name in runtime.inputs}
    if runtime.library == "onnxruntime":
        return partial(runtime._session.run, None, feeds)
    return partial(runtime._compiled.create_infer_request().infer, feeds, share_inputs=True)


def _overhead(name: str, times: Mapping[str, list[float]]) -> list[str]:
    notes = []
    for runtime in ("onnx", "openvino"):
        parts = ("bare", "without preprocessing", "whole call")
        bare, ready, whole = (statistics.median(times[f"{name} {runtime}, {part}"]) for part in parts)
        verdict = "reached" if whole <= MAX_RATIO * bare else "MISSED"
        notes.append(
            f"{name}, {runtime}: {1000 * bare:.1f} ms bare, preprocessing {1000 * (whole - ready):.1f}, postprocessing "
            f"{1000 * (ready - bare):.1f}: {whole / bare:.2f}x in all (at most {MAX_RATIO}x: {verdict})"
        )
    return notes


def _large(rounds: int, short_side: int, folder: Path, pixels: ImageArray) -> tuple[list[str], dict[str, Any]]:
    """Time a Faster R-CNN in all that can run it, and report which one ``auto`` takes."""
    model = _random(LARGE, folder, short_side)
    precisions = ("fp32", "bf16") if has_bf16() else ("fp32",)
    sides = [Side(runtime, precision) for runtime in ("torch", "onnx", "openvino") for precision in precisions]
    predictors, reasons = open_sides(model, [side for side in sides if side != Side("onnx", "bf16")], "cpu", {})
    speeds = measure(predictors, pixels, max(3, rounds // 3))
    rows = []
    for side, speed in speeds.items():
        numbers = speed.to_dict()
        rows.append((side, f"{numbers['p50_ms']:.0f}", f"{numbers['p95_ms']:.0f}", *(f"{numbers['stages'][part]:.1f}" for part in STAGES)))
    chosen = {}
    for precision in precisions:
        runtime: Any = load(model, "cpu", precision, runtime="auto").runtime
        chosen[precision] = getattr(runtime, "library", "torch")
    notes = ["", f"{LARGE} at {short_side} pixels, random weights:", table(rows, ("side", "p50 ms", "p95 ms", *STAGES))]
    notes += [f"{side}: cannot be exported: {why}" for side, why in reasons.items()]
    notes += [f"auto takes in {precision}: {name}" for precision, name in chosen.items()]
    return notes, {"sides": {str(side): speed.to_dict() for side, speed in speeds.items()}, "auto": chosen}
