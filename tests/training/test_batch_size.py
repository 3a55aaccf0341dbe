"""The largest batch that fits, and what is said when a batch does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from detkit import zoo
from detkit.data.loader import LoaderConfig
from detkit.experiment.smoke import smoke_config
from detkit.experiment.training_run import train
from detkit.preprocess import PreprocessConfig
from detkit.training.batch_size import find_batch_size, largest_input, measured_batch_size
from detkit.training.config import TrainingConfig
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.run import Run
from detkit.training.stages import GradientStage, run_stages

CPU = torch.device("cpu")


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (3, 2), (8, 8), (100, 64), (10**6, 256)])
def test_largest_power_of_two_that_fits(limit: int, expected: int) -> None:
    tried: list[int] = []
    assert find_batch_size(lambda count: tried.append(count) or count <= limit) == expected
    assert tried == sorted(set(tried))


def test_nothing_fits() -> None:
    with pytest.raises(RuntimeError, match="not even one image of the largest size fits"):
        find_batch_size(lambda count: False)


def test_largest_input() -> None:
    assert largest_input(PreprocessConfig(short_side=480, long_side=800)) == (800, 800)
    assert largest_input(PreprocessConfig(rule="letterbox", input_size=(416, 640))) == (416, 640)


def test_trial_steps_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = smoke_config(zoo.load("light_lite0"), tmp_path).model
    torch.manual_seed(0)
    detector = config.build(3).eval()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    real, tried = type(detector).forward, []

    def forward(self: object, images: list[torch.Tensor], *args: object, **kwargs: object) -> object:
        tried.append(len(images))
        if len(images) > 2:
            raise torch.OutOfMemoryError("no more")
        return real(self, images, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(type(detector), "forward", forward)
    size = measured_batch_size(detector, config.preprocess.replace(input_size=(64, 64)), FakeGPU(), "fp32")  # type: ignore[arg-type]
    assert (size, tried) == (2, [1, 2, 4])
    assert all(parameter.grad is None for parameter in detector.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())


class FakeGPU:
    """Says that it is a GPU where the batch size is measured; the tensors stay on the CPU."""

    type = "xla"


def test_auto_on_a_cpu_is_a_number_in_the_run(tmp_path: Path) -> None:
    config = smoke_config(zoo.load("light_lite0"), tmp_path)
    result = train(config.replace(loader=config.loader.replace(batch_size="auto")), device="cpu", progress=False)
    assert '"batch_size": 8' in (result.folder / "config.json").read_text("utf-8")


def test_auto_is_no_number_before_a_training() -> None:
    with pytest.raises(ValueError, match=r"loader.batch_size=auto is measured when a training starts"):
        _ = LoaderConfig(batch_size="auto").images_per_batch


def test_out_of_memory_is_one_line_with_advice(toy_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = toy_run()

    def forward(self: object, *args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(type(run.detector), "forward", forward)
    with pytest.raises(RuntimeError, match=r"out of memory on cpu: a batch of \d+ images per process, up to \d+x\d+ pixels, ") as error:
        run_stages(run, [GradientStage(TrainingConfig(steps=2), SGDConfig(lr_scaling="none", lr=0.1), CosineConfig())], False)
    assert "training.accumulation_steps=1; loader.batch_size=" in str(error.value)
    assert "with training.accumulation_steps=2 makes the same steps, and loader.batch_size=auto finds" in str(error.value)
