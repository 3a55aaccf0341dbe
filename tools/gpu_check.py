"""Check detkit on this machine's GPU (or on any device): one verdict per line, in at most ten minutes.

    python tools/gpu_check.py
    python tools/gpu_check.py --json gpu.json
    python tools/gpu_check.py --device cpu --small          # the same checks, small enough for two cores

It needs no data, no weights and no network. In fp32, every family must give the CPU's outputs and losses on the device; in bf16 and fp16,
the AP of the detector inside the package must stay within .003. Training in each number format, exact resume, torch.compile and DDP on all
devices are run. Speed is printed next to that of torchvision's detectors and the device's own limits. The exit code is the number of failed
checks.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from gpu import correct, speed
from gpu.verdict import Report


def main(argv: list[str] | None = None) -> int:
    """Run the checks; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="auto (the GPU), cuda, cuda:1, mps or cpu")
    parser.add_argument("--small", action="store_true", help="few families, small images, few steps")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M", help="begin no check after this many minutes (default: 10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts as JSON")
    args = parser.parse_args(argv)
    from detkit.inference.device import pick_device

    device = pick_device(args.device)
    if args.device == "auto" and device.type == "cpu":
        parser.error("this PyTorch finds no GPU; --device cpu runs the checks on the processor")
    logging.getLogger("detkit").setLevel(logging.ERROR)
    machine = describe(device)
    print("\n".join(f"{name}: {value}" for name, value in machine.items()) + "\n")
    report = Report(args.minutes)
    with tempfile.TemporaryDirectory(prefix="detkit-gpu-") as folder:
        run_checks(report, device, Path(folder), args.small)
    passed = sum(verdict.outcome == "pass" for verdict in report.verdicts)
    print(f"\n{passed} passed, {report.failed} failed, {len(report.verdicts) - passed - report.failed} skipped on {machine['device']}")
    if args.json:
        report.write(args.json, machine)
    return report.failed


def describe(device: object) -> dict[str, object]:
    """Return what the figures depend on."""
    import torch
    import torchvision

    from detkit import __version__
    from detkit.machine import processor

    name = torch.cuda.get_device_name(device) if getattr(device, "type", "") == "cuda" else f"{device} ({processor()})"  # type: ignore[arg-type]
    versions = f"detkit {__version__}, torch {torch.__version__}, torchvision {torchvision.__version__}, Python {platform.python_version()}"
    return {"device": name, "versions": versions, "devices": max(torch.cuda.device_count(), 1)}


def run_checks(report: Report, device: object, folder: Path, small: bool) -> None:
    """Run every check; correctness comes first."""
    import torch

    from detkit.data.synthetic import make_sample

    assert isinstance(device, torch.device)
    families = dict(list(correct.FAMILIES.items())[-3:]) if small else correct.FAMILIES
    for number, (family, name) in enumerate(families.items()):
        report.run(f"{family}: device equals CPU", partial(correct.equal_outputs, name, device, folder / f"family{number}"))
    sample = folder / "sample"
    make_sample(sample, images=8, val_images=4 if small else 40, seed=0)
    report.run("AP by number format", partial(correct.same_ap, device, str(sample)))
    steps = 4 if small else 40
    formats = ("fp32",) if small else ("fp32", "bf16", "fp16") if device.type == "cuda" else ("fp32", "bf16")
    for precision in formats:
        report.run(f"training in {precision}", partial(correct.trains, device, precision, folder / precision, steps))
    report.run("exact resume", partial(correct.resumes, device, folder / "resume", steps))
    report.run("torch.compile", partial(correct.compiles, device, folder / "compile"))
    report.run("device limits", partial(speed.limits, device, 512 if small else 4096))
    report.run("decoding", partial(speed.decoding, 20 if small else 500))
    size, batch, rounds = ((192, 192), 1, 1) if small else ((800, 1088), 8, 10)
    for kind in ("retinanet",) if small else speed.PEERS:
        report.run(f"{kind}: detection", partial(speed.detection, kind, device, size, rounds))
        report.run(f"{kind}: training", partial(speed.training, kind, device, size, batch, rounds))
    report.run("DDP", partial(speed.distributed, device, folder, str(sample)))


if __name__ == "__main__":
    raise SystemExit(main())
