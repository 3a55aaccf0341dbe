"""4-step training of Faster R-CNN: which part each step trains, interruption, and memorizing two images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_overfit import average_precision_50, small_faster_rcnn, toy_images

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header
from detkit.data.loader import Sample, SampleBatch
from detkit.heads.region.layers import TwoFCConfig
from detkit.models.faster_rcnn import FasterRCNN, FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.training.config import TrainingConfig
from detkit.training.folder import RunFolder
from detkit.training.hooks import Hook, Hooks
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.run import Run, RunData
from detkit.training.stages import GradientStage, run_stages

State = dict[str, Tensor]
SMALL = BackboneConfig(name="shufflenet_v2_x0_5", weights=None)


def tiny() -> FasterRCNNConfig:
    whole = small_faster_rcnn(FasterRCNNConfig(backbone=SMALL))
    return whole.replace(neck=FPNConfig(out_channels=8), region=whole.region.replace(head=TwoFCConfig(hidden=16), samples_per_image=16))  # type: ignore[attr-defined,no-any-return]


def batches(start: int) -> Iterator[SampleBatch]:
    images, targets = toy_images()
    numbered = list(enumerate(zip(images, targets, strict=True)))
    whole = [Sample((image * 255).to(torch.uint8), rows, f"{number}.jpg", number, number) for number, (image, rows) in numbered]
    while True:
        yield SampleBatch.of(whole)


def four_stages(counts: tuple[int, ...] = (1, 1, 1, 1), lr: float = 0.02) -> list[GradientStage]:
    """Return the four stages with the given numbers of gradient steps."""
    parts: tuple[dict[str, Any], ...] = (
        {"trains": "rpn"},
        {"trains": "region", "proposals_from": "start_of_stage", "reset": ("neck.",)},
        {"trains": "rpn", "frozen": ("neck.",)},
        {"trains": "region", "frozen": ("neck.",)},
    )
    rule = SGDConfig(lr=lr, lr_scaling="none", weight_decay=1e-4)
    training = [TrainingConfig(steps=count, evaluations=1, precision="fp32", clip_grad_norm=5.0) for count in counts]
    return [GradientStage(config, rule, CosineConfig(warmup_steps=2), **part) for config, part in zip(training, parts, strict=True)]


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    def make(config: Any, hooks: tuple[Hook, ...] = (), folder: str = "run") -> Run:
        torch.manual_seed(0)
        detector, path = config.build(3), tmp_path / folder
        initial = {name: value.clone() for name, value in detector.state_dict().items()}
        path.mkdir(exist_ok=True)
        data = RunData(batches, 2, 2)
        header = make_header("{}", ["red", "green", "blue"])
        return Run(detector, PreprocessConfig(), data, RunFolder(path), header, hooks=Hooks(hooks), initial_state=lambda: initial)

    return make


class StageStates(Hook):
    """Records the detector's state at the start and at the end of every stage."""

    def __init__(self) -> None:
        self.run: Run
        self.starts: list[State] = []
        self.ends: list[State] = []

    def start(self, step: int, stage: int = 0) -> None:
        self.starts.append({name: value.clone() for name, value in self.run.detector.state_dict().items()})

    def close(self) -> None:
        self.ends.append({name: value.clone() for name, value in self.run.detector.state_dict().items()})


def changed(one: State, other: State) -> set[str]:
    return {name.partition(".")[0] for name in one if not one[name].equal(other[name])}


def test_the_parts_are_trained_in_turn(make_run: Callable[..., Run]) -> None:
    states = StageStates()
    states.run = run = make_run(tiny(), (states,))
    run_stages(run, four_stages())
    trained = [changed(start, end) for start, end in zip(states.starts, states.ends, strict=True)]
    assert trained == [{"neck", "rpn"}, {"neck", "region"}, {"rpn"}, {"region"}]
    # Only the second step starts with weights that differ from the end of the step before.
    between = [changed(end, start) for end, start in zip(states.ends, states.starts[1:], strict=False)]
    assert between == [{"neck"}, set(), set()]
    assert changed(states.starts[0], states.starts[1]) == {"rpn"}
    assert all(p.requires_grad for name, p in run.detector.named_parameters() if name.startswith(("rpn.", "region.")))
    assert {path.name for path in run.folder.path.iterdir()} == {"last.safetensors", "last.state", "images"}


class Interrupt(Hook):
    """Asks the run to stop after the first gradient step of a stage."""

    def __init__(self, stage: int) -> None:
        self.run: Run
        self._stage = stage

    def after_step(self, step: int, progress: float) -> None:
        if self.run.stage == self._stage and step == 1:
            self.run.signals.received = "SIGTERM"


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 3])
def test_an_interrupted_run_ends_like_an_uninterrupted_one(make_run: Callable[..., Run], stage: int) -> None:
    counts = (1, 2, 1, 2)
    interrupt = Interrupt(stage)
    interrupt.run = run = make_run(tiny(), (interrupt,))
    end = run_stages(run, four_stages(counts))
    assert (end.interrupted, end.steps) == (True, 1)
    # The second step takes its proposals from a copy of the detector before it.
    assert (run.folder.path / "proposals_from.safetensors").is_file() == (stage == 1)
    again, whole = make_run(tiny()), make_run(tiny(), folder="whole")
    assert run_stages(again, four_stages(counts), resume=True).reason == "finished"
    assert not (run.folder.path / "proposals_from.safetensors").exists()
    run_stages(whole, four_stages(counts))
    torch.testing.assert_close(again.detector.state_dict(), whole.detector.state_dict(), rtol=0, atol=0)
    assert again.images_seen == whole.images_seen == 2 * sum(counts)


def test_parts_that_cannot_be_trained_are_refused(make_run: Callable[..., Run]) -> None:
    one_stage = make_run(FCOSConfig(backbone=SMALL))
    with pytest.raises(
        ValueError, match="stage gradient: trains=rpn proposals_from=current: expected a two-stage detector .*, got OneStage"
    ):
        run_stages(one_stage, four_stages()[:1])
    two_stage = make_run(tiny())
    wrong = GradientStage(TrainingConfig(steps=1), SGDConfig(), CosineConfig(), reset=("neckk",))
    with pytest.raises(ValueError, match="stage gradient: reset: no parameter name starts with 'neckk'"):
        run_stages(two_stage, [wrong])


@pytest.mark.slow
def test_two_images_are_memorized_in_four_steps(make_run: Callable[..., Run]) -> None:
    run = make_run(small_faster_rcnn(FasterRCNNConfig(backbone=SMALL)))
    run_stages(run, four_stages((50, 60, 30, 30)))
    assert isinstance(run.detector, FasterRCNN)
    images, targets = toy_images()
    with torch.no_grad():
        detections = run.detector.eval()(images)
    assert average_precision_50(detections, targets) > 0.95
