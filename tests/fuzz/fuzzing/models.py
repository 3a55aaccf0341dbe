"""Checkpoints, states of runs, weights of other programs, exported files, and caches of proposals."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from detkit.backbones import BackboneConfig
from detkit.checkpoint import load_state, make_header
from detkit.inference import load
from detkit.inference.detectors import load_detector
from detkit.inference.sources import known_classes, suggested_min_score
from detkit.models.classifier import ClassifierConfig
from detkit.preprocess import PreprocessConfig
from detkit.proposals.cache import ProposalCache
from detkit.weights.read import read_tensors

from .case import Case, expect
from .mutate import mutate_bytes, mutate_value, odd_value, to_json


@cache
def _model() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors and the header of the smallest model."""
    preprocess = PreprocessConfig(rule="letterbox", input_size=(32, 32))
    config = ClassifierConfig(preprocess=preprocess, backbone=BackboneConfig(name="lenet5", weights=None, frozen_stages=0))
    header = make_header(config.to_json(), ["cat", "dog"], metrics={"top1": 0.5}, min_score=0.3)
    return dict(config.build(2).state_dict()), header


def checkpoint(rng: Random, folder: Path) -> Case:
    """A checkpoint whose header, model config, tensors or bytes are changed."""
    tensors, header = _model()
    path, kind = folder / "best.safetensors", rng.randrange(5)
    if kind == 0:
        header = mutate_value(rng, header)
    elif kind == 1:
        header = {**header, "model": to_json(mutate_value(rng, json.loads(header["model"])))}
    text = to_json(header)
    data = save(tensors, {"format": "pt", "detkit": text if rng.random() < 0.95 else text[:-9]})
    if kind == 2:
        data = _changed_safetensors(rng, data)
    elif kind == 3:
        data = mutate_bytes(rng, data[:6000])
    elif kind == 4:
        wrong = {name: tensor for name, tensor in tensors.items() if rng.random() < 0.9}
        wrong = {name: tensor.flatten() if rng.random() < 0.1 else tensor.to(rng.choice(DTYPES)) for name, tensor in wrong.items()}
        data = save(wrong, {"format": "pt", "detkit": to_json(header)})
    path.write_bytes(data)
    return Case(lambda: _load(path), (path.name,))


DTYPES = (torch.float32, torch.float32, torch.float16, torch.bfloat16, torch.int8)


def _changed_safetensors(rng: Random, data: bytes) -> bytes:
    """Change the JSON header of a safetensors file, with the right length in front or a wrong one."""
    length = int.from_bytes(data[:8], "little")
    text = to_json(mutate_value(rng, json.loads(data[8 : 8 + length]))).encode()
    stated = len(text) if rng.random() < 0.9 else rng.choice((0, 1, len(text) - 1, 2**31, 2**63, 2**64 - 1))
    return stated.to_bytes(8, "little") + text + data[8 + length :]


def _load(path: Path) -> None:
    names, min_score = known_classes(path), suggested_min_score(path)
    expect(all(name is None or isinstance(name, str) for name in names), f"class names {names!r:.200}")
    expect(min_score is None or 0 <= min_score <= 1, f"min_score {min_score}")
    loaded = load_detector(path)
    expect(loaded.class_names == tuple(names) and loaded.detector.num_classes == len(names), "other classes than the header has")


def state(rng: Random, folder: Path) -> Case:
    """The state of a run, with changed content or bytes."""
    path = folder / "last.state"
    content: Any = {
        "format": 1,
        "detkit": "0.2",
        "class_names": ["cat"],
        "stage": 0,
        "inside": {"step": 3, "detector": {"w": torch.ones(3)}},
    }
    buffer = io.BytesIO()
    torch.save(mutate_value(rng, content, SHALLOW) if rng.random() < 0.5 else content, buffer)
    path.write_bytes(_damaged(rng, buffer.getvalue()))
    return Case(lambda: expect(isinstance(load_state(path), dict), "not a dict"), (path.name,))


SHALLOW = 100
"""Levels of nesting that pickle writes."""


def _damaged(rng: Random, data: bytes) -> bytes:
    """Return a zip file as it is, with a changed member, or with changed bytes."""
    kind = rng.random()
    return data if kind < 0.3 else _changed_zip(rng, data) if kind < 0.7 else mutate_bytes(rng, data)


