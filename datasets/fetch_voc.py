"""Download a data set: the same as ``detkit data fetch voc``; ``python datasets/fetch_voc.py --help`` lists the flags."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detkit.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main(["data", "fetch", "voc", *sys.argv[1:]]))
