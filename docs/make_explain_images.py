"""Draw docs/images/explain_*.jpg: the output of `detkit explain` for an image of the example data, and for a photograph of a cat.

    detkit data example data/sample
    detkit train quickstart
    python docs/make_explain_images.py

    python docs/make_explain_images.py --features
    python docs/make_explain_images.py --family IMAGE MODEL,MODEL,...

With --features, only explain_features.jpg is drawn, which needs no run: a layer of EfficientNet-Lite0 with ImageNet weights, on a photo
from scikit-image. With --family, only explain_family.jpg: several detectors on one image.

Arguments: an image and a detector (default: data/sample/images/val/sample_00122.jpg and the newest run).
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
SHEETS = {"locations": ("rpn-locations",), "matches": ("rpn-matches", "region-matches"), "scores": ("region-scores",)}


def make(image: Path, model: tuple[str, ...]) -> None:
    """Explain the image, and save three sheets as JPEG."""
    with tempfile.TemporaryDirectory() as folder:
        if main(["explain", str(image), "--data", str(image.parents[2]), "--output", folder, *model]):
            raise SystemExit(2)
        for name, parts in SHEETS.items():
            drawn = [np.array(Image.open(Path(folder) / f"{image.stem}-{part}.png")) for part in parts]
            sheet = Image.fromarray(contact_sheet(drawn, columns=len(drawn), max_side=1200))
            sheet.save(ROOT / "docs" / "images" / f"explain_{name}.jpg", quality=85)


def make_features() -> None:
    """Draw what a layer of a trained classifier responds to, and save the sheet as JPEG."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "chelsea.png"
        Image.fromarray(skimage.data.chelsea()).save(image)
        if main(["explain", str(image), "--features", LAYER, "--model", "zero_shot_rcnn", "--output", folder]):
            raise SystemExit(2)
        Image.open(Path(folder) / f"chelsea-{LAYER}.png").save(ROOT / "docs" / "images" / "explain_features.jpg", quality=85)


def make_family(image: Path, models: str) -> None:
    """Draw the family strip of some detectors, and save it as JPEG."""
    with tempfile.TemporaryDirectory() as folder:
        if main(["explain", str(image), "--models", models, "--output", folder]):
            raise SystemExit(2)
        strip = Image.open(Path(folder) / f"{image.stem}-family.png").convert("RGB")
        strip.thumbnail((2000, 2000), Image.Resampling.LANCZOS)
        strip.save(ROOT / "docs" / "images" / "explain_family.jpg", quality=82)


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["--family"]:
        make_family(Path(words[1]), words[2])
        raise SystemExit
    if words == ["--features"]:
        make_features()
        raise SystemExit
    make(Path(words[0] if words else IMAGE), ("--model", words[1]) if len(words) > 1 else ("--latest",))
