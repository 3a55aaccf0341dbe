"""Detection on Ray datasets, with Ray on this machine: slow, as it starts a dozen processes."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from detkit.bulk import ray_detect
from detkit.bulk.rows import SCHEMA
from detkit.cli.inputs import sample_photograph
from detkit.cli.main import main
from detkit.weights import embedded_path

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="finds Ray's processes in /proc")]

IMAGES, DISTINCT, BROKEN = 1000, 180, 12
LIMIT_SECONDS = 900.0


def ray_processes() -> dict[int, str]:
    """Return Ray's processes that this one started, directly or not."""
    parents, names = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                names[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except (OSError, IndexError):
                continue
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: names[pid] for pid in found - {os.getpid()} if "ray" in names.get(pid, "")}


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """Ray with two processors; its processes are ended, also after a failure, also one of its start."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default, which takes for ever on a busy machine
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000, logging_level="ERROR")
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
    finally:
        left = ray_processes()
        ray.shutdown()
        end = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in left) and time.monotonic() < end:
            time.sleep(0.1)
        survivors = {pid: words for pid, words in left.items() if Path(f"/proc/{pid}").exists()}
        for pid in survivors:
            os.kill(pid, signal.SIGKILL)
    assert not survivors


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Small images: parts of a photograph, a black one, some that are no images, and one that does not exist."""
    folder = tmp_path_factory.mktemp("ray")
    photograph = Image.open(sample_photograph()).convert("RGB").resize((160, 120))
    generator = np.random.default_rng(0)
    for index in range(DISTINCT):
        x, y = generator.integers(0, 40, 2)
        photograph.crop((int(x), int(y), 160 - index % 7, 120)).save(folder / f"{index:03d}.jpg", quality=92)
    Image.new("RGB", (64, 48)).save(folder / "black.png")
    for index in range(BROKEN):
        (folder / f"broken{index}.jpg").write_bytes((folder / f"{index:03d}.jpg").read_bytes()[: 40 * index])
    return sorted(map(str, folder.iterdir()))


@pytest.fixture(scope="module")
def expected(paths: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The rows of ``detkit detect``, by image."""
    output = tmp_path_factory.mktemp("expected")
    words = ["detect", str(Path(paths[0]).parent), "--shard", "0/1", "--output", str(output), "--threads", "1"]
    assert main(words) == 1
    rows = {row["image"]: row for row in pq.read_table(output / "shard-00000-of-00001.parquet").to_pylist()}
    assert sum(row["error"] is not None for row in rows.values()) == BROKEN
    assert sum(len(row["boxes"] or ()) for row in rows.values()) > 50
    assert any(row["boxes"] == [] for row in rows.values())
    return rows


def many(paths: list[str], count: int = IMAGES) -> list[str]:
    """Return paths, of which many are repeated."""
    return (paths * (count // len(paths) + 1))[:count]


def table_of(dataset: Any) -> Any:
    table = pa.concat_tables(ray.get(dataset.to_arrow_refs()))
    return table.select(SCHEMA.names).cast(SCHEMA)


def check(table: Any, paths: list[str], expected: dict[str, Any]) -> None:
    rows = sorted(table.to_pylist(), key=lambda row: row["image"])
    assert [row["image"] for row in rows] == sorted(paths)
    assert rows == [expected[path] for path in sorted(paths)]


def test_1000_images_with_two_actors_on_two_processors(paths: list[str], expected: dict[str, Any]) -> None:
    dataset = ray.data.from_items([{"path": path} for path in many(paths)])
    check(table_of(ray_detect(dataset, actors=2)), many(paths), expected)


def test_reading_tasks_are_not_starved(paths: list[str], expected: dict[str, Any]) -> None:
    """Files are read by tasks, which need a processor of the two that the actors do not reserve."""
    dataset = ray.data.read_binary_files(paths[:60], include_paths=True, override_num_blocks=12)
    rows = table_of(ray_detect(dataset, actors=2, batch_size=8))
    check(rows, paths[:60], expected)


def test_arrays_and_a_model_that_is_sent(paths: list[str], expected: dict[str, Any], tmp_path: Path) -> None:
    """The file of the model is removed before the actors start."""
    model = tmp_path / "model.safetensors"
    model.write_bytes(Path(str(embedded_path())).read_bytes())
    readable = [path for path in paths if expected[path]["error"] is None][:10]
    images = [{"image": np.asarray(Image.open(path).convert("RGB")), "name": path, "id": index} for index, path in enumerate(readable)]
    dataset = ray_detect(ray.data.from_items(images), model, actors=1, names="name", keep=["id"])
    model.unlink()
    table = pa.concat_tables(ray.get(dataset.to_arrow_refs()))
    assert table.column_names == [*SCHEMA.names, "id"]
    for row in table.to_pylist():
        there = expected[readable[row["id"]]]
        assert (row["image"], row["labels"], row["width"]) == (there["image"], there["labels"], there["width"])
        np.testing.assert_allclose(np.array(row["scores"]), np.array(there["scores"]), atol=1e-3)


def test_nothing_is_lost_when_an_actor_is_killed(paths: list[str], expected: dict[str, Any]) -> None:
    repeated = many(paths, 400)
    dataset = ray_detect(ray.data.from_items([{"path": path} for path in repeated]), actors=2)
    tables, killed, before = [], 0, set[int]()
    end = time.monotonic() + LIMIT_SECONDS
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        tables.append(batch)
        if not killed and sum(table.num_rows for table in tables) >= 60:
            before = {pid for pid, name in ray_processes().items() if "BatchDetector" in name}
            assert len(before) == 2, ray_processes()
            os.kill(min(before), signal.SIGKILL)
            killed += 1
        assert time.monotonic() < end
    assert killed == 1
    check(pa.concat_tables(tables).select(SCHEMA.names).cast(SCHEMA), repeated, expected)


def test_ray_sends_nothing_and_reports_no_usage() -> None:
    from ray._common.usage import usage_lib

    assert not usage_lib.usage_stats_enabled()
    own = {"127.0.0.1", "::1", "0.0.0.0", "::", ray.util.get_node_ip_address()}
    processes = {**ray_processes(), os.getpid(): "driver"}
    assert len(processes) > 3
    remote = {row for pid in processes for row in remote_addresses(pid)}
    assert remote
    assert {row.removeprefix("::ffff:") for row in remote} <= own


def remote_addresses(pid: int) -> Iterator[str]:
    """Yield the other ends of a process's TCP connections."""
    try:
        links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
    except OSError:
        return
    sockets = {link[8:-1] for link in links if link.startswith("socket:[")}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in sockets and fields[3] == "01":
                words = [int(fields[2].partition(":")[0][start : start + 8], 16) for start in range(0, len(fields[2].partition(":")[0]), 8)]
                family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
                yield socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
