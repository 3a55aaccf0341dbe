"""The 4-step training of Faster R-CNN: what learns when, that it can be cut, and that it learns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_overfit import average_precision_50, photos, small_faster_rcnn

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header
from detkit.data.loader import Sample, SampleBatch
from detkit.heads.region import TwoFCConfig
from detkit.models.faster_rcnn import FasterRCNN, FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.training.config import TrainingConfig
from detkit.training.folder import RunFolder
from detkit.training.hooks import Hook
from detkit.training.optimizer import SGDConfig
from detkit.training.run import Run, RunData
from detkit.training.schedule import CosineConfig
from detkit.training.stages import GradientStage, run_stages

State = dict[str, Tensor]
RESNET = BackboneConfig(name="resnet18", weights=None)


def tiny() -> FasterRCNNConfig:
    whole = small_faster_rcnn(FasterRCNNConfig(backbone=RESNET))
    return whole.replace(neck=FPNConfig(out_channels=8), region=whole.region.replace(head=TwoFCConfig(hidden=16), samples_per_image=16))  # type: ignore[attr-defined,no-any-return]


def batches(start: int) -> Iterator[SampleBatch]:
    images, targets = photos()
    numbered = list(enumerate(zip(images, targets, strict=True)))
    whole = [Sample((image * 255).to(torch.uint8), rows, f"{number}.jpg", number, number) for number, (image, rows) in numbered]
    while True:
        yield SampleBatch.of(whole)


def steps_of_four(counts: tuple[int, ...] = (1, 1, 1, 1), lr: float = 0.02) -> list[GradientStage]:
    """The four steps, for so many gradient steps each."""
    parts: tuple[dict[str, Any], ...] = (
        {"trains": "rpn"},
        {"trains": "region", "proposals_from": "start_of_stage", "reset": ("neck.",)},
        {"trains": "rpn", "frozen": ("neck.",)},
        {"trains": "region", "frozen": ("neck.",)},
    )
    rule = SGDConfig(lr=lr, lr_scaling="none", weight_decay=1e-4)
    training = [TrainingConfig(steps=count, evaluations=1, precision="fp32", clip_grad_norm=5.0) for count in counts]
    return [GradientStage(one, rule, CosineConfig(warmup_steps=2), **more) for one, more in zip(training, parts, strict=True)]


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    def make(config: Any, hooks: tuple[Hook, ...] = (), folder: str = "run") -> Run:
        torch.manual_seed(0)
        detector, path = config.build(3), tmp_path / folder
        begun = {name: value.clone() for name, value in detector.state_dict().items()}
        path.mkdir(exist_ok=True)
        data = RunData(batches, 2, 2)
        header = make_header("{}", ["red", "green", "blue"])
        return Run(detector, PreprocessConfig(), data, RunFolder(path), header, hooks=hooks, fresh=lambda: begun)

    return make


class Seen(Hook):
    """Keeps the detector's numbers at the beginning and at the end of every stage."""

    def __init__(self) -> None:
        self.run: Run
        self.begun: list[State] = []
        self.ended: list[State] = []

    def start(self, step: int, stage: int = 0) -> None:
        self.begun.append({name: value.clone() for name, value in self.run.detector.state_dict().items()})

    def close(self) -> None:
        self.ended.append({name: value.clone() for name, value in self.run.detector.state_dict().items()})


def changed(one: State, other: State) -> set[str]:
    return {name.partition(".")[0] for name in one if not one[name].equal(other[name])}


def test_the_parts_learn_in_turn(make_run: Callable[..., Run]) -> None:
    seen = Seen()
    seen.run = run = make_run(tiny(), (seen,))
    run_stages(run, steps_of_four())
    learned = [changed(begun, ended) for begun, ended in zip(seen.begun, seen.ended, strict=True)]
    assert learned == [{"neck", "rpn"}, {"neck", "region"}, {"rpn"}, {"region"}]
    # Only the second step begins with something that the step before did not end with.
    between = [changed(ended, begun) for ended, begun in zip(seen.ended, seen.begun[1:], strict=False)]
    assert between == [{"neck"}, set(), set()]
    assert changed(seen.begun[0], seen.begun[1]) == {"rpn"}
    assert all(p.requires_grad for name, p in run.detector.named_parameters() if name.startswith(("rpn.", "region.")))
    assert {path.name for path in run.folder.path.iterdir()} == {"last.safetensors", "last.state", "images"}


class Cut(Hook):
    """Asks the run to stop after the first gradient step of a stage."""

    def __init__(self, stage: int) -> None:
        self.run: Run
        self._stage = stage

    def advance(self, step: int, progress: float) -> None:
        if self.run.stage == self._stage and step == 1:
            self.run.signals.received = "SIGTERM"


@pytest.mark.parametrize("stage", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_run_that_was_cut_ends_as_one_that_was_not(make_run: Callable[..., Run], stage: int) -> None:
    counts = (1, 2, 1, 2)
    cut = Cut(stage)
    cut.run = run = make_run(tiny(), (cut,))
    ended = run_stages(run, steps_of_four(counts))
    assert (ended.interrupted, ended.steps) == (True, 1)
    # Who told the second step where to look is the detector of before, which is kept for it.
    assert (run.folder.path / "proposals_from.safetensors").is_file() == (stage == 1)
    again, whole = make_run(tiny()), make_run(tiny(), folder="whole")
    assert run_stages(again, steps_of_four(counts), resume=True).reason == "finished"
    assert not (run.folder.path / "proposals_from.safetensors").exists()
    run_stages(whole, steps_of_four(counts))
    torch.testing.assert_close(again.detector.state_dict(), whole.detector.state_dict(), rtol=0, atol=0)
    assert again.images_seen == whole.images_seen == 2 * sum(counts)


def test_what_cannot_learn_in_turn_is_told(make_run: Callable[..., Run]) -> None:
    one = make_run(FCOSConfig(backbone=RESNET))
    with pytest.raises(ValueError, match="stage gradient: learns=rpn proposals_from=itself is for two stages, those of faster_rcnn; got"):
        run_stages(one, steps_of_four()[:1])
    two = make_run(tiny())
    wrong = GradientStage(TrainingConfig(steps=1), SGDConfig(), CosineConfig(), reset=("neckk",))
    with pytest.raises(ValueError, match="stage gradient: anew: no parameter's name begins with 'neckk'"):
        run_stages(two, [wrong])


@pytest.mark.slow
def test_two_images_are_learned_by_heart_in_four_steps(make_run: Callable[..., Run]) -> None:
    run = make_run(small_faster_rcnn(FasterRCNNConfig(backbone=RESNET)))
    run_stages(run, steps_of_four((50, 60, 30, 30)))
    assert isinstance(run.detector, FasterRCNN)
    images, targets = photos()
    with torch.no_grad():
        found = run.detector.eval()(images)
    assert average_precision_50(found, targets) > 0.95
