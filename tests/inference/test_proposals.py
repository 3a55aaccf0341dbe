from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import Predictor, load, proposals
from detkit.inference.proposals import RPNProposals, build_proposer
from detkit.models.fast_rcnn import FastRCNNConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.proposals import ProposalsConfig

CONFIG = FasterRCNNConfig(
    preprocess=PreprocessConfig(short_side=96, long_side=160),
    backbone=BackboneConfig(name="resnet18", weights=None),
    neck=FPNConfig(out_channels=16),
)
CONFIG = CONFIG.replace(rpn=CONFIG.rpn.replace(max_proposals=40), region=CONFIG.region.replace(head=TwoFCConfig(hidden=16), pool_size=3))
IMAGE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    return Predictor(CONFIG.build(2), CONFIG.preprocess, ("cat", "dog"), "cpu", "fp32", reference=True)


def test_proposals_are_those_of_the_rpn_in_original_pixels(predictor: Predictor) -> None:
    actual = ProposalsConfig().build(RPNProposals(predictor))(IMAGE).checked()
    prepared = predictor.prepare(IMAGE)
    with predictor.running() as running:
        detector = running
        batch = detector.prepare([prepared.image])
        raw = detector.raw(batch)
        (expected,) = detector.rpn.propose(  # type: ignore[union-attr, operator]
            raw[0],
            raw[1],
            detector.rpn.anchors_for(raw[2:], batch),
            batch,
            training=False,  # type: ignore[union-attr, operator]
        )
    assert 0 < len(actual) <= 40
    assert prepared.size == (96, 128)
    torch.testing.assert_close(actual.boxes, expected.boxes * 60 / 96, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(actual.scores, expected.scores)
    assert (actual.scores.diff() <= 0).all()
    assert (actual.boxes[:, 2:].amax(0) <= torch.tensor([80.0, 60.0]) + 1e-4).all()


def test_version_depends_on_weights_and_config(predictor: Predictor, tmp_path: Path) -> None:
    version = RPNProposals(predictor).version
    assert version == RPNProposals(pickle.loads(pickle.dumps(predictor))).version
    torch.manual_seed(1)
    other = Predictor(CONFIG.build(2), CONFIG.preprocess, ("cat", "dog"), "cpu", "fp32", reference=True)
    assert RPNProposals(other).version != version
    fewer = CONFIG.replace(rpn=CONFIG.rpn.replace(max_proposals=7)).build(2)
    fewer.load_state_dict(predictor.detector.state_dict())
    assert RPNProposals(Predictor(fewer, CONFIG.preprocess, ("cat", "dog"), "cpu", "fp32", reference=True)).version != version


def test_checkpoint_as_backend(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, predictor.detector.state_dict(), make_header(CONFIG.to_json(), ["cat", "dog"]))
    proposer = build_proposer(ProposalsConfig(backend=str(path), max_proposals=10, cache=str(tmp_path / "kept")))
    actual = proposer(IMAGE)
    expected = RPNProposals(predictor)(IMAGE, ProposalsConfig())
    torch.testing.assert_close(actual.boxes, expected.boxes[:10], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(proposer(IMAGE).boxes, actual.boxes, rtol=0, atol=0)


def test_named_backend() -> None:
    assert build_proposer(ProposalsConfig(mode="single")).backend.version.startswith("detkit")


def test_device_of_the_rpn(predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rpn.safetensors"
    save_checkpoint(path, predictor.detector.state_dict(), make_header(CONFIG.to_json(), ["cat", "dog"]))
    config = FastRCNNConfig(
        preprocess=CONFIG.preprocess, backbone=CONFIG.backbone, region=CONFIG.region, proposals=ProposalsConfig(backend=str(path))
    )
    save_checkpoint(tmp_path / "best.safetensors", config.build(2).state_dict(), make_header(config.to_json(), ["cat", "dog"]))
    devices: list[object] = []

    def recorded(detector: object, preprocess: object, class_names: object, device: object, precision: str) -> Predictor:
        assert precision == "fp32"
        devices.append(device)
        return predictor

    monkeypatch.setattr(proposals, "Predictor", recorded)
    build_proposer(config.proposals)
    load(tmp_path / "best.safetensors", torch.device("cpu"))
    load(tmp_path / "best.safetensors", "auto")
    assert devices == ["cpu", torch.device("cpu"), "auto"]


def test_a_checkpoint_that_names_itself_as_its_backend(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    config = FastRCNNConfig(
        preprocess=CONFIG.preprocess, backbone=CONFIG.backbone, region=CONFIG.region, proposals=ProposalsConfig(backend=str(path))
    )
    save_checkpoint(path, config.build(2).state_dict(), make_header(config.to_json(), ["cat", "dog"]))
    with pytest.raises(ValueError, match="FastRCNN has no region proposal network; use a checkpoint of Faster R-CNN"):
        load(path, "cpu")


def test_a_checkpoint_names_no_folder_that_is_written_or_cleaned(tmp_path: Path) -> None:
    """Files of others in the folder that a checkpoint names as its cache were deleted, as its size limit was the checkpoint's too."""
    victim, own = tmp_path / "home", tmp_path / "own"
    (victim / "project").mkdir(parents=True)
    for index in range(3):
        np.savez(victim / "project" / f"precious{index}.npz", a=np.arange(1000))
    before = sorted(victim.rglob("*"))
    settings = ProposalsConfig(mode="single", max_proposals=5, cache=str(victim), cache_megabytes=1e-6)
    config = FastRCNNConfig(preprocess=CONFIG.preprocess, backbone=CONFIG.backbone, region=CONFIG.region, proposals=settings)
    save_checkpoint(tmp_path / "a.safetensors", config.build(2).state_dict(), make_header(config.to_json(), ["cat", "dog"]))
    load(tmp_path / "a.safetensors", "cpu")(IMAGE)
    assert sorted(victim.rglob("*")) == before
    predictor = load(tmp_path / "a.safetensors", "cpu", proposals_cache=own)
    first = predictor.propose(predictor.pixels(IMAGE))
    assert len(list(own.rglob("*.npz"))) == 1
    again = predictor.propose(predictor.pixels(IMAGE))
    assert first is not None
    assert again is not None
    torch.testing.assert_close(first.boxes, again.boxes, rtol=0, atol=0)
    assert sorted(victim.rglob("*")) == before
