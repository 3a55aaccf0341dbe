"""Make a small labeled data set, offline: python datasets/make_sample.py data/sample [--images N] [--format coco|voc|yolo]."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the script runs from a checkout that is not installed

from detkit.data.synthetic import make_sample


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status."""
    arguments = argparse.ArgumentParser(
        description="Make images of cats, coins, cups, rockets and wheels, with boxes, out of scikit-image's photographs."
    )
    arguments.add_argument("folder", type=Path, help="a new folder, such as data/sample; the same sample is made only once")
    arguments.add_argument("--images", type=int, default=120, help="how many images to train on (default: %(default)s)")
    arguments.add_argument("--val-images", type=int, default=None, help="how many to validate on (default: a third as many)")
    arguments.add_argument("--format", choices=("coco", "voc", "yolo"), default="coco", help="of the labels (default: %(default)s)")
    arguments.add_argument("--short-side", type=int, default=192, help="of the images, in pixels (default: %(default)s)")
    arguments.add_argument("--seed", type=int, default=0, help="other images for another number (default: %(default)s)")
    options = arguments.parse_args(argv)
    try:
        make_sample(
            options.folder,
            options.images,
            options.format,
            seed=options.seed,
            short_side=options.short_side,
            val_images=options.val_images,
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.folder}: ready; train with data={options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
