"""Draw README's first image: one photograph through a detector, from proposals to detections.

    python docs/make_readme_image.py

Three panels: object proposals of selective search, the candidates before NMS, and the detections of the detector inside the package. The
photograph is scikit-image's ``motorcycle``; it is not training data.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from detkit.diagnostics.explanation import explain  # noqa: E402
from detkit.drawing import contact_sheet  # noqa: E402
from detkit.drawing.canvas import Canvas  # noqa: E402
from detkit.drawing.palette import color_of  # noqa: E402
from detkit.inference import load, suggested_min_score  # noqa: E402
from detkit.proposals import ProposalsConfig  # noqa: E402

OUTPUT = ROOT / "docs" / "images" / "readme.jpg"
SIDE = 640
PROPOSALS = 60


def main() -> int:
    """Draw and save the image."""
    photograph = np.asarray(Image.fromarray(data.stereo_motorcycle()[0]).resize((SIDE, SIDE * 500 // 741)))
    lowest = suggested_min_score("embedded")
    predictor = load("embedded", "cpu", "fp32", min_score=lowest)
    detections = predictor(photograph)
    (stage,) = explain(predictor, photograph, min_score=lowest).stages
    factor = SIDE / explain(predictor, photograph, min_score=lowest).image.shape[2]
    print(detections, f"{len(stage.before_nms)} candidates before NMS, {len(stage.after_nms)} after")
    panels = {
        "selective search: object proposals": proposals_panel(photograph),
        "one-stage detector: candidates before NMS": candidates_panel(photograph, stage, factor),
        "after NMS": detections.draw(photograph, scale=2),
    }
    sheet = contact_sheet(list(panels.values()), captions=list(panels), columns=3, max_side=SIDE)
    Image.fromarray(sheet).save(OUTPUT, quality=90)
    print(f"{OUTPUT}: {sheet.shape[1]} x {sheet.shape[0]}")
    return 0


def proposals_panel(photograph: np.ndarray) -> np.ndarray:
    """Draw the best proposals of selective search."""
    proposals = ProposalsConfig(mode="fast", min_area=2500.0, max_aspect=3.0, max_proposals=PROPOSALS).build()(photograph)
    canvas = Canvas(photograph, 2)
    for index, box in enumerate(proposals.boxes.tolist()):
        canvas.box(tuple(box), color_of(index), thin=True)
    return canvas.array()


def candidates_panel(photograph: np.ndarray, stage: object, factor: float) -> np.ndarray:
    """Draw the candidates, the best last."""
    from detkit.drawing.palette import heat_color

    canvas = Canvas(photograph, 2)
    rows = stage.before_nms[stage.before_nms.scores > 0.03]  # type: ignore[attr-defined]
    for row in reversed(list(rows)):
        canvas.box(tuple(value * factor for value in row.box), heat_color(row.score), thin=row.score < 0.2)
    return canvas.array()


if __name__ == "__main__":
    raise SystemExit(main())
