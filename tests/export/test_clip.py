"""Exported towers of CLIP in onnxruntime against the whole model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

import detkit
from detkit import zoo
from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.main import main
from detkit.export import clip
from detkit.export.clip import export_tower
from detkit.inference.exported.metadata import METADATA_KEY
from detkit.models.clip.rcnn import CLIPRCNNConfig
from detkit.models.published.clip import publication_for
from detkit.text import text_tower

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("open_clip", reason="needs open_clip: pip install 'detkit-vision[clip]'")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "text"))

from tiny import BACKBONE, tensors, whole_clip  # noqa: E402

CONFIG = CLIPRCNNConfig(backbone=BackboneConfig(name=BACKBONE, weights=None, norm="frozen"))


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A small CLIP, whose file is that of the name ``clip_rcnn``."""
    network = whole_clip()
    torch.save(tensors(network), tmp_path / "clip.pt")
    monkeypatch.setattr(clip, "publication", lambda name: publication_for(CONFIG))
    monkeypatch.setattr(clip, "resolve", lambda name: tmp_path / "clip.pt")
    return network


@pytest.mark.oracle("PyTorch", "exported image tower of CLIP in onnxruntime", tolerance="1e-5")
@torch.no_grad()
def test_images(whole: Any, tmp_path: Path) -> None:
    assert export_tower("image", "clip_rcnn", tmp_path / "image.onnx") < 1e-5
    images = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    detector = CONFIG.build(1)
    expected = functional.normalize(whole.encode_image((images - detector.mean) / detector.std), dim=1)
    session = runtime.InferenceSession(str(tmp_path / "image.onnx"))
    assert session.get_inputs()[0].shape == ["batch", 3, 224, 224]
    assert_close(torch.from_numpy(session.run(["embeddings"], {"images": images.numpy()})[0]), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.oracle("PyTorch", "exported text tower of CLIP in onnxruntime", tolerance="1e-5")
@torch.no_grad()
def test_texts(whole: Any, tmp_path: Path) -> None:
    assert export_tower("text", "clip_rcnn", tmp_path / "text.onnx") < 1e-5
    tower = text_tower(tensors(whole))
    phrases = ["a cat", "a red cup", "two dogs, one of them asleep, on a sofa"]
    session = runtime.InferenceSession(str(tmp_path / "text.onnx"))
    (actual,) = session.run(["embeddings"], {"tokens": tower.tokenizer(phrases).numpy()})
    assert_close(torch.from_numpy(actual), tower.embed(phrases), atol=1e-5, rtol=1e-4)
    facts = json.loads(onnx.load(tmp_path / "text.onnx").metadata_props[0].value)
    assert onnx.load(tmp_path / "text.onnx").metadata_props[0].key == METADATA_KEY
    assert (facts["input"], facts["context_length"]) == ("tokens", 77)
    with pytest.raises(ValueError, match=r"text\.onnx: a tower of CLIP, which computes embeddings of tokens and detects nothing"):
        detkit.load(tmp_path / "text.onnx")


def test_checkpoints_have_an_image_tower_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    for name, config in (("clip", CONFIG), ("other", zoo.load("rcnn_lite0_bccd").model)):
        state = config.build(2).state_dict()
        save_checkpoint(tmp_path / f"{name}.safetensors", state, make_header(config.to_json(), ("a", "b")))
    checkpoint = str(tmp_path / "clip.safetensors")
    assert main(["export", checkpoint, "--output", str(tmp_path / "image.onnx"), "--outputs", "embeddings"]) == 0
    assert "embeddings differ by at most" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"clip\.safetensors: a checkpoint has the embeddings of its phrases, but no text tower"):
        export_tower("text", checkpoint, tmp_path / "text.onnx")
    with pytest.raises(ValueError, match=r"other\.safetensors: expected a CLIP, got RCNN without an image tower"):
        export_tower("image", tmp_path / "other.safetensors", tmp_path / "image.onnx")
    with pytest.raises(ValueError, match="yolox_s: expected a CLIP, which has towers; choose one of: clip, clip_rcnn, "):
        export_tower("image", "yolox_s", tmp_path / "image.onnx")
