"""The report and the proposal files of ``detkit propose``."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.about import __version__
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import count, duration, shown, table
from detkit.machine import peak_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detkit.proposals import ProposalRecall, ProposalResult

COLUMNS = ("proposals", "recall .5", "recall .7", "MABO", "AR")


def speed_line(seconds: Sequence[float], cached: int) -> str:
    """Return the time of the first image, which includes compiling or loading code, and the median of the others."""
    parts = []
    if seconds:
        parts.append(f"first image {duration(seconds[0])} (cold)")
    if len(seconds) > 1:
        parts.append(f"median of the others {duration(statistics.median(seconds[1:]))} (warm)")
    if cached:
        parts.append(f"{count(cached, 'image')} from the cache")
    return "; ".join(parts) or "no image was processed"


def report(recall: ProposalRecall, plot: str | None, title: str, outputs: Outputs, metadata: Mapping[str, Any]) -> None:
    """Print the recall for increasing numbers of proposals, plot it, and write the numbers.

    Args:
        recall: The proposals and labels of all images.
        plot: The file given with ``--plot``; None: ``recall.png`` in a new folder.
        title: Title of the plot.
        outputs: The files that flags name.
        metadata: Further keys of the JSON file.
    """
    curve = recall.curve()
    print(f"\n{count(recall.objects, 'object')} without crowds; best IoU with the first N proposals of each image:")
    rows = [(f"{number:,}", *map(shown, _values(numbers))) for number, numbers in curve]
    rows.append(("all", *map(shown, _values(recall.numbers()))))
    print(table(rows, COLUMNS, set(COLUMNS)))
    print(f"proposals per image: {recall.numbers().proposals:,.1f} on average")
    image = _plot(curve, title)
    outputs.write("json", lambda path: _write_numbers(recall, path, metadata))
    outputs.write("plot", lambda path: _save(image, path))
    if not plot:
        from detkit.cli.drawing_writer import DrawingWriter

        print(f"written: {DrawingWriter(None, [], 'propose', 'png').write('recall', image)}")
    print()


def _values(numbers: Any) -> tuple[float, float, float, float]:
    return numbers.recall_50, numbers.recall_70, numbers.mabo, numbers.average_recall


def _plot(curve: Sequence[tuple[int, Any]], title: str) -> NDArray[np.uint8]:
    from detkit.drawing.curves import draw_curves

    names = ("recall at IoU .5", "recall at IoU .7", "MABO", "average recall")
    curves = {name: [(float(number), _values(numbers)[index]) for number, numbers in curve] for index, name in enumerate(names)}
    return draw_curves(curves, title, "proposals per image")


def _save(image: NDArray[np.uint8], path: str) -> None:
    from PIL import Image

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def _write_numbers(recall: ProposalRecall, file: str, metadata: Mapping[str, Any]) -> None:
    peak = peak_memory()
    content = {
        "detkit": __version__,
        **metadata,
        "images": len(recall.counts),
        "objects": recall.objects,
        "all": recall.numbers().to_dict(),
        "curve": [{"first": number, **numbers.to_dict()} for number, numbers in recall.curve()],
        "peak_memory_bytes": peak[0] if peak is not None else None,
    }
    write_output(file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def write_proposals(file: str, results: Sequence[tuple[Path, ProposalResult]], failed: Mapping[Path, str]) -> None:
    """Write all boxes as JSON, per image; or as ``.npz`` arrays, where the rows of image ``i`` are ``offsets[i]:offsets[i + 1]``."""
    if Path(file).suffix.lower() == ".npz":
        _write_arrays(file, results)
        return
    images: list[dict[str, Any]] = [
        {
            "file": str(path),
            "width": result.size[1],
            "height": result.size[0],
            "boxes": [[round(value, 2) for value in box] for box in result.proposals.boxes.tolist()],
            "scores": [round(score, 7) for score in result.proposals.scores.tolist()],
        }
        for path, result in results
    ]
    images += [{"file": str(path), "error": message} for path, message in failed.items()]
    write_output(file, json.dumps({"detkit": __version__, "images": images}, ensure_ascii=False) + "\n")


def _write_arrays(file: str, results: Sequence[tuple[Path, ProposalResult]]) -> None:
    import numpy as np
    import torch

    from detkit.checkpoint.atomic import atomic_write

    rows = [result.proposals for _, result in results]
    offsets = np.cumsum([0, *map(len, rows)])
    with atomic_write(file) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(
            handle,
            files=np.array([str(path) for path, _ in results], dtype=np.str_),
            sizes=np.array([result.size for _, result in results], dtype=np.int64).reshape(-1, 2),
            offsets=offsets,
            boxes=torch.cat([row.boxes for row in rows]).numpy() if rows else np.zeros((0, 4), np.float32),
            scores=torch.cat([row.scores for row in rows]).numpy() if rows else np.zeros(0, np.float32),
        )
