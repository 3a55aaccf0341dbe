"""Detection on a Ray dataset, on this machine or on a cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.bulk.detector import describe
from detkit.bulk.ray_worker import RESULT_COLUMNS, BatchDetector, Columns

if TYPE_CHECKING:
    from ray.data import Dataset

_log = logging.getLogger(__name__)


def ray_detect(
    dataset: Dataset,
    model: str | Path | None = None,
    *,
    column: str | None = None,
    names: str = "path",
    keep: Sequence[str] = (),
    actors: int | tuple[int, int] | None = None,
    cpus: float = 0.5,
    gpus: float = 0.0,
    batch_size: int = 16,
    **options: Any,
) -> Dataset:
    """Detect on the images of a Ray dataset; the result is a dataset with a row for each of its rows.

    A pool of actors holds the detector, which each loads once; its file is sent to them, so that a cluster needs no shared folder for it.
    Each actor reserves a fraction of a processor: with whole ones, as many actors as processors would leave none for the tasks that read,
    and nothing would ever end. Ray starts an actor that died again, and repeats its batches. Like all datasets the result is computed when
    it is consumed, such as by ``write_parquet``.

    Importing :mod:`detkit.bulk` sets ``RAY_USAGE_STATS_ENABLED=0``, unless it is set: Ray sends no statistics. A cluster that was started
    elsewhere keeps its own setting.

    Args:
        dataset: Images in a column: paths or ``http`` addresses, the bytes of files (``ray.data.read_binary_files``), or uint8 RGB arrays
            (``ray.data.read_images``). Paths are opened by the actors, so that all machines need them; relative ones are relative to
            this process's working directory, if they have it.
        model: A checkpoint, a run's folder, an exported file or a published name; None: the detector inside the package. Exported files
            and the detector inside the package do not import PyTorch.
        column: The column of the images; None: the first of ``bytes``, ``image``, ``path`` and ``item`` that exists.
        names: The column of their names, which become ``image`` in the results; without it, paths are names, and else ``image`` is null.
        keep: Columns of the dataset that are added to the results.
        actors: Number of actors, or the smallest and the largest number; None: from 1 to the number of processors of the cluster.
        cpus: Processors that each actor reserves.
        gpus: GPUs that each actor reserves, such as 1, or 0.5 for two actors on each.
        batch_size: Rows that an actor gets at a time.
        options: ``min_score``, ``classes``, ``max_detections``, ``device``, ``precision`` and ``threads`` (default: 1), as of
            ``detkit detect``. With ``gpus``, ``device`` is ``cuda`` by default.

    Returns:
        The columns ``image``, ``width``, ``height``, ``boxes``, ``scores``, ``labels``, ``classes`` and ``error``, as of
        ``detkit detect --shard``, and those to keep. An image that cannot be read is a row with an error.

    Raises:
        ImportError: If Ray or pyarrow is not installed.
        FileNotFoundError: If the model does not exist.
        ValueError: If a column to keep has the name of a result, or a number is not positive.
    """
    ray = _ray()
    taken = [name for name in keep if name in RESULT_COLUMNS]
    if taken:
        raise ValueError(f"ray_detect: keep={taken[0]!r} is the name of a result; rename the column of the dataset")
    if cpus <= 0 or gpus < 0 or batch_size < 1:
        raise ValueError(f"ray_detect: expected cpus above 0, gpus from 0 and batch_size from 1 on, got {cpus}, {gpus} and {batch_size}")
    given = {**({"device": "cuda"} if gpus else {}), **options}
    given |= {"classes": tuple(given["classes"])} if given.get("classes") is not None else {}
    spec, files = describe(model, **given)
    columns = Columns(content=column, names=names, keep=tuple(keep), folder=os.getcwd())
    contents = ray.put({path.name: path.read_bytes() for path in files}) if files else {}
    return dataset.map_batches(
        BatchDetector,
        batch_size=batch_size,
        batch_format="numpy",
        compute=_pool(ray, actors, cpus),
        num_cpus=cpus,
        num_gpus=gpus or None,
        fn_constructor_args=(spec, contents, columns, ray.get if files else None),
        udf_modifying_row_count=False,
    )


def _pool(ray: Any, actors: int | tuple[int, int] | None, cpus: float) -> Any:
    """Return the strategy for a number of actors, and warn if they leave no processor to tasks."""
    if not ray.is_initialized():
        ray.init()
    available = float(ray.cluster_resources().get("CPU", 1))
    low, high = (1, max(1, int(available))) if actors is None else (actors, actors) if isinstance(actors, int) else actors
    if not 1 <= low <= high:
        raise ValueError(f"ray_detect: expected actors from 1 on, the smallest number first, got {actors}")
    if low * cpus > available - 1 + 1e-9:
        text = "%d actors reserve %g of %g processors, so that tasks that read may wait for ever; give fewer actors, or a smaller cpus"
        _log.warning(text, low, low * cpus, available)
    return ray.data.ActorPoolStrategy(size=low) if low == high else ray.data.ActorPoolStrategy(min_size=low, max_size=high)


def _ray() -> Any:
    """Return the library, with its statistics switched off before its import."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise ImportError(f"ray_detect needs the package ray, which is not installed ({error}): pip install 'detkit-vision[ray]'") from None
    return ray
