"""Train some detectors of the family shortly, draw them on one image, and write under the image how long they were trained.

    detkit data example data/sample
    python docs/make_family_strip.py --train data/sample
    python docs/make_family_strip.py --draw data/sample/images/val/sample_00139.jpg
    python docs/make_family_strip.py

The second command takes eight core-minutes and leaves runs/family. The third draws docs/images/explain_family.jpg by `detkit
explain --models` and writes docs/results/family/strip.json; the last only writes the minutes under it again,
in README.md, README.zh-CN.md and docs/explain_and_pyramid.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from make_explain_images import make_family  # noqa: E402

from detkit.cli.main import main as detkit_main  # noqa: E402
from detkit.models.history import invention  # noqa: E402

RUNS = Path("runs/family")
FACTS = ROOT / "docs" / "results" / "family" / "strip.json"
SIDES = ("model.preprocess.short_side=192", "model.preprocess.long_side=288")
FIXED = ("model.preprocess.input_size=(192,256)",)
ALL = ("augmentation.preset=flip", "augmentation.quarter_turns=0")
"""The configs are made for micrographs, which have no up direction, and for larger images than those of the example data."""
TRAININGS: dict[str, tuple[str, ...]] = {
    "rcnn_lite0_bccd": (*SIDES, "training.budget=1", "model.proposals.max_proposals=200", "evaluation.max_images=2"),
    "quickstart": ("training.budget=1.5",),
    "yolox_lite0_bccd": (*SIDES, "training.budget=2", "training.evaluations=1"),
    "dfine_embedded_bccd": (*FIXED, "training.budget=3", "training.evaluations=1"),
}
"""Configs that are trained, in the order of invention, and the keys that are overridden."""
PAGES = ("README.md", "README.zh-CN.md", "docs/explain_and_pyramid.md")


def train(data: str) -> None:
    """Train what has no finished run yet."""
    for name, keys in TRAININGS.items():
        folder = RUNS / name
        if (folder / "results.json").is_file():
            continue
        words = [name, "--data", data, "--no-report", "--output", str(folder), *(() if name == "quickstart" else ALL), *keys]
        if detkit_main(["train", *words]):
            raise SystemExit(2)


def draw(image: Path) -> None:
    """Draw the strip, and keep what its detectors were trained for."""
    folders = [RUNS / name for name in TRAININGS]
    make_family(image, ",".join(map(str, folders)))
    rows = [facts(json.loads((folder / "results.json").read_text("utf-8"))) for folder in folders]
    FACTS.parent.mkdir(exist_ok=True)
    FACTS.write_text(json.dumps({"image": image.name, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def facts(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a caption says of a run."""
    title, month = invention(results["config"]["model"]["kind"])
    return {
        "title": f"{title} ({int(month)})",
        "config": results["name"],
        "core_minutes": results["core_minutes"],
        "images_seen": results["images_seen"],
        "images": results["data"]["train"]["images"],
        "processor": results["machine"]["processor"],
    }


def captioned(text: str, rows: list[dict[str, Any]]) -> str:
    """Return a page whose caption lists the core-minutes of the trainings, between its comments ``family`` and ``end of family``.

    Raises:
        ValueError: If the page has no place for it.
    """
    minutes = ", ".join(f"{row['title']} {row['core_minutes']:.1f}" for row in rows)
    start, end = "<!-- family -->", "<!-- end of family -->"
    before, has_start, rest = text.partition(start)
    _, has_end, after = rest.partition(end)
    if not has_start or not has_end:
        raise ValueError(f"expected a table between '{start}' and '{end}'")
    return f"{before}{start}{minutes}{end}{after}"


def main() -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", metavar="DATA")
    parser.add_argument("--draw", metavar="IMAGE", type=Path)
    options = parser.parse_args()
    if options.train:
        train(options.train)
    if options.draw:
        draw(options.draw)
    if FACTS.is_file():
        rows = json.loads(FACTS.read_text("utf-8"))["rows"]
        for path in (ROOT / name for name in PAGES):
            path.write_text(captioned(path.read_text("utf-8"), rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
