"""Exported detectors that take proposals, as tensors and in onnxruntime, against the original detectors."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported_regions import RandomBoxes, check_outputs, padded
from exporting import noise_images
from torch import Tensor, nn

import detkit
from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.main import main
from detkit.data import make_sample, read_source
from detkit.export import ExportSettings, export_onnx
from detkit.export.graphs import graph_of
from detkit.heads.region.layers import TwoFCConfig
from detkit.heads.text_classes import TextClassesConfig
from detkit.inference import Predictor, load_exported
from detkit.inference.exported.metadata import METADATA_KEY
from detkit.models.clip.rcnn import CLIPRCNNConfig
from detkit.models.fast_rcnn import FastRCNNConfig
from detkit.models.rcnn import RCNNConfig
from detkit.models.sppnet import SPPNetConfig
from detkit.necks import FPNConfig
from detkit.ops.pooling_max import roi_max_pool
from detkit.preprocess import PreprocessConfig
from detkit.proposals import ProposalsConfig
from detkit.structures import Proposals

NAMES = ("a", None, "c", "d")
SMALL = PreprocessConfig(short_side=96, long_side=192)
SHAPES = ((120, 200), (230, 100), (61, 60), (1, 1), (4000, 30), (96, 160))
RESNET = BackboneConfig(name="resnet18", weights=None, levels=("c4",))


def fast_rcnn(**options: Any) -> FastRCNNConfig:
    config = FastRCNNConfig(backbone=RESNET, preprocess=SMALL, **options)
    return config.replace(region=config.region.replace(head=TwoFCConfig(hidden=32), pool_size=3))


def at_three_scales() -> FastRCNNConfig:
    return fast_rcnn(scales=(0.5, 1.0, 2.0))


def on_a_pyramid() -> FastRCNNConfig:
    config = fast_rcnn(neck=FPNConfig(out_channels=32))
    backbone = config.backbone.replace(levels=None)
    return config.replace(backbone=backbone, region=config.region.replace(pooling="align"))


def max_on_a_pyramid() -> FastRCNNConfig:
    config = on_a_pyramid()
    return config.replace(region=config.region.replace(pooling="max"))


def with_phrases() -> FastRCNNConfig:
    config = fast_rcnn()
    return config.replace(region=config.region.replace(text=TextClassesConfig(dimensions=8, temperature=0.1, background=())))


def sppnet() -> SPPNetConfig:
    config = SPPNetConfig(backbone=RESNET, preprocess=SMALL)
    return config.replace(region=config.region.replace(head=TwoFCConfig(hidden=32), pyramid_bins=(4, 2, 1)))


def rcnn() -> RCNNConfig:
    """Crops of 64 pixels, which give 2 x 2 cells, in chunks that do not divide the number of proposals."""
    config = RCNNConfig(backbone=RESNET.replace(levels=("c5",)), preprocess=SMALL, warp_size=64, context_pixels=8, chunk_size=7)
    return config.replace(region=config.region.replace(head=TwoFCConfig(hidden=32), pool_size=2))


def clip_rcnn() -> CLIPRCNNConfig:
    config = CLIPRCNNConfig(backbone=RESNET.replace(levels=None), preprocess=SMALL, warp_size=64, context_pixels=8, chunk_size=5)
    text = TextClassesConfig(dimensions=8, projection=False, temperature=0.1, background=("nothing",))
    return config.replace(region=config.region.replace(text=text))


CONFIGS: dict[str, Callable[[], Any]] = {
    "fast_rcnn": fast_rcnn,
    "scales": at_three_scales,
    "pyramid": on_a_pyramid,
    "max": max_on_a_pyramid,
    "phrases": with_phrases,
    "sppnet": sppnet,
    "rcnn": rcnn,
    "clip_rcnn": clip_rcnn,
}


def predictor_of(config: Any, names: tuple[str | None, ...] = NAMES) -> Predictor:
    """Return a predictor with fitted layers where it has them, and spread scores without ties."""
    torch.manual_seed(0)
    detector = config.build(len(names)).eval()
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if name == "region.predictor.logits.weight":
                parameter.mul_(20)
            if "region.fitted" in name:
                parameter.normal_(0, 0.1)
    if detector.region.fitted is not None:
        detector.region.fitted.has_svm.fill_(True)
        detector.region.fitted.has_boxes.fill_(True)
    detector.hide_unnamed_classes(names)
    proposer = ProposalsConfig(max_proposals=60).build(RandomBoxes())
    return Predictor(detector, config.preprocess, names, "cpu", "fp32", reference=True, proposer=proposer)


@torch.no_grad()
@pytest.mark.parametrize("name", CONFIGS)
def test_detections_equal_those_of_the_detector(name: str) -> None:
    predictor, shown = predictor_of(CONFIGS[name]()), noise_images(*SHAPES)
    prepared, images, sizes = padded(predictor, shown)
    given = [predictor.prepare(image).proposals for image in shown]
    assert [len(rows) for rows in given if rows is not None] == [20, 10, 6, 0, 3, 16]
    boxes, counts = nn.utils.rnn.pad_sequence([rows.boxes for rows in given if rows is not None], batch_first=True), [20, 10, 6, 0, 3, 16]
    boxes[1, 15:] = 30.0  # padding can be anything
    detector: Any = predictor.detector
    outputs = graph_of(detector)(images, sizes, boxes, torch.tensor(counts))
    assert check_outputs(detector(prepared, proposals=given), outputs) > 12


@pytest.mark.parametrize("name", ["fast_rcnn", "rcnn", *(pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS)])
def test_in_onnxruntime_for_any_number_of_images_and_proposals(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    predictor, shown = predictor_of(CONFIGS[name]()), noise_images(*SHAPES)
    agreement = export_onnx(predictor, tmp_path / "model.onnx", shown)
    assert agreement.matched == agreement.detections > 12
    exported = detkit.load(tmp_path / "model.onnx", batch_size=3, proposer=predictor.proposer)
    for expected, actual in zip(predictor(shown[::5] * 2), exported(shown[::5] * 2), strict=True):
        assert len(expected) == len(actual)
        torch.testing.assert_close(expected.scores, actual.scores, atol=1e-4, rtol=0)
        torch.testing.assert_close(expected.boxes, actual.boxes, atol=1e-2, rtol=0)
        assert 1 not in actual.labels, "a class without a name is never reported"


class MaxPooling(nn.Module):
    """Pools regions from one map of stride 8."""

    def forward(self, level_map: Tensor, regions: Tensor) -> Tensor:
        return roi_max_pool([level_map], regions, output_size=3, strides=(8.0,), levels=regions[:, 0])


@pytest.mark.oracle("onnxruntime", "RoI max pooling", tolerance="equal")
@pytest.mark.filterwarnings("ignore")
def test_max_pooling_of_onnxruntime_rounds_as_the_authors_code() -> None:
    runtime = pytest.importorskip("onnxruntime")
    generator = torch.Generator().manual_seed(0)
    level_map = torch.randn((2, 4, 9, 13), generator=generator)
    # Corners at whole and half cells, where the direction of rounding matters, some outside the map or without an area.
    corners = torch.randint(-4, 24, (4000, 2), generator=generator) * 4.0
    sides = torch.randint(0, 14, (4000, 2), generator=generator) * 4.0
    images = torch.randint(0, 2, (4000, 1), generator=generator)
    regions = torch.cat((images, corners, corners + sides + torch.tensor([1.0, 1.0])), 1)
    file, names = io.BytesIO(), ["level_map", "regions"]
    torch.onnx.export(MaxPooling(), (level_map, regions[:7]), file, input_names=names, dynamic_axes={"regions": {0: "n"}}, dynamo=False)
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (actual,) = session.run(None, {"level_map": level_map.numpy(), "regions": regions.numpy()})
    np.testing.assert_array_equal(MaxPooling()(level_map, regions).numpy(), actual)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime")
    path = tmp_path_factory.mktemp("exported") / "fast.onnx"
    export_onnx(predictor_of(fast_rcnn()), path, noise_images((120, 200)), ExportSettings(batch_size=2))
    return path


def test_inputs_and_metadata_of_the_file(exported: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported)
    onnx.checker.check_model(model)
    shapes = {value.name: [row.dim_value or row.dim_param for row in value.type.tensor_type.shape.dim] for value in model.graph.input}
    assert shapes == {"images": [2, 3, "height", "width"], "sizes": [2, 2], "proposals": [2, "proposals", 4], "proposal_counts": [2]}
    entry = model.metadata_props[0]
    values = json.loads(entry.value)
    assert json.loads(values["proposals"])["max_proposals"] == 60
    for changed, message in (
        (None, "expected the inputs images and sizes and"),
        ('{"mode": "no"}', "its metadata is damaged: proposals: mode: expected"),
    ):
        entry.value = json.dumps(values | {"proposals": changed})
        onnx.save(model, tmp_path / "m.onnx")
        with pytest.raises(ValueError, match=rf"m\.onnx: {message}"):
            detkit.load(tmp_path / "m.onnx")
    assert entry.key == METADATA_KEY


def test_proposals_are_needed(exported: Path) -> None:
    with pytest.raises(ValueError, match=r"fast\.onnx: it takes proposals, which are computed with PyTorch; load it with detkit\.load"):
        load_exported(exported)
    predictor = detkit.load(exported, proposer=lambda image: Proposals.empty())
    assert len(predictor(noise_images((120, 200))[0])) == 0
    predictor.proposer = None
    with pytest.raises(ValueError, match=r"fast\.onnx: expected proposals of each of 1 images"):
        predictor(noise_images((120, 200))[0])
    other = predictor_of(fast_rcnn())
    other.proposer = lambda image: Proposals.empty()
    with pytest.raises(ValueError, match="expected a predictor with a proposer that was built from a ProposalsConfig, got function"):
        export_onnx(other, exported, [])


def test_commands_compute_proposals_for_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    data = make_sample(tmp_path / "data", 2, val_images=2).val
    assert data is not None
    labeled = read_source(data)
    config = fast_rcnn(proposals=ProposalsConfig(max_proposals=30, cache=str(tmp_path / "private")))
    predictor = predictor_of(config, labeled.class_names)
    checkpoint, file = tmp_path / "fast.safetensors", tmp_path / "fast.onnx"
    save_checkpoint(checkpoint, predictor.detector.state_dict(), make_header(config.to_json(), labeled.class_names))
    assert main(["export", str(checkpoint), "--output", str(file)]) == 0
    assert b"private" not in file.read_bytes(), "a file that is passed on names no folder of this machine"
    assert main(["detect", "--model", str(file), "--no-draw", "--min-score", "0.05"]) == 0
    assert re.search(r"1 image, \d+ detections", capsys.readouterr().out)
    actual, expected = detkit.evaluate(file, labeled), detkit.evaluate(checkpoint, labeled)
    assert [rows.detections for rows in actual.classes] == [rows.detections for rows in expected.classes]
    assert sum(rows.detections for rows in expected.classes) > 10
    assert actual.values == pytest.approx(expected.values, abs=1e-3, nan_ok=True)
