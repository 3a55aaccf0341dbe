"""Make a small labeled data set: the same as ``detkit data example``; ``python datasets/make_sample.py --help`` lists the flags."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detkit.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main(["data", "example", *sys.argv[1:]]))
