"""Make the clip of docs/tracking.md, and draw docs/images/tracking.jpg: three frames of it, tracked.

    python docs/make_tracking_image.py crossing.mp4

A person and two cats, cut from scikit-image's photographs ``astronaut`` and ``chelsea``, cross over its ``gravel``. The clip is written to
the path that is given, and tracked with the commands of the page.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from detkit.arrays import ImageArray  # noqa: E402
from detkit.cli.main import main  # noqa: E402
from detkit.data.media.video import Video  # noqa: E402
from detkit.drawing import contact_sheet  # noqa: E402
from detkit.drawing.video import VideoWriter  # noqa: E402

OUTPUT = ROOT / "docs" / "images" / "tracking.jpg"
WIDTH, HEIGHT, FRAMES, RATE = 640, 480, 100, 25.0
SHOWN = (22, 50, 78)
COUNTING = ("--line", "gate=320,0,320,480", "--zone", "left=0,240,250,240,250,480,0,480")


class Cutout:
    """A part of a photograph with soft corners."""

    def __init__(self, photograph: ImageArray, box: tuple[int, int, int, int], height: int, mirrored: bool = False) -> None:
        part = Image.fromarray(photograph).crop(box)
        part = part.resize((round(part.width * height / part.height), height), Image.Resampling.LANCZOS)
        self.image = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else part
        mask = Image.new("L", part.size, 0)
        ImageDraw.Draw(mask).rounded_rectangle((4, 4, part.width - 5, part.height - 5), radius=height // 6, fill=255)
        self.mask = mask.filter(ImageFilter.GaussianBlur(3))

    def paste(self, frame: Image.Image, x: float, y: float) -> None:
        """Paste it with its corner at a point."""
        frame.paste(self.image, (round(x), round(y)), self.mask)


def clip() -> Iterator[ImageArray]:
    """Yield the frames: the person walks to the left, a cat to the right in front of another one to the left."""
    gravel = Image.fromarray(np.repeat(data.gravel()[..., None], 3, 2)).resize((WIDTH, HEIGHT))
    ground = Image.blend(gravel, Image.new("RGB", (WIDTH, HEIGHT), (150, 150, 140)), 0.6)
    person, face = Cutout(data.astronaut(), (60, 0, 400, 480), 200), (60, 0, 451, 300)
    cats = Cutout(data.chelsea(), face, 150), Cutout(data.chelsea(), face, 150, mirrored=True)
    for number in range(FRAMES):
        time, frame = number / (FRAMES - 1), ground.copy()
        person.paste(frame, 600 - time * 720, 20 + 6 * np.sin(12 * time))
        cats[0].paste(frame, -150 + time * 760, 260 + 5 * np.sin(14 * time))
        cats[1].paste(frame, 620 - time * 760, 300)
        yield np.asarray(frame)


def make(path: Path) -> int:
    """Write the clip, track it, and save three frames side by side."""
    with VideoWriter(path, RATE) as writer:
        for frame in clip():
            writer.write(frame)
    with tempfile.TemporaryDirectory() as folder:
        code = main(["track", str(path), "--output", folder, *COUNTING])
        frames = {frame.index: frame.pixels for frame in Video(Path(folder) / path.name).frames() if frame.index in SHOWN}
    captions = [f"{number / RATE:.1f} s" for number in SHOWN]
    sheet = contact_sheet([frames[number] for number in SHOWN], captions=captions, columns=len(SHOWN), max_side=WIDTH)
    Image.fromarray(sheet).save(OUTPUT, quality=85)
    return code


if __name__ == "__main__":
    raise SystemExit(make(Path(sys.argv[1] if len(sys.argv) > 1 else "crossing.mp4")))
