"""Draw docs/images/propose.jpg: the initial regions of selective search on a photograph, and the best proposals.

python docs/make_proposal_images.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from detkit.drawing import contact_sheet  # noqa: E402
from detkit.drawing.palette import color_of  # noqa: E402
from detkit.proposals import ProposalsConfig  # noqa: E402
from detkit.proposals.color_spaces import COLOR_SPACES  # noqa: E402
from detkit.proposals.segmentation import SegmentationGraph  # noqa: E402

BOXES = 25


def make(path: Path) -> None:
    """Draw and save the image."""
    image = np.ascontiguousarray(data.coffee())
    labels, count = SegmentationGraph(COLOR_SPACES["hsv"](image)).regions(100.0, 100)
    sums = np.stack([np.bincount(labels.ravel(), image[..., channel].ravel(), count) for channel in range(3)], 1)
    regions = (sums / np.bincount(labels.ravel(), minlength=count)[:, None]).astype(np.uint8)[labels]
    proposals = ProposalsConfig(mode="fast", min_area=2500.0, max_aspect=3.0, max_proposals=BOXES).build()(image)
    drawn = image.copy()
    for number, (x1, y1, x2, y2) in enumerate(proposals.boxes.round().int().tolist()):
        cv2.rectangle(drawn, (x1, y1), (x2 - 1, y2 - 1), color_of(number), 2)
    Image.fromarray(contact_sheet([regions, drawn], columns=2, max_side=1200)).save(path, quality=85)


if __name__ == "__main__":
    make(ROOT / "docs" / "images" / "propose.jpg")
