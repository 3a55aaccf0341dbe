"""The limit on the detections of an image: set by the user, and reported where it was reached."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import detkit
from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.main import main
from detkit.data import make_sample, read_source
from detkit.data.checks.findings import Finding
from detkit.diagnostics.model_limits import too_many_objects
from detkit.experiment import evaluation_run
from detkit.heads.fcos import FCOSHeadConfig
from detkit.inference import ImagePyramid, Predictor
from detkit.models.classifier import ClassifierConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.retinanet import RetinaNetConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig

BACKBONE = BackboneConfig(name="shufflenet_v2_x0_5", weights=None)
SMALL = PreprocessConfig(short_side=96, long_side=192)
IMAGE = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)


def busy(config: FCOSConfig) -> torch.nn.Module:
    """Return a detector with scores around .5 everywhere."""
    torch.manual_seed(0)
    detector = config.build(2).eval()
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if name.endswith("bias") and parameter.min() < -3:
                parameter.fill_(0.0)
    return detector


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, files = tmp_path_factory.mktemp("limits"), {}
    configs = {
        "one stage": FCOSConfig(
            backbone=BACKBONE, preprocess=SMALL, neck=FPNConfig(out_channels=64, extra_levels="p6p7"), head=FCOSHeadConfig(depth=1)
        ),
        "two stages": FasterRCNNConfig(backbone=BACKBONE, neck=FPNConfig(out_channels=16), preprocess=SMALL),
    }
    for name, config in configs.items():
        files[name] = folder / f"{name.replace(' ', '_')}.safetensors"
        save_checkpoint(files[name], busy(config).state_dict(), make_header(config.to_json(), ["cat", "dog"]))  # type: ignore[arg-type]
    return files


@pytest.mark.parametrize("kind", ["one stage", "two stages"])
@pytest.mark.parametrize("reference", [False, True])
def test_fewer_detections_are_the_best_of_all(checkpoints: dict[str, Path], kind: str, reference: bool) -> None:
    everything = detkit.load(checkpoints[kind], "cpu", "fp32", reference=reference)(IMAGE)
    limited = detkit.load(checkpoints[kind], "cpu", "fp32", reference=reference, max_detections=7)
    assert limited.max_detections == 7
    few = limited(IMAGE)
    assert len(few) == 7 < len(everything)
    torch.testing.assert_close(few.boxes, everything.boxes[:7], rtol=0, atol=0)
    torch.testing.assert_close(few.scores, everything.scores[:7], rtol=0, atol=0)


def test_more_detections_than_the_model_allows(checkpoints: dict[str, Path]) -> None:
    usual = detkit.load(checkpoints["one stage"], "cpu", "fp32")(IMAGE)
    more = detkit.load(checkpoints["one stage"], "cpu", "fp32", max_detections=1500)(IMAGE)
    assert len(usual) == 100 < len(more)
    torch.testing.assert_close(more.boxes[:100], usual.boxes, rtol=0, atol=0)


def test_the_detector_given_keeps_its_limit() -> None:
    detector = busy(FCOSConfig(backbone=BACKBONE, preprocess=SMALL))
    limited = Predictor(detector, SMALL, ("cat", "dog"), "cpu", reference=True, max_detections=3)  # type: ignore[arg-type]
    assert len(limited(IMAGE)) == 3
    assert len(Predictor(detector, SMALL, ("cat", "dog"), "cpu", reference=True)(IMAGE)) == 100  # type: ignore[arg-type]


@pytest.mark.slow
def test_an_exported_file(checkpoints: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    source, file = str(checkpoints["one stage"]), tmp_path / "m.onnx"
    assert main(["export", source, "--output", str(file), "--max-detections", "40"]) == 0
    exported = detkit.load(file)
    assert (exported.max_detections, len(exported(IMAGE))) == (40, 40)
    assert len(detkit.load(file, max_detections=5)(IMAGE)) == 5
    with pytest.raises(ValueError, match="max_detections: expected 1 or more, got 0"):
        detkit.load(file, max_detections=0)


def test_limits_that_cannot_be_set(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="max_detections: expected 1 or more, got 0"):
        detkit.load(checkpoints["one stage"], "cpu", max_detections=0)
    classifier = ClassifierConfig(backbone=BACKBONE).build(2)
    with pytest.raises(ValueError, match="max_detections: Classifier has no limit on detections"):
        Predictor(classifier, SMALL, ("cat", "dog"), "cpu", max_detections=5)


def test_images_that_reach_the_limit_are_counted(checkpoints: dict[str, Path]) -> None:
    predictor = detkit.load(checkpoints["one stage"], "cpu", "fp32", max_detections=5, min_score=0.2)
    predictor([IMAGE, IMAGE])
    assert predictor.cut_images == 2
    strict = detkit.load(checkpoints["one stage"], "cpu", "fp32", max_detections=5, min_score=0.99)
    strict(IMAGE)
    assert strict.cut_images == 0, "what is left out scores less than what is reported"
    pyramid = ImagePyramid(predictor, (1,), max_detections=4)
    pyramid(IMAGE)
    assert pyramid.cut_images == 1


def test_detect_says_once_that_detections_were_cut(
    checkpoints: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for name in ("a.png", "b.png"):
        Image.fromarray(IMAGE).save(tmp_path / name)
    command = ["detect", str(tmp_path), "--model", str(checkpoints["one stage"]), "--no-draw", "--precision", "fp32", "--min-score", "0.2"]
    assert main([*command, "--max-detections", "6"]) == 0
    out = capsys.readouterr().out
    note = "note: 2 images reached the limit of 6 detections, so others with lower scores may be left out; raise it with --max-detections"
    assert out.count(note) == 1
    assert "2 images, 12 detections" in out
    assert main([*command, "--max-detections", "5000"]) == 0
    assert "reached the limit" not in capsys.readouterr().out


def test_evaluation_and_training_say_that_objects_exceed_the_limit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_source(make_sample(tmp_path / "data", 3).train)
    most = int(np.diff(data.records.offsets).max())
    assert most > 1
    monkeypatch.setattr(evaluation_run, "detect_records", lambda *_: [])

    def evaluate(limit: int) -> None:
        evaluation_run.run_evaluator(SimpleNamespace(max_detections=limit, class_names=data.class_names), data)  # type: ignore[arg-type]

    def find(limit: int) -> list[Finding]:
        postprocess = RetinaNetConfig().head.postprocess.replace(max_detections=limit)
        config = RetinaNetConfig(head=RetinaNetConfig().head.replace(postprocess=postprocess))
        return list(too_many_objects(config, "train", data))

    evaluate(most)
    assert caplog.messages == []
    evaluate(1)
    (message,) = caplog.messages
    assert f"images have more than 1 objects (at most {most}), and no more than 1 are detected in an image" in message
    assert message.endswith("raise max_detections (--max-detections); COCO's AP counts 100")
    assert find(most) == []
    (finding,) = find(1)
    assert finding.count == int((data.records.lengths > 1).sum())
    assert finding.examples()[0].detail.endswith("objects, model.head.postprocess.max_detections is 1")
    assert FasterRCNNConfig().detection_limit == ("region.max_detections", 100)
