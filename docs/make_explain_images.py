"""Draw docs/images/explain_*.jpg: what `detkit explain` writes about a image that detkit made itself, and about a cat.

    python datasets/make_sample.py data/sample
    python tools/train.py configs/quickstart.py
    python docs/make_explain_images.py

    python docs/make_explain_images.py --features

The last one draws explain_features.jpg alone, which needs no run: a layer of EfficientNet-Lite0 with ImageNet weights on a photograph that
scikit-image ships.

Arguments: a image and a detector (default: data/sample/images/val/sample_00122.jpg and the newest run's).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from detkit.cli.main import main  # noqa: E402
from detkit.drawing import contact_sheet  # noqa: E402

IMAGE = "data/sample/images/val/sample_00122.jpg"
LAYER = "blocks.4"
SHEETS = {"places": ("rpn-places",), "matches": ("rpn-matches", "region-matches"), "scores": ("region-scores",)}


def make(image: Path, weights: tuple[str, ...]) -> None:
    """Explain the image, and keep three sheets as JPEG."""
    with tempfile.TemporaryDirectory() as folder:
        if main(["explain", str(image), "--data", str(image.parents[2]), "--output", folder, *weights]):
            raise SystemExit(2)
        for name, parts in SHEETS.items():
            drawn = [np.array(Image.open(Path(folder) / f"{image.stem}-{part}.png")) for part in parts]
            sheet = Image.fromarray(contact_sheet(drawn, columns=len(drawn), max_side=1200))
            sheet.save(ROOT / "docs" / "images" / f"explain_{name}.jpg", quality=85)


def make_features() -> None:
    """Draw what a layer of a trained classifier answers to, and keep the sheet as JPEG."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "chelsea.png"
        Image.fromarray(skimage.data.chelsea()).save(image)
        if main(["explain", str(image), "--features", LAYER, "--weights", "zero_shot_rcnn", "--output", folder]):
            raise SystemExit(2)
        Image.open(Path(folder) / f"chelsea-{LAYER}.png").save(ROOT / "docs" / "images" / "explain_features.jpg", quality=85)


if __name__ == "__main__":
    words = sys.argv[1:]
    if words == ["--features"]:
        make_features()
        raise SystemExit
    make(Path(words[0] if words else IMAGE), ("--weights", words[1]) if len(words) > 1 else ())
