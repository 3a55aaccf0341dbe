"""Exported classifiers in onnxruntime against the original ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exporting import noise_images
from PIL import Image

import detkit
from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.main import main
from detkit.data import SourceConfig, read_source
from detkit.experiment.classification_run import evaluate_classifier
from detkit.export import export_onnx
from detkit.inference import Predictor, load_exported
from detkit.models.classifier import ClassifierConfig
from detkit.preprocess import PreprocessConfig

pytest.importorskip("onnxruntime")
NAMES = ("a", None, "c", "d", "e", "f", "g")
SHAPES = ((64, 64), (120, 50), (31, 200), (1, 1), (4000, 30))


def config(name: str = "shufflenet_v2_x0_5", side: int = 64, **options: Any) -> ClassifierConfig:
    options = {"preprocess": PreprocessConfig(rule="letterbox", input_size=(side, side), antialias=True), "top_k": 3} | options
    return ClassifierConfig(backbone=BackboneConfig(name=name, weights=None), **options)


def predictor_of(given: ClassifierConfig, names: tuple[str | None, ...] = NAMES) -> Predictor:
    torch.manual_seed(0)
    classifier = given.build(len(names)).eval()
    with torch.no_grad():
        for name in classifier.network.head_names:
            classifier.network.get_parameter(name).mul_(10)
    classifier.hide_unnamed_classes(names)
    return Predictor(classifier, given.preprocess, names, "cpu", "fp32", reference=True)


OTHERS = {
    "two heads": config("deit_tiny_distilled_patch16_224", 224),
    "any size": config(preprocess=PreprocessConfig(short_side=64, long_side=160)),
    "auxiliary": config("googlenet", 64),
    "old": config("lenet5", 32),
    "pooled unevenly": config("vgg11", 96, preprocess=PreprocessConfig(short_side=96, long_side=200)),
}


@pytest.mark.parametrize(
    "given", [config(), *(pytest.param(row, marks=pytest.mark.slow) for row in OTHERS.values())], ids=["plain", *OTHERS]
)
def test_classes_match_the_classifier(given: ClassifierConfig, tmp_path: Path) -> None:
    predictor, shown = predictor_of(given), noise_images(*SHAPES)
    agreement = export_onnx(predictor, tmp_path / "model.onnx", shown)
    assert agreement.holds
    assert agreement.detections >= len(shown)
    for expected, actual in zip(predictor(shown), detkit.load(tmp_path / "model.onnx", batch_size=3)(shown), strict=True):
        assert len(expected) == len(actual) == given.top_k
        torch.testing.assert_close(expected.scores, actual.scores, atol=1e-5, rtol=0)
        torch.testing.assert_close(expected.boxes, actual.boxes)
        assert torch.equal(expected.labels, actual.labels)
        assert 1 not in actual.labels, "a class without a name is never reported"


def test_more_classes_than_usual_and_more_than_there_are(tmp_path: Path) -> None:
    predictor = predictor_of(config(), ("a", None, "c"))
    export_onnx(predictor, tmp_path / "model.onnx", noise_images((64, 64)))
    exported = load_exported(tmp_path / "model.onnx", max_detections=50)
    assert sorted(exported(noise_images((64, 64))[0]).labels.tolist()) == [0, 2]
    assert exported.max_detections is None


def test_commands_with_a_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("across", "down"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number, pixels in enumerate(noise_images(*[(40, 50)] * 6)):
            Image.fromarray(np.roll(pixels, 7 * (name == "down"), 0)).save(tmp_path / "data" / name / f"{number}.png")
    data, given = read_source(SourceConfig(path=str(tmp_path / "data"))), config()
    predictor = predictor_of(given, data.class_names)
    checkpoint, file = tmp_path / "model.safetensors", tmp_path / "model.onnx"
    save_checkpoint(checkpoint, predictor.detector.state_dict(), make_header(given.to_json(), data.class_names))
    assert main(["export", str(checkpoint), "--output", str(file)]) == 0
    capsys.readouterr()
    outputs = []
    for model in (checkpoint, file):
        assert main(["evaluate", str(model), "--data", str(tmp_path / "data")]) == 0
        outputs.append(re.sub(r"model\.\w+", "model", capsys.readouterr().out))
    numbers = [re.findall(r"top-?1\D*?([\d.]+)", output) for output in outputs]
    assert numbers[0] == numbers[1] != []
    assert main(["detect", "--model", str(file), "--no-draw"]) == 0
    assert re.search(r"across|down", capsys.readouterr().out)
    np.testing.assert_array_equal(evaluate_classifier(detkit.load(file), data).confusion, evaluate_classifier(predictor, data).confusion)
