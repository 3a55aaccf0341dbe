"""What ``detkit propose`` prints and writes at its end."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit import __version__
from detkit.cli.outputs import Outputs
from detkit.cli.report import count, duration, shown, table
from detkit.machine import peak_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detkit.proposals import ProposalResult, ProposalRecall

COLUMNS = ("proposals", "recall .5", "recall .7", "MABO", "AR")


def speed_line(seconds: Sequence[float], remembered: int) -> str:
    """What the first image took, in which code is compiled or loaded, and what the others took."""
    parts = []
    if seconds:
        parts.append(f"first image {duration(seconds[0])} (cold)")
    if len(seconds) > 1:
        parts.append(f"median of the others {duration(statistics.median(seconds[1:]))} (warm)")
    if remembered:
        parts.append(f"{count(remembered, 'image')} remembered")
    return "; ".join(parts) or "no image was searched"


def report(recall: ProposalRecall, args: argparse.Namespace, outputs: Outputs, about: Mapping[str, Any]) -> None:
    """Print how well objects are met by more and more proposals, draw it, and write the numbers."""
    curve = recall.curve()
    print(f"\n{count(recall.objects, 'object')} without crowds; best IoU with the first N proposals of each image:")
    rows = [(f"{number:,}", *map(shown, _values(found))) for number, found in curve]
    rows.append(("all", *map(shown, _values(recall.numbers()))))
    print(table(rows, COLUMNS, set(COLUMNS)))
    print(f"proposals of a image: {recall.numbers().proposals:,.1f} in the mean")
    image = _plot(curve, args)
    outputs.write("json", lambda path: _write_numbers(recall, path, about))
    outputs.write("plot", lambda path: _save(image, path))
    if not args.plot:
        from detkit.cli.drawing_writer import DrawingWriter

        print(f"written: {DrawingWriter(None, [], 'propose', 'png').write(Path('recall'), image)}")
    print()


def _values(found: Any) -> tuple[float, float, float, float]:
    return found.recall_50, found.recall_70, found.mabo, found.average_recall


def _plot(curve: Sequence[tuple[int, Any]], args: argparse.Namespace) -> NDArray[np.uint8]:
    from detkit.drawing.curves import draw_curves

    names = ("recall at IoU .5", "recall at IoU .7", "MABO", "average recall")
    curves = {name: [(float(number), _values(found)[place]) for number, found in curve] for place, name in enumerate(names)}
    return draw_curves(curves, f"{Path(args.inputs[0]).name}: {args.backend}, {args.mode}", "proposals of a image")


def _save(image: NDArray[np.uint8], path: str) -> None:
    from PIL import Image

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def _write_numbers(recall: ProposalRecall, file: str, about: Mapping[str, Any]) -> None:
    from detkit.checkpoint import write_text

    peak = peak_memory()
    content = {
        "detkit": __version__,
        **about,
        "images": len(recall.counts),
        "objects": recall.objects,
        "all": recall.numbers().to_dict(),
        "curve": [{"first": number, **found.to_dict()} for number, found in recall.curve()],
        "peak_memory_bytes": peak[0] if peak is not None else None,
    }
    write_text(file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def write_proposals(file: str, made: Sequence[tuple[Path, ProposalResult]], failed: Mapping[Path, str]) -> None:
    """All boxes: as JSON, image by image; or as arrays, where the rows of image ``i`` are ``offsets[i]:offsets[i + 1]``."""
    if Path(file).suffix.lower() == ".npz":
        _write_arrays(file, made)
        return
    from detkit.checkpoint import write_text

    images: list[dict[str, Any]] = [
        {
            "file": str(path),
            "width": one.size[1],
            "height": one.size[0],
            "boxes": [[round(value, 2) for value in box] for box in one.proposals.boxes.tolist()],
            "scores": [round(score, 7) for score in one.proposals.scores.tolist()],
        }
        for path, one in made
    ]
    images += [{"file": str(path), "error": message} for path, message in failed.items()]
    write_text(file, json.dumps({"detkit": __version__, "images": images}, ensure_ascii=False) + "\n")


def _write_arrays(file: str, made: Sequence[tuple[Path, ProposalResult]]) -> None:
    import numpy as np
    import torch

    from detkit.checkpoint.atomic import atomic_write

    rows = [one.proposals for _, one in made]
    offsets = np.cumsum([0, *map(len, rows)])
    with atomic_write(file) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(
            handle,
            files=np.array([str(path) for path, _ in made], dtype=np.str_),
            sizes=np.array([one.size for _, one in made], dtype=np.int64).reshape(-1, 2),
            offsets=offsets,
            boxes=torch.cat([row.boxes for row in rows]).numpy() if rows else np.zeros((0, 4), np.float32),
            scores=torch.cat([row.scores for row in rows]).numpy() if rows else np.zeros(0, np.float32),
        )
