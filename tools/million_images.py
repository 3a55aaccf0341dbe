"""Measure how long a training takes to start on a million images with seven million boxes: from shards, and from one COCO file.

    python tools/million_images.py                              written to docs/results/scaling/million_images.json
    python tools/million_images.py --images 10000 --json small.json

The images are links to a few small JPEG files; the labels are random boxes. Each start is a process of its own, with everything that
``detkit train`` does before its first step: imports, reading and checking the labels, the check of the data, the fingerprints by which a
resumed run recognizes its data, the model, and the plan of the batches. Processor time is what counts on a machine that does other things
as well; both times are written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "scaling" / "million_images.json"
LIMITS = {"shards": {"seconds": 20.0}, "coco": {"seconds": 90.0, "gigabytes": 3.0}}
"""Limits of a start: seconds until the first step, and memory."""
CLASSES, SIZE = 80, (64, 96)
_FOLDER_SIZE, _LINKS = 1000, 30_000
"""Images in a folder, and links to one file: file systems allow 65,000."""


def make_images(folder: Path, count: int) -> list[str]:
    """Make the images, most of them hard links, and return their names."""
    from PIL import Image

    random, names, source = np.random.default_rng(0), [], folder
    for index in range(count):
        name = f"{index // _FOLDER_SIZE:04}/{index:07}.jpg"
        path = folder / name
        if index % _FOLDER_SIZE == 0:
            path.parent.mkdir(parents=True)
        if index % _LINKS == 0:
            source = path
            Image.fromarray(random.integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(path, quality=30)
        else:
            os.link(source, path)
        names.append(name)
    return names


def write_coco(path: Path, names: list[str], boxes: int) -> None:
    """Write one COCO file with ``boxes`` objects for each image, except for every hundredth, which has none."""
    random, (height, width) = np.random.default_rng(1), SIZE
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        images = (f'{{"id":{index + 1},"file_name":"{name}","width":{width},"height":{height}}}' for index, name in enumerate(names))
        file.write('{"images":[' + ",".join(images) + '],"annotations":[')
        number = 0
        for index in range(len(names)):
            if index % 100 == 99:
                continue
            x, y = random.uniform(0, width - 20, boxes).round(2), random.uniform(0, height - 20, boxes).round(2)
            w, h, labels = (
                random.uniform(2, 20, boxes).round(2),
                random.uniform(2, 20, boxes).round(2),
                random.integers(1, CLASSES + 1, boxes),
            )
            rows = zip(x.tolist(), y.tolist(), w.tolist(), h.tolist(), labels.tolist(), strict=True)
            for row in rows:
                number += 1
                box = ",".join(map(str, row[:4]))
                area = f"{row[2] * row[3]:.2f}"
                head = f'"id":{number},"image_id":{index + 1},"category_id":{row[4]}'
                file.write(f'{"" if number == 1 else ","}{{{head},"bbox":[{box}],"area":{area},"iscrowd":0}}')
        categories = [{"id": label, "name": f"class {label}"} for label in range(1, CLASSES + 1)]
        file.write('],"categories":' + json.dumps(categories) + "}")


class _StartedError(Exception):
    """The first step is made."""


def start(path: str, output: str) -> dict[str, Any]:
    """Start a training and return what it took until its first step was made."""
    begun = time.perf_counter()
    from detkit import Hook, train, zoo
    from detkit.data import DataConfig, SourceConfig

    marks: dict[str, float] = {}

    class Stop(Hook):
        def start(self, step: int, stage: int = 0) -> None:
            marks["processor"], marks["wall"] = time.process_time(), time.perf_counter() - begun

        def after_step(self, step: int, progress: float) -> None:
            raise _StartedError

    config = zoo.load("embedded")
    data = DataConfig(train=SourceConfig(path=path), val_fraction=0.01)
    loader = config.loader.replace(workers=0, batch_size=2)
    with suppress(_StartedError):
        train(config.replace(data=data, loader=loader, output=output), device="cpu", progress=False, hooks=(Stop(),))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {
        "processor_seconds": round(marks["processor"], 1),
        "wall_seconds": round(marks["wall"], 1),
        "processor_seconds_with_first_step": round(time.process_time(), 1),
        "peak_gigabytes": round(peak * 1.024, 2),
    }


def measure(folder: Path, images: int, boxes: int, only: str | None) -> dict[str, Any]:
    """Make the data, pack it, and start a training from each source, or from ``only`` one."""
    paths = {"shards": folder / "shards", "coco": folder / "data" / "annotations" / "instances_train.json"}
    if not paths["coco"].exists():
        write_coco(paths["coco"], make_images(folder / "data" / "images", images), boxes)
        print(f"made {images:,} images", flush=True)
    packing = pack(paths["coco"], paths["shards"], images) if only != "coco" else {}
    names = (only,) if only else tuple(paths)
    starts = {name: started(paths[name], folder / f"run_{name}_{time.time_ns()}") for name in names}
    files = [path for path in (paths["coco"], paths["shards"] / "images.parquet", paths["shards"] / "shards.json") if path.exists()]
    return {
        "images": images,
        "boxes": boxes * (images - images // 100),
        "start": starts,
        "limits": LIMITS,
        **packing,
        "bytes": {path.name: path.stat().st_size for path in files} | {"tar": sum(p.stat().st_size for p in paths["shards"].glob("*.tar"))},
    }


def pack(labels: Path, shards: Path, images: int) -> dict[str, Any]:
    """Pack the data into shards, and return what it took; nothing if they are there already."""
    if (shards / "shards.json").exists():
        return {}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "detkit", "data", "shard", str(labels), str(shards)], check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"packing": {"processor_seconds": round(seconds, 1), "images_per_processor_second": round(images / seconds)}}


def started(path: Path, output: Path) -> dict[str, Any]:
    """Start a training in a process of its own."""
    command = [sys.executable, __file__, "--start", str(path), "--output", str(output)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    numbers: dict[str, Any] = json.loads(lines[-1]) | {"machine": machine()}
    print(f"{path}: {numbers}", flush=True)
    return numbers


def is_within(name: str, numbers: dict[str, Any]) -> bool:
    """Return whether a start is within its limits."""
    limit = LIMITS[name]
    return bool(numbers["processor_seconds"] <= limit["seconds"] and numbers["peak_gigabytes"] <= limit.get("gigabytes", np.inf))


def machine() -> dict[str, Any]:
    """Return the processor, and how busy it is."""
    return {"processor": _processor(), "cores": os.cpu_count(), "load_1_minute": round(os.getloadavg()[0], 1)}


def _processor() -> str:
    try:
        rows = Path("/proc/cpuinfo").read_text().splitlines()
        return next(row.partition(":")[2].strip() for row in rows if row.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--boxes", type=int, default=7, help="boxes of an image")
    parser.add_argument("--folder", type=Path, help="where the data is made and kept (default: a temporary folder)")
    parser.add_argument("--only", choices=tuple(LIMITS), help="start only from this; the other numbers in the JSON file are kept")
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--start", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.start:
        print(json.dumps(start(args.start, args.output)))
        return
    old = json.loads(args.json.read_text()) if args.only and args.json.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        result = old | measure(args.folder or Path(temporary), args.images, args.boxes, args.only)
    result["start"] = {**old.get("start", {}), **result["start"]}
    result["within_limits"] = {name: is_within(name, numbers) for name, numbers in result["start"].items()}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {args.json}; within the limits: {result['within_limits']}")


if __name__ == "__main__":
    main()
