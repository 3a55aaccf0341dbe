"""Export of CLIP's towers (arXiv:2103.00020), which compute comparable embeddings of images and of texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.about import __version__
from detkit.backbones.tower import ImageTower
from detkit.checkpoint.atomic import atomic_write
from detkit.export.onnx import add_metadata, write_traced
from detkit.export.settings import OPSET
from detkit.inference.detectors import load_detector
from detkit.inference.exported.metadata import EMBEDDINGS, FORMAT
from detkit.inference.exported.onnx import SUFFIX, import_onnxruntime
from detkit.inference.sources import checkpoint_path
from detkit.models.clip.classifier import CLIPConfig
from detkit.models.clip.rcnn import CLIPRCNNConfig
from detkit.models.loading.checkpoints import load_tensors
from detkit.models.published.load import PUBLISHED, publication
from detkit.text import text_tower
from detkit.weights import resolve
from detkit.weights.read import read_tensors

Tower = Literal["image", "text"]
MAX_DIFFERENCE = 1e-4
"""Maximum accepted difference of a coordinate of an embedding, whose length is 1."""


def export_tower(tower: Tower, source: str | Path, path: str | Path, *, file: str | Path | None = None, opset: int = OPSET) -> float:
    """Export a tower of a CLIP to an ONNX file, and compare its embeddings with those of the original.

    The cosine of two embeddings is their dot product, as their length is 1. Inputs are ``images (B, 3, S, S)`` float RGB in [0, 1], which
    the file normalizes, or ``tokens (B, L)`` int64 of CLIP's tokenizer, padded with 0; the output is ``embeddings (B, D)``. The metadata
    under ``detkit`` names the size of the images, or the length of the texts.

    Args:
        tower: ``image`` or ``text``.
        source: A name of published weights, such as ``clip_vit_b16``, or, for the image tower, a checkpoint of ``clip`` or ``clip_rcnn``.
        path: File name ending in ``.onnx``; an existing file is replaced once the new one is complete and verified.
        file: The published file, together with its name as ``source``; None: where ``detkit models download`` stores it.
        opset: Version of the ONNX operator set.

    Returns:
        The maximum difference of a coordinate.

    Raises:
        FileNotFoundError: If the weights are not on this machine.
        ValueError: If the source has no such tower, or the embeddings of the file differ from those of the tower.
        ImportError: If onnx, onnxruntime or, for the text tower, open_clip is not installed.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: expected a file name ending in {SUFFIX}")
    loaded = _text_tower(source, file) if tower == "text" else _image_tower(source, file)
    with atomic_write(path) as temporary:
        _write(loaded, temporary, opset)
        difference = _difference(loaded, temporary)
        if not difference <= MAX_DIFFERENCE:
            raise ValueError(f"{path}: not written: its embeddings differ from those of the tower by up to {difference:.2g}")
    return difference


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A tower that can be exported: the network, an input for one batch, and facts about it."""

    network: nn.Module
    name: str
    example: Tensor
    facts: Mapping[str, object]


class _ImageEmbeddings(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self, tower: ImageTower) -> None:
        super().__init__()
        self.tower = tower
        self.register_buffer("mean", torch.tensor(tower.mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(tower.std).reshape(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return functional.normalize(self.tower((images - self.mean) / self.std)[0].flatten(1), dim=1)


class _TextEmbeddings(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor) -> Tensor:
        return functional.normalize(self.network(tokens), dim=1)


def _image_tower(source: str | Path, file: str | Path | None) -> _Loaded:
    if checkpoint_path(source) is not None and file is None:
        detector = load_detector(source).detector
        tower, config = detector.backbone, getattr(detector, "config", None)
        if not isinstance(tower, ImageTower) or not isinstance(config, CLIPConfig | CLIPRCNNConfig):
            raise ValueError(f"{source}: expected a CLIP, got {type(detector).__name__} without an image tower")
    else:
        config, tensors = _published(source, file)
        tower = ImageTower(config.backbone, _dimensions(config))
        prefix = f"weights of {source}"
        try:
            renamed = tower.rename_published(tensors)
        except ValueError as error:
            raise ValueError(f"{prefix}: {error}") from None
        load_tensors(tower, renamed, prefix)
    size = (config.warp_size, config.warp_size) if isinstance(config, CLIPRCNNConfig) else config.preprocess.input_size or (224, 224)
    images = torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(0))
    return _Loaded(_ImageEmbeddings(tower).eval(), "images", images, {"input_size": list(size)})


def _dimensions(config: CLIPConfig | CLIPRCNNConfig) -> int:
    if isinstance(config, CLIPConfig):
        return config.dimensions
    return 512 if config.region.text is None else config.region.text.dimensions


def _text_tower(source: str | Path, file: str | Path | None) -> _Loaded:
    if checkpoint_path(source) is not None and file is None:
        raise ValueError(f"{source}: a checkpoint has the embeddings of its phrases, but no text tower; give the name of a published CLIP")
    tower = text_tower(_published(source, file)[1])
    tokens = tower.tokenizer(["a photo of a cat", "two dogs, one of them asleep, on a sofa"])
    return _Loaded(_TextEmbeddings(tower.network).eval(), "tokens", tokens, {"context_length": tokens.shape[1]})


def _published(source: str | Path, file: str | Path | None) -> tuple[CLIPConfig | CLIPRCNNConfig, dict[str, Tensor]]:
    config = publication(str(source)).config if str(source) in PUBLISHED.names() else None
    if not isinstance(config, CLIPConfig | CLIPRCNNConfig):
        names = ", ".join(name for name in PUBLISHED.names() if name.startswith("clip"))
        raise ValueError(f"{source}: expected a CLIP, which has towers; choose one of: {names}")
    return config, dict(read_tensors(Path(file or resolve(str(source)))))


def _write(loaded: _Loaded, path: Path, opset: int) -> None:
    import onnx

    axes = {loaded.name: {0: "batch"}, EMBEDDINGS: {0: "batch"}}
    write_traced(loaded.network, (loaded.example,), path, ([loaded.name], [EMBEDDINGS]), dynamic_axes=axes, opset_version=opset)
    model = onnx.load(str(path))
    values = {"format": FORMAT, "detkit": __version__, "outputs": EMBEDDINGS, "input": loaded.name, **loaded.facts}
    add_metadata(model, json.dumps(values))
    path.write_bytes(model.SerializeToString())


@torch.no_grad()
def _difference(loaded: _Loaded, path: Path) -> float:
    """Return the maximum difference for a batch and for its first row alone."""
    session = import_onnxruntime(path).InferenceSession(str(path), providers=["CPUExecutionProvider"])
    differences = []
    for rows in (loaded.example, loaded.example[:1]):
        (actual,) = session.run(None, {loaded.name: rows.numpy()})
        differences.append(float((torch.from_numpy(actual) - loaded.network(rows)).abs().max()))
    return max(differences)
