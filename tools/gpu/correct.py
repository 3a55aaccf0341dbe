"""Whether a device computes what the CPU computes: every family, half precision, resuming, compiling."""

from __future__ import annotations

import copy
import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detkit import zoo
from detkit.experiment.config import Experiment
from detkit.experiment.smoke import smoke_config
from detkit.experiment.training_run import train
from detkit.models.detector import Detector
from detkit.structures import Proposals, Targets
from detkit.training.hooks import Hook
from gpu.verdict import exact_products

FAMILIES = {
    "R-CNN": "rcnn_alexnet",
    "SPPNet": "sppnet_lite0_bccd",
    "Fast R-CNN": "fast_rcnn_lite0_bccd",
    "Faster R-CNN": "fpn_mobilenet",
    "RetinaNet": "retinanet_lite0_bccd",
    "FCOS": "fcos_lite0_bccd",
    "SSD": "ssdlite320_mobilenet_v3",
    "YOLOv1": "yolov1_lite0_bccd",
    "YOLOX": "yolox_nano",
    "DETR": "detr_lite0_bccd",
    "light": "light_lite0",
}
"""A config of every family."""
TOLERANCE = 2e-3
"""Largest difference between a device and the CPU, relative to the largest output of the CPU: rounding, summed over fifty layers."""
AP_TOLERANCE = 0.003


def small(name: str, folder: Path) -> Experiment:
    """Return a config of the zoo on generated data, small enough for seconds."""
    return smoke_config(zoo.load(name), folder).replace(weights=None)


def equal_outputs(name: str, device: torch.device, folder: Path) -> tuple[bool, str]:
    """Compare outputs and losses of a family on the device with the CPU's, in fp32."""
    config = small(name, folder)
    torch.manual_seed(0)
    on_cpu = config.model.build(3).eval()
    on_device = copy.deepcopy(on_cpu).to(device)
    with exact_products():
        outputs = _difference(*(list(_outputs(detector)) for detector in (on_cpu, on_device)))
        losses = _difference(*(list(_losses(detector)) for detector in (on_cpu, on_device)))
    return max(
        outputs, losses
    ) < TOLERANCE, f"outputs differ by {outputs:.1e}, losses by {losses:.1e} of the largest (at most {TOLERANCE:g})"


def _inputs(detector: Detector) -> tuple[list[Tensor], list[Targets], list[Proposals] | None]:
    device = next(detector.parameters()).device
    generator = torch.Generator().manual_seed(1)
    side = getattr(detector, "input_size", None) or (256, 320)
    images = [torch.rand((3, *side), generator=generator).to(device) for _ in range(2)]
    corners = torch.rand((12, 2), generator=generator) * 100
    boxes = torch.cat([corners, corners + 40 + torch.rand((12, 2), generator=generator) * 80], 1)
    targets = [Targets.of(boxes[:3], torch.tensor([0, 1, 2])).to(device) for _ in range(2)]
    takes = detector.takes_proposals
    proposals = [Proposals(boxes, torch.linspace(1, 0.5, 12)).to(device) for _ in range(2)] if takes else None
    return images, targets, proposals


@torch.no_grad()
def _outputs(detector: Detector) -> Iterator[Tensor]:
    images, _, proposals = _inputs(detector)
    detector.eval()
    batch = detector.prepare(images)
    yield from (output for output in detector.raw(batch, proposals) if output.is_floating_point())


def _losses(detector: Detector) -> Iterator[Tensor]:
    images, targets, proposals = _inputs(detector)
    detector.eval()  # dropout draws other numbers on every device
    kwargs: dict[str, Any] = {} if proposals is None else {"proposals": proposals}
    losses = detector(images, targets, seeds=[0, 1], **kwargs)
    yield from (losses[name].reshape(1) for name in sorted(losses))


def _difference(reference: list[Tensor], other: list[Tensor]) -> float:
    pairs = zip(reference, other, strict=True)
    return max(
        float((a - b.cpu()).abs().max() / a.abs().max().clamp(min=1e-6))
        for a, b in ((x.detach(), y.detach()) for x, y in pairs)
        if a.numel()
    )


