"""Worker processes that are killed, lack shared memory, or are too slow for a run that was asked to stop."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from detkit.data import DetectionData
from detkit.data import loader as loader_module
from detkit.data.augment import AugmentationConfig, Augmenter
from detkit.data.loader import LoaderConfig, build_loader
from detkit.data.loader_errors import LoaderError, WaitInterrupted, explain_worker_errors
from detkit.data.records import ImageRecord
from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Targets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs forked processes and their limits")

CONFIG = LoaderConfig(batch_size=2, workers=2, start_method="fork")


@pytest.fixture
def data(tmp_path: Path) -> DetectionData:
    records = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((40, 60, 3), 40 * number, np.uint8))
        records.append(ImageRecord(path, number, (40, 60), Targets.empty()))
    return DetectionData.of("images", ("thing",), records)


def augmenter() -> Augmenter:
    return Augmenter(AugmentationConfig(), PreprocessConfig(short_side=32, long_side=64))


def test_too_little_shared_memory_is_one_line_with_advice(data: DetectionData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers may write no file above 1 kB, which limits their shared memory too."""
    original = loader_module._init_worker

    def limited(number: int) -> None:
        original(number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    monkeypatch.setattr(loader_module, "_init_worker", limited)
    with pytest.raises(LoaderError) as caught:
        list(build_loader(data, augmenter(), CONFIG, stop_step=4))
    message = str(caught.value)
    assert message.startswith("too little shared memory: a batch of 2 images needs 0.0 MB of shared memory, and /dev/shm is full")
    assert all(advice in message for advice in ("--shm-size", "loader.workers=0", "loader.batch_size"))
    assert "\n" not in message
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_named_with_advice_on_memory(data: DetectionData) -> None:
    @explain_worker_errors()  # the death of a child can be noticed at any point, not only while waiting for a batch
    def kill_workers() -> None:
        for _ in build_loader(data, augmenter(), CONFIG, stop_step=1000):
            for child in multiprocessing.active_children():
                child.kill()

    for _ in range(5):  # a worker may die while it computes, sends or has sent a batch
        with pytest.raises(LoaderError, match=r"^a worker process of the loader was killed \(.*\), usually because .*loader\.workers"):
            kill_workers()
    assert not multiprocessing.active_children()


def test_waiting_for_a_batch_ends_when_the_run_is_asked_to_stop(data: DetectionData) -> None:
    def slow(record: ImageRecord, image: np.ndarray) -> Proposals:
        time.sleep(3600)
        raise AssertionError

    began = time.monotonic()
    asked = []

    def is_stopping() -> bool:
        asked.append(time.monotonic())
        for child in multiprocessing.active_children() if len(asked) > 1 else ():
            child.kill()  # or the test would wait for the workers to end
        return len(asked) > 1

    batches = iter(build_loader(data, augmenter(), CONFIG, proposals=slow, is_stopping=is_stopping))
    with pytest.raises((WaitInterrupted, LoaderError)):
        next(batches)
    assert len(asked) == 2
    assert time.monotonic() - began < 60


def test_a_slow_batch_is_waited_for(data: DetectionData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "POLL_SECONDS", 0.05)

    def slow(record: ImageRecord, image: np.ndarray) -> Proposals:
        time.sleep(0.2)
        return Proposals.empty()

    assert len(list(build_loader(data, augmenter(), CONFIG, stop_step=3, proposals=slow))) == 3
