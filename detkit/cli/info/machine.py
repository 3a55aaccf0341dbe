"""Versions, devices and folders of this installation, and its problems."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

from detkit.about import __version__
from detkit.cli.advice import distribution_problem, opencv_problem
from detkit.cli.report import table
from detkit.machine import Bf16Support, bf16_support, processor

_PACKAGES = (
    *("torch", "torchvision", "numpy", "pillow", "opencv-python", "opencv-python-headless", "albumentations", "hotcoco", "pycocotools"),
    *("timm", "safetensors", "pydantic", "numba", "scikit-learn", "scikit-image"),
)


def print_machine() -> None:
    """Print versions, processor, devices and folders, and warn of problems with the installation."""
    print(f"detkit {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
    print(table([(name, version_of(name) or "missing") for name in _PACKAGES], ("package", "version")))
    print()
    for name, value in [*_processor(), *_gpus(), *_folders()]:
        print(f"{name:10}{value}")
    for problem in (opencv_problem(), distribution_problem()):
        if problem:
            print(f"\nwarning: {problem}", file=sys.stderr)


def version_of(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> list[tuple[str, str]]:
    import torch

    from detkit.inference.device import pick_device, pick_dtype

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    instructions = torch.backends.cpu.get_cpu_capability()
    bf16_text = _bf16_text(bf16_support())
    device = pick_device("auto")
    precision = {torch.float32: "fp32", torch.bfloat16: "bf16"}.get(pick_dtype("auto", device), "fp16")
    return [
        ("processor", f"{processor()}, {cores} usable cores, {torch.get_num_threads()} threads, {instructions}, {bf16_text}"),
        ("auto", f"--device {device} in {precision}"),
    ]


def _bf16_text(support: Bf16Support) -> str:
    if support.instructions:
        return f"{support.instructions}: bf16 is fast"
    if support.fused:
        return "without AMX and AVX512_BF16: bf16 is no faster than fp32"
    return "without bf16 instructions: bf16 is several times slower than fp32"


def _gpus() -> list[tuple[str, str]]:
    import torch

    gpus = []
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        gpus.append((f"cuda:{index}", f"{gpu.name}, {gpu.total_memory / 1e9:.1f} GB, compute capability {gpu.major}.{gpu.minor}"))
    if torch.backends.mps.is_available():
        gpus.append(("mps", "Apple GPU"))
    return gpus or [("GPU", "none that this PyTorch can use")]


def _folders() -> list[tuple[str, str]]:
    from detkit import weights
    from detkit.inference import newest_checkpoint

    newest = newest_checkpoint()
    return [("weights", str(weights.default_folder())), ("last run", str(newest) if newest else "none under runs/")]
