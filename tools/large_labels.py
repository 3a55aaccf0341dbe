"""Measure the memory and time of a large COCO file: `detkit info`, and the start of a training, against `json.load`.

    python tools/large_labels.py                        written to docs/results/faults/large_labels.json
    python tools/large_labels.py --images 2000 --boxes 7 --classes 2000 --json small.json

The file has 200,000 images and 1.5 million boxes with outlines, 259 MB in all, and a second one has 20,000 classes. Memory is the largest
resident memory of a process above that of one that only imports what the command needs. Processor time counts, as machines are busy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from million_images import SIZE, machine, make_images

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "faults" / "large_labels.json"
MOST_LINES, MOST_CLASS_GIGABYTES = 60, 2.0
"""Longest output of `detkit info`, and largest memory of a file of 20,000 classes."""
LIMITS = {"memory": 1.0, "time": 2.0}
"""Memory above the start of the process, as a multiple of the file's size; time, as a multiple of that of ``json.load``."""

_COMMANDS = {
    "json_load": "import json, sys; json.load(open(sys.argv[1]))",
    "info": "import sys; from detkit.cli.main import main; sys.exit(main(['info', sys.argv[1]]))",
    "train_start": "import sys; sys.path.insert(0, 'tools'); from million_images import start; start(sys.argv[1], sys.argv[2])",
}


def write_labels(path: Path, names: list[str], boxes: float, classes: int) -> None:
    """Write one COCO file with ``boxes`` objects for each image on average, each with a polygon of 12 points."""
    random, (height, width) = np.random.default_rng(1), SIZE
    path.parent.mkdir(parents=True, exist_ok=True)
    number = 0
    with path.open("w") as file:
        images = (f'{{"id":{index + 1},"file_name":"{name}","width":{width},"height":{height}}}' for index, name in enumerate(names))
        file.write('{"images":[' + ",".join(images) + '],"annotations":[')
        for index in range(len(names)):
            for _ in range(int(boxes * (index + 1)) - int(boxes * index)):
                number += 1
                corner, sides = random.uniform(0, 40, 2).round(1), random.uniform(5, 20, 2).round(1)
                box = [*corner.tolist(), *sides.tolist()]
                points = np.tile([corner[0] + sides[0], corner[1]], 6).round(1).tolist()
                row = f'"id":{number},"image_id":{index + 1},"category_id":{number % classes + 1},"bbox":{box},"area":{box[2] * box[3]:.1f}'
                file.write(f'{"" if number == 1 else ","}{{{row},"iscrowd":0,"segmentation":[{points}]}}')
        categories = [{"id": label, "name": f"class {label}"} for label in range(1, classes + 1)]
        file.write('],"categories":' + json.dumps(categories) + "}")


_PEAK = """import atexit, sys
def peak():
    print(*(line for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
atexit.register(peak)
"""
"""Prints the largest memory at the end; that of :func:`os.wait4` includes what this process had when it started the other."""


def cost(command: str, *words: str) -> dict[str, float]:
    """Run a command in a process of its own and return its processor time, its largest memory, and the lines that it printed."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        words = (sys.executable, "-c", _PEAK + command, *words)
        child = subprocess.Popen(words, stdout=output, stderr=errors, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        lines, text = len(output.read().splitlines()), errors.read()
    if child.returncode:
        raise RuntimeError(f"{command}: exit code {child.returncode}: {text[-500:]}")
    kilobytes = int(text.rpartition("VmHWM:")[2].split()[0])
    return {"seconds": usage.ru_utime + usage.ru_stime, "megabytes": kilobytes * 1024 / 1e6, "lines": lines}


def compared(path: Path, small: Path, work: Path) -> dict[str, Any]:
    """Return what each command costs on a file beyond what it costs on a small one, as multiples of its size and of ``json.load``."""
    size, result, load = path.stat().st_size / 1e6, {"megabytes": round(path.stat().st_size / 1e6)}, 0.0
    for name, command in _COMMANDS.items():
        least, full = (cost(command, str(file), str(work / f"{name}-{file.stem}")) for file in (small, path))
        memory, seconds = full["megabytes"] - least["megabytes"], full["seconds"] - least["seconds"]
        load = load or seconds
        numbers = {"megabytes": round(memory), "memory_by_file": round(memory / size, 2), "seconds": round(seconds, 1)}
        result[name] = numbers | {"time_by_json_load": round(seconds / load, 2), "lines": full["lines"]}
        print(f"{path.name}: {name}: {result[name]}", flush=True)
    return result


def measure(folder: Path, images: int, boxes: float, classes: int) -> dict[str, Any]:
    """Make the data and measure it."""
    names = make_images(folder / "images", images)
    small, large, many = (folder / f"{name}.json" for name in ("small", "large", "classes"))
    write_labels(small, names[:64], 4, 80)
    write_labels(large, names, boxes, 80)
    write_labels(many, names[: max(64, images // 10)], boxes, classes)
    result = {"images": images, "boxes": int(images * boxes), **compared(large, small, folder)}
    numbers = {name: cost(_COMMANDS[name], str(many), str(folder / f"classes-{name}")) for name in ("info", "train_start")}
    result["classes"] = {"count": classes, **{name: {key: round(value) for key, value in row.items()} for name, row in numbers.items()}}
    print(f"{many.name}: {result['classes']}", flush=True)
    return result


def within_limits(result: dict[str, Any]) -> dict[str, bool]:
    """Return which of the limits hold."""
    rows = [result["info"], result["train_start"]]
    classes = [result["classes"]["info"], result["classes"]["train_start"]]
    return {
        "memory": all(row["memory_by_file"] <= LIMITS["memory"] for row in rows),
        "time": all(row["time_by_json_load"] <= LIMITS["time"] for row in rows),
        "memory_of_classes": all(row["megabytes"] <= 1000 * MOST_CLASS_GIGABYTES for row in classes),
        "lines": all(row["lines"] <= MOST_LINES for row in (result["info"], result["classes"]["info"])),
    }


def main() -> int:
    """Run the command; return 1 if a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--boxes", type=float, default=7.5, help="boxes of an image, on average")
    parser.add_argument("--classes", type=int, default=20_000, help="classes of the second file")
    parser.add_argument("--json", type=Path, default=RESULTS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result = measure(Path(temporary), args.images, args.boxes, args.classes)
    result |= {"machine": machine(), "limits": LIMITS, "within_limits": within_limits(result)}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {args.json}; within the limits: {result['within_limits']}")
    return 0 if all(result["within_limits"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