def precisions(device: torch.device, data: str) -> Iterator[tuple[str, float]]:
    """Yield the AP of the detector inside the package: on the CPU in fp32, then on the device in every number format it has."""
    from detkit.experiment.evaluation_run import evaluate

    options: dict[str, Any] = {"split": "val", "classes": ("cat", "cup")}  # those that the detector inside the package knows
    yield "cpu fp32", float(evaluate("embedded", data, device="cpu", precision="fp32", **options).ap)
    formats = ["fp32", "bf16", *(["fp16"] if device.type != "cpu" else [])]
    for precision in formats:
        yield f"{device.type} {precision}", float(evaluate("embedded", data, device=str(device), precision=precision, **options).ap)


def same_ap(device: torch.device, data: str) -> tuple[bool, str]:
    """Compare the AP in every number format with the CPU's in fp32."""
    values = dict(precisions(device, data))
    reference = next(iter(values.values()))
    worst = max(abs(value - reference) for value in values.values())
    return worst <= AP_TOLERANCE, ", ".join(f"{name} {value:.4f}" for name, value in values.items()) + f" (at most {AP_TOLERANCE} apart)"


def trains(device: torch.device, precision: str, folder: Path, steps: int) -> tuple[bool, str]:
    """Train a small detector in a number format; the loss must stay finite and fall."""
    config = small("light_lite0", folder)
    training = config.training.replace(steps=steps, precision=precision, log_every=max(steps // 5, 1))
    result = train(config.replace(training=training, output=str(folder / "run")), device=str(device), progress=False)
    losses = _logged_losses(result.folder)
    finite = all(math.isfinite(loss) for loss in losses)
    return finite and (steps < 20 or losses[-1] < losses[0]), f"loss {losses[0]:.3f} -> {losses[-1]:.3f} in {result.steps} steps"


def _logged_losses(folder: Path) -> list[float]:
    import json

    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [sum(row["losses"].values()) for row in rows if "losses" in row]


class StopAfter(Hook):
    """Interrupts a run after some steps, as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def after_step(self, step: int, progress: float) -> None:
        """See :meth:`Hook.after_step`."""
        if step == self.steps:
            signal.raise_signal(signal.SIGINT)


def resumes(device: torch.device, folder: Path, steps: int) -> tuple[bool, str]:
    """Stop a run half-way and resume it: its weights must equal those of a run without the stop."""
    from detkit.checkpoint import load_checkpoint

    config = small("light_lite0", folder)
    config = config.replace(training=config.training.replace(steps=steps, precision="fp32"))
    straight = train(config.replace(output=str(folder / "straight")), device=str(device), progress=False)
    config = config.replace(output=str(folder / "stopped"))
    train(config, device=str(device), progress=False, hooks=[StopAfter(steps // 2)])
    resumed = train(config, device=str(device), progress=False, resume=folder / "stopped")
    tensors = [load_checkpoint(result.folder / "last.safetensors").tensors for result in (straight, resumed)]
    worst = max(float((tensors[0][name].float() - tensors[1][name].float()).abs().max()) for name in tensors[0] if tensors[0][name].numel())
    # Sums of atomic additions on a GPU depend on their order; on a CPU the two runs are equal bit for bit.
    limit = 0.0 if device.type == "cpu" else 1e-3
    return worst <= limit, f"weights differ by at most {worst:.1e} (at most {limit:g}) after {steps} steps"


def compiles(device: torch.device, folder: Path) -> tuple[bool | None, str]:
    """Run a detector through ``torch.compile``, and compare its outputs."""
    if device.type == "cpu":
        return None, "needs a C++ compiler on a CPU; checked on GPUs"
    config = small("light_lite0", folder)
    torch.manual_seed(0)
    detector = config.model.build(3).eval().to(device)
    images, _, _ = _inputs(detector)
    batch = detector.prepare(images)
    with exact_products(), torch.no_grad():
        plain = [output for output in detector.raw(batch) if output.is_floating_point()]
        compiled = [output for output in torch.compile(detector.raw)(batch) if output.is_floating_point()]
    worst = _difference([output.cpu() for output in plain], compiled)
    return worst < TOLERANCE, f"outputs differ by {worst:.1e} of the largest (at most {TOLERANCE:g})"
