"""How fast a device trains and detects, next to torchvision's detectors and to its own limits."""

from __future__ import annotations

import io
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from detkit.models import presets
from detkit.models.detector import Detector
from detkit.structures import Targets

ROOT = Path(__file__).resolve().parents[2]
PEERS = {"faster_rcnn": "fasterrcnn_resnet50_fpn", "retinanet": "retinanet_resnet50_fpn"}


def synchronize(device: torch.device) -> None:
    """Wait for the device's work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds_of(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Return the median wall time of a call, after two calls to warm up."""
    times = []
    for turn in range(rounds + 2):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        if turn >= 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def limits(device: torch.device, side: int) -> tuple[bool, str]:
    """Measure matrix products in fp32 and in half precision, and the copying of memory."""
    parts = []
    for dtype in (torch.float32, torch.bfloat16):
        if device.type == "cpu" and dtype is torch.bfloat16 and not _multiplies_bf16():
            continue
        a = torch.randn((side, side), device=device).to(dtype)
        seconds = seconds_of(lambda a=a: a @ a, device, 5)  # type: ignore[misc]
        parts.append(f"{str(dtype).removeprefix('torch.')} {2 * side**3 / seconds / 1e12:.2f} TFLOP/s")
    block = torch.empty(64 * side * side, dtype=torch.uint8, device=device)
    seconds = seconds_of(lambda: block.clone(), device, 5)
    return True, ", ".join([*parts, f"memory {2 * block.numel() / seconds / 1e9:.0f} GB/s"])


def _multiplies_bf16() -> bool:
    from detkit.machine import bf16_support

    return bf16_support().instructions is not None


def detection(kind: str, device: torch.device, size: tuple[int, int], rounds: int) -> tuple[bool, str]:
    """Time detection of one image, and torchvision's detector of the same architecture; both have random weights, in half precision."""
    own, peer = _pair(kind, device, size)
    image = torch.rand((3, *size), device=device)
    with torch.no_grad(), _autocast(device):
        own_seconds = seconds_of(lambda: own([image]), device, rounds)
        peer_seconds = seconds_of(lambda: peer([image]), device, rounds)
    return _ratio(own_seconds, peer_seconds, 1, device)


def training(kind: str, device: torch.device, size: tuple[int, int], batch: int, rounds: int) -> tuple[bool, str]:
    """Time training steps, and those of torchvision's detector."""
    own, peer = _pair(kind, device, size)
    images = [torch.rand((3, *size), device=device) for _ in range(batch)]
    boxes = torch.tensor([[10.0, 20.0, 120.0, 140.0], [60.0, 30.0, 160.0, 150.0]], device=device)
    targets = [Targets.of(boxes, torch.tensor([0, 1], device=device)) for _ in images]
    peer_targets = [{"boxes": boxes, "labels": torch.tensor([1, 2], device=device)} for _ in images]
    own_step = _step(own.train(), lambda: own(images, targets, seeds=list(range(batch))), device)
    peer_step = _step(peer.train(), lambda: peer(images, peer_targets), device)
    return _ratio(seconds_of(own_step, device, rounds), seconds_of(peer_step, device, rounds), batch, device)


def _step(model: nn.Module, forward: Callable[[], dict[str, Tensor]], device: torch.device) -> Callable[[], None]:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-5, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with _autocast(device):
            loss = sum(forward().values())
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()

    return step


def _pair(kind: str, device: torch.device, size: tuple[int, int]) -> tuple[Detector, nn.Module]:
    """Return both detectors; torchvision's, which resizes its images, leaves those of this size as they are."""
    from torchvision.models import detection as peers

    torch.manual_seed(0)
    name = PEERS[kind]
    own = getattr(presets, name)().build(90).to(device).eval()
    peer = getattr(peers, name)(weights=None, weights_backbone=None, num_classes=91).to(device).eval()
    peer.transform.min_size, peer.transform.max_size = (min(size),), max(size)
    return own, peer


def _autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu" or _multiplies_bf16())


def _ratio(own: float, peer: float, images: int, device: torch.device) -> tuple[bool, str]:
    memory = f"; peak {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB" if device.type == "cuda" else ""
    return own < 1.25 * peer, f"{images / own:.1f} images/s, torchvision {images / peer:.1f}: speed-up {peer / own:.2f}{memory}"


def decoding(count: int) -> tuple[bool, str]:
    """Measure how many JPEG files of 640 x 480 pixels one core decodes in a second."""
    import numpy as np
    from PIL import Image

    from detkit.data.media.images import decode_image

    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "jpeg", quality=90)
    data = buffer.getvalue()
    start = time.perf_counter()
    for _ in range(count):
        decode_image(data, "sample.jpg")
    return True, f"{count / (time.perf_counter() - start):.0f} images/s per core"


def distributed(device: torch.device, folder: Path, data: str) -> tuple[bool | None, str]:
    """Train two steps with a process on every GPU (on a CPU: two processes)."""
    count = torch.cuda.device_count() if device.type == "cuda" else 2
    if device.type == "mps":
        return None, "one device"
    words = ["light_lite0", "--data", data, "--output", str(folder.resolve() / "ddp"), "--device", device.type]
    keys = ["training.steps=2", "training.epochs=none", "training.budget=none", f"loader.batch_size={2 * count}", "loader.workers=0"]
    more = ["training.evaluations=1", "model.backbone.weights=none", "evaluation.max_images=2", "training.schedule_by=auto"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}", "-m", "detkit", "train"]
    done = subprocess.run([*command, *words, *keys, *more], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    last = (done.stdout + done.stderr).strip().splitlines()[-1:] or [""]
    return done.returncode == 0, f"{count} processes: " + ("2 steps" if done.returncode == 0 else last[0][-200:])