def _changed_zip(rng: Random, data: bytes) -> bytes:
    """Change the content of one member of a zip file, with right checksums."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(buffer, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as target,
    ):
        members = source.namelist()
        changed = rng.choice(members)
        for name in members:
            content = source.read(name)
            if name == changed and rng.random() < 0.2:
                continue
            target.writestr(name, mutate_bytes(rng, content) if name == changed else content)
    return buffer.getvalue()


def weights(rng: Random, folder: Path) -> Case:
    """A file of tensors from another program: ``.pth``, ``.npz`` or ``.safetensors``."""
    suffix = rng.choice((".pth", ".npz", ".safetensors"))
    path, buffer = folder / f"weights{suffix}", io.BytesIO()
    tensors = {"conv.weight": torch.ones(4, 3, 3, 3), "conv.bias": torch.zeros(4)}
    if suffix == ".npz":
        np.savez(buffer, **{name: tensor.numpy() for name, tensor in tensors.items()})
    elif suffix == ".pth":
        torch.save(
            rng.choice((tensors, {"model": tensors}, {"state_dict": tensors, "epoch": odd_value(rng, SHALLOW)}, odd_value(rng, SHALLOW))),
            buffer,
        )
    else:
        buffer.write(_changed_safetensors(rng, save(tensors)))
    data = buffer.getvalue()
    path.write_bytes(mutate_bytes(rng, data) if suffix == ".safetensors" else _damaged(rng, data))
    return Case(lambda: _check_tensors(read_tensors(path)), (path.name,))


def _check_tensors(tensors: Any) -> None:
    expect(
        tensors and all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in tensors.items()), "not named tensors"
    )


def proposal_cache(rng: Random, folder: Path) -> Case:
    """A file of the proposal cache: it is read as valid proposals, or not at all and rebuilt."""
    cached = ProposalCache(folder / "cache", 10)
    key = "ab" * 20
    path = cached.path(key)
    path.parent.mkdir(parents=True)
    boxes = np.array([[0, 0, 10, 10], [5, 5, 20, 20]], np.float32)
    scores = np.array([1, 0.5], np.float32)
    arrays = {"boxes": boxes, "scores": scores}
    if rng.random() < 0.5:
        arrays[rng.choice(("boxes", "scores"))] = rng.choice(ARRAYS)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    path.write_bytes(_damaged(rng, buffer.getvalue()))
    return Case(lambda: _check_proposals(cached.get(key)), (path.name,))


ARRAYS = (
    *(np.full((2, 4), np.nan, np.float32), np.array([[9, 9, 1, 1]] * 2, np.float32), np.full((2, 4), -np.inf, np.float32)),
    *(np.zeros((2, 4), np.int64), np.zeros((3, 4), np.float32), np.zeros((2, 5), np.float32), np.zeros(0, np.float32), np.array("x")),
    *(np.zeros((2, 4), np.float64), np.zeros((2, 4), ">f4"), np.zeros(2, "c8"), np.float32(3), np.zeros((2, 4), np.float16)),
)


def _check_proposals(proposals: Any) -> None:
    if proposals is None:
        return
    boxes, scores = proposals.boxes, proposals.scores
    expect(boxes.dtype == scores.dtype == torch.float32 and boxes.shape == (len(scores), 4), f"{boxes.dtype} {tuple(boxes.shape)}")
    expect(bool(boxes.isfinite().all()) and bool(scores.isfinite().all()), "numbers that are not finite")
    expect(bool((boxes[:, 2:] >= boxes[:, :2]).all()), "inverted boxes")


def onnx(rng: Random, folder: Path) -> Case:
    """An exported file whose metadata or bytes are changed."""
    path = folder / "detector.onnx"
    kind = rng.random()
    metadata = mutate_value(rng, _onnx_metadata()) if kind < 0.7 else _onnx_metadata()
    text = to_json(metadata)
    data = _onnx_file(text if rng.random() < 0.95 else text[:-5])
    path.write_bytes(data if kind < 0.7 else mutate_bytes(rng, data))
    return Case(lambda: _load_exported(path), (path.name,))


def _onnx_metadata() -> dict[str, Any]:
    from detkit.heads.postprocess import PostprocessConfig

    numbers = {"mean": [0.5, 0.5, 0.5], "pad_multiple": 1, "input_size": [32, 32], "batch_size": 1, "min_score": 0.3}
    settings = {"preprocess": PreprocessConfig(rule="fixed", input_size=(32, 32)).to_json(), "postprocess": PostprocessConfig().to_json()}
    return {"format": 1, "detkit": "0.2", "detector": "RetinaNet", "class_names": ["cat", "dog"], **settings, **numbers}


def _onnx_file(metadata: str) -> bytes:
    """Return a network of constants with the outputs of an exported detector."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "scores": np.full((1, 2, 2), 0.9, np.float32),
        "boxes": np.array([[[1, 1, 9, 9], [5, 5, 30, 30]]], np.float32),
        "levels": np.array([2], np.int64),
    }
    nodes = [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name)) for name, value in constants.items()]
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])
    kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
    outputs = [helper.make_tensor_value_info(name, kinds[value.dtype], value.shape) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "detector", [image], outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    helper.set_model_props(model, {"detkit": metadata})
    content: bytes = model.SerializeToString()
    return content


def _load_exported(path: Path) -> None:
    predictor = load(path)
    expect(all(name is None or isinstance(name, str) for name in predictor.class_names), "class names that are no text")
    detections = predictor(np.zeros((32, 32, 3), np.uint8))
    expect(bool(detections.boxes.isfinite().all()), "boxes that are not finite")
